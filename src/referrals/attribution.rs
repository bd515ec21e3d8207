//! Which manager a sign-up belongs to (domain section 6): the one whose code it brings. Nothing about a code or a click ever
//! fails a sign-up; what cannot count is ignored.

use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::json;

use super::clicks::{LiveLink, live_link};
use super::statistics::{Counts, Tally};
use crate::accounts::service::email_key;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::audit;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::schema::{clicks, referrals, users};
use crate::db::{Conn, KeepPrepared, few_sizes, with_conn};
use crate::error::Result;
use crate::id::{AccountId, ClickId, ReferralLinkId};
use crate::program;
use crate::sub_accounts::{Access, Origin, links};

/// A client that came with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = referrals, treat_none_as_default_value = false)]
pub struct ReferralRow {
    /// The client.
    pub client_id: AccountId,
    /// The manager whose code it was.
    pub account_id: AccountId,
    /// The link.
    pub link_id: ReferralLinkId,
    /// The click that led to the sign-up.
    pub click_id: Option<ClickId>,
    /// When it signed up.
    pub signed_up_at: Timestamp,
    /// When it first paid something itself.
    pub first_paid_at: Option<Timestamp>,
}

/// What a sign-up says of the way that led to it.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// A link's code.
    pub code: Option<String>,
    /// A click's id.
    pub click_id: Option<String>,
}

/// Links a new client to the manager whose code it brings, without access; returns it as it is then. Without a code that
/// counts, and for an agency, nothing happens.
///
/// # Errors
/// The database's failure.
pub fn attribute(conn: &mut Conn, context: &Context, client: AccountRow, trail: &Trail) -> Result<AccountRow> {
    let code = trail.code.as_deref().filter(|_| client.kind == AccountKind::Standard);
    let link = code.map(|code| live_link(conn, code)).transpose()?.flatten();
    let Some(link) = link else { return Ok(client) };
    if is_own(conn, link.account_id, &client.email)? {
        // In the operator's log alone: neither side is told.
        let details = json!({"managerId": link.account_id, "linkId": link.link_id, "code": link.code});
        audit::record(conn, context, None, "referral.selfReferralRefused", client.id, Some(details))?;
        return Ok(client);
    }
    links::link(conn, context, client.id, link.account_id, Origin::Referral, Access::None)?;
    // Under the manager's lock, so that two sign-ups at once cannot both use the click.
    let row = ReferralRow {
        client_id: client.id,
        account_id: link.account_id,
        link_id: link.link_id,
        click_id: unused_click(conn, context.now, &link, trail.click_id.as_deref())?,
        signed_up_at: context.now,
        first_paid_at: None,
    };
    diesel::insert_into(referrals::table).values(row).execute(conn)?;
    let mut tally = Tally::default();
    tally.note(row.account_id, row.link_id, context.now, Counts { sign_ups: 1, ..Counts::default() });
    tally.write(conn)?;
    accounts::service::find(conn, client.id)
}

/// Those of `clients` that came with a code and had not paid anything themselves by `time`, as far as is known.
///
/// # Errors
/// The database's failure.
pub fn unpaid_by(conn: &mut Conn, clients: &[AccountId], time: Timestamp) -> Result<HashMap<AccountId, ReferralRow>> {
    let rows: Vec<ReferralRow> = with_conn!(conn, c => referrals::table
        .filter(referrals::client_id.eq_any(few_sizes(clients)))
        .filter(referrals::first_paid_at.is_null().or(referrals::first_paid_at.gt(time)))
        .select(ReferralRow::as_select())
        .kept()
        .load(c))?;
    Ok(rows.into_iter().map(|row| (row.client_id, row)).collect())
}

/// Keeps when clients first paid something themselves, and counts them on that day: each with its row as it is stored. One whose
/// earlier payment arrives later moves to the earlier day. The caller holds the clients' locks.
///
/// # Errors
/// The database's failure.
pub fn record_first_payments(conn: &mut Conn, payments: &[(ReferralRow, Timestamp)]) -> Result<()> {
    let mut tally = Tally::default();
    for (row, time) in payments {
        diesel::update(referrals::table.find(row.client_id)).set(referrals::first_paid_at.eq(time)).execute(conn)?;
        let days = row.first_paid_at.map(|before| (before, -1)).into_iter().chain([(*time, 1)]);
        for (day, paying_clients) in days {
            tally.note(row.account_id, row.link_id, day, Counts { paying_clients, ..Counts::default() });
        }
    }
    tally.write(conn)
}

/// Whether an address is one of the manager's own people's, whatever its case and its tag.
fn is_own(conn: &mut Conn, manager_id: AccountId, email: &str) -> Result<bool> {
    let own: Vec<String> = users::table.filter(users::account_id.eq(manager_id)).select(users::email).load(conn)?;
    let mailbox = mailbox(email);
    Ok(own.iter().any(|own| self::mailbox(own) == mailbox))
}

/// An e-mail address in the form in which addresses are compared, without its `+tag`.
fn mailbox(email: &str) -> String {
    let key = email_key(email);
    let Some((local, domain)) = key.rsplit_once('@') else { return key };
    let name = local.split_once('+').map_or(local, |(name, _)| name);
    format!("{name}@{domain}")
}

/// The click with this id, if it was one on the link, is young enough, and led to no sign-up yet.
fn unused_click(conn: &mut Conn, now: Timestamp, link: &LiveLink, click_id: Option<&str>) -> Result<Option<ClickId>> {
    let Some(id) = click_id.and_then(|text| text.parse::<ClickId>().ok()) else { return Ok(None) };
    let window_days = i64::from(program::service::current(conn)?.config.attribution_window_days);
    let young: i64 = clicks::table
        .filter(clicks::account_id.eq(link.account_id))
        .filter(clicks::id.eq(id))
        .filter(clicks::link_id.eq(link.link_id))
        .filter(clicks::created_at.ge(now.plus_days(-window_days)))
        .count()
        .get_result(conn)?;
    let used: i64 = referrals::table.filter(referrals::click_id.eq(id)).count().get_result(conn)?;
    Ok(Some(id).filter(|_| young == 1 && used == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_the_same_whatever_its_case_and_tag() {
        for same in ["ann@agency.example", "Ann@Agency.example", "ann+a@agency.example", "ANN+a+b@agency.example"] {
            assert_eq!(mailbox(same), "ann@agency.example");
        }
        assert_ne!(mailbox("anna@agency.example"), "ann@agency.example");
        assert_ne!(mailbox("ann@other.example"), "ann@agency.example");
    }
}
