//! How clients come in the story: links, the visitors who follow them, those who sign up, and those whom a manager creates.

use super::Scene;
use crate::accounts::AccountKind;
use crate::accounts::service::NewAccount;
use crate::context::Context;
use crate::db::Conn;
use crate::demo::story::{self, Client};
use crate::error::Result;
use crate::id::{AccountId, ClickId};
use crate::referrals::attribution::{self, Trail};
use crate::referrals::clicks::{self, ClickRow};
use crate::referrals::{self, CreateReferralLink, ReferralLinkRow};
use crate::sub_accounts::CreateSubAccount;
use crate::{accounts, crypto, mail, sub_accounts};

impl Scene<'_> {
    /// The default link of a manager, and those that it makes.
    pub(super) fn make_links(&self, account_id: AccountId) -> Result<Vec<ReferralLinkRow>> {
        let context = Context::system(self.start);
        let make = move |conn: &mut _| {
            let mut links = vec![referrals::service::default_link(conn, account_id)?];
            for link in story::LINKS {
                let input = CreateReferralLink {
                    name: link.name.to_owned(),
                    source: Some(link.source.to_owned()),
                    target_url: Some(link.target_url.to_owned()),
                    code: None,
                };
                links.push(referrals::service::create(conn, &context, account_id, &input)?);
            }
            Ok(links)
        };
        self.db.write_blocking(make)
    }

    /// The day's clicks on all links. Some visitors come back on the same day.
    pub(super) fn visit(&mut self, day: i64) -> Result<()> {
        let created_at = self.at(day, 11);
        let mut rows = Vec::new();
        for (manager, links) in self.links.iter().enumerate() {
            for (place, link) in links.iter().enumerate() {
                for number in 0..story::clicks(manager, place, day) {
                    let visitor = format!("{day} {manager} {}", number * 3 / 4);
                    rows.push(ClickRow {
                        account_id: link.account_id,
                        id: ClickId::new(created_at),
                        link_id: link.id,
                        source: link.source.clone(),
                        visitor_hash: crypto::sha256(visitor.as_bytes()).to_vec(),
                        created_at,
                    });
                }
            }
        }
        self.clicks.extend(rows.iter().map(|row| (row.link_id, row.id)));
        if rows.is_empty() { Ok(()) } else { self.db.write_blocking(move |conn| clicks::record(conn, &rows)) }
    }

    /// A client comes, by its manager's hand or by a link.
    pub(super) fn welcome(&mut self, day: i64, index: usize, client: &Client) -> Result<()> {
        let Some((manager_id, _)) = self.managers.get(client.manager) else { return Ok(()) };
        let (manager_id, context) = (*manager_id, Context::system(self.at(day, 8)));
        let link = client.link.and_then(|place| self.links.get(client.manager)?.get(place)).cloned();
        let click = link.as_ref().and_then(|link| self.clicks.remove(&link.id));
        let client = client.clone();
        let create = move |conn: &mut _| {
            let id = match &link {
                Some(link) => sign_up(conn, &context, &client, link, click)?,
                None => sub_accounts::service::create(conn, &context, manager_id, &new_sub_account(&client))?.id,
            };
            // The people of the story have no mailboxes.
            mail::outbox::clear(conn)?;
            Ok(id)
        };
        let id = self.db.write_blocking(create)?;
        if let Some(place) = self.clients.get_mut(index) {
            *place = id;
        }
        Ok(())
    }
}

fn new_sub_account(client: &Client) -> CreateSubAccount {
    CreateSubAccount {
        email: client.email.clone(),
        first_name: client.first_name.to_owned(),
        last_name: client.last_name.to_owned(),
        send_invite: false,
    }
}

/// A client signs up by itself, with the code of a link.
fn sign_up(
    conn: &mut Conn,
    context: &Context,
    client: &Client,
    link: &ReferralLinkRow,
    click: Option<ClickId>,
) -> Result<AccountId> {
    let new = NewAccount {
        kind: AccountKind::Standard,
        email: client.email.clone(),
        first_name: client.first_name.to_owned(),
        last_name: client.last_name.to_owned(),
        company_name: None,
        password_hash: None,
    };
    let account = accounts::service::create(conn, context, new)?;
    let trail = Trail { code: Some(link.code.clone()), click_id: click.map(|id| id.to_string()) };
    attribution::attribute(conn, context, account, &trail).map(|account| account.id)
}
