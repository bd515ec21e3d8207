//! What a manager does with its sub-accounts.

use diesel::prelude::*;

use super::models::{Access, CreateSubAccount, LinkRow, Origin, SubAccount, UpdateSubAccount};
use super::{access, links, listing};
use crate::accounts::service::NewAccount;
use crate::accounts::{AccountKind, AccountRow};
use crate::containers::SubscriptionStatus;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{containers, sub_account_links};
use crate::error::{Code, Error, Result};
use crate::events::EventType;
use crate::id::AccountId;
use crate::mail::{self, Letter, Recipient};
use crate::operator_requests::{OperatorRequestType, RequestDetails};
use crate::{audit, events, operator_requests};

/// Creates a standard account for a client and links it, access granted.
///
/// # Errors
/// 409 `emailTaken`.
pub fn create(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    input: &CreateSubAccount,
) -> Result<SubAccount> {
    let new = NewAccount {
        kind: AccountKind::Standard,
        email: input.email.clone(),
        first_name: input.first_name.clone(),
        last_name: input.last_name.clone(),
        company_name: None,
        password_hash: None,
    };
    let client = crate::accounts::service::create(conn, context, new).map_err(attach_instead)?;
    let link = links::link(conn, context, client.id, manager_id, Origin::Created, Access::Granted)?;
    let manager = crate::accounts::service::find(conn, manager_id)?.signature();
    let letter =
        if input.send_invite { Letter::ClientInvitation { manager } } else { Letter::AccountCreated { manager } };
    links::write_to(conn, context, client.id, &letter)?;
    listing::view(conn, link, client)
}

/// What to do about a client whose e-mail address is taken.
fn attach_instead(error: Error) -> Error {
    match error {
        Error::Problem(mut problem) if problem.code == Code::EmailTaken => {
            problem.detail.push_str("; to manage that client, attach it with `POST /v3/sub-accounts/attach`");
            Error::Problem(problem)
        }
        other => other,
    }
}

/// Mails a client that cannot sign in yet a link to set its password.
///
/// # Errors
/// 404 where the client is not this manager's; 409 `invitationNotNeeded`.
pub fn invite(conn: &mut Conn, context: &Context, manager_id: AccountId, client_id: AccountId) -> Result<()> {
    let (context, _) = &access::lock_managed(conn, context, manager_id, client_id)?;
    let owner = crate::accounts::service::first_owner(conn, client_id)?.ok_or_else(Error::not_found)?;
    if owner.password_hash.is_some() {
        return Err(Error::refused(Code::InvitationNotNeeded, "the client has set its password already"));
    }
    let manager = crate::accounts::service::find(conn, manager_id)?.signature();
    mail::enqueue(conn, context, Recipient::User(owner.id), &Letter::ClientInvitation { manager })?;
    for account_id in [manager_id, client_id] {
        audit::record(conn, context, Some(account_id), "subAccount.invited", client_id, None)?;
    }
    Ok(())
}

/// What a client's agency has become.
#[derive(Debug)]
pub struct Converted {
    /// The agency.
    pub agency: AccountRow,
    /// Whether it manages the client, which had no other manager.
    pub is_manager: bool,
}

/// Makes an agency for a client, which becomes its sub-account unless it has a manager.
///
/// # Errors
/// 409 `emailTaken`.
pub fn convert(conn: &mut Conn, context: &Context, client_id: AccountId, email: &str) -> Result<Converted> {
    let (context, client) = &crate::accounts::service::lock_one(conn, context, client_id)?;
    let new = NewAccount {
        kind: AccountKind::Agency,
        email: email.to_owned(),
        first_name: client.first_name.clone(),
        last_name: client.last_name.clone(),
        company_name: client.company_name.clone(),
        password_hash: None,
    };
    let agency = crate::accounts::service::create(conn, context, new)?;
    links::write_to(conn, context, agency.id, &Letter::AgencyInvitation { client: client.signature() })?;
    audit::record(conn, context, Some(client_id), "account.agencyCreated", agency.id, None)?;
    let is_manager = client.manager_id.is_none();
    if is_manager {
        links::link(conn, context, client_id, agency.id, Origin::Converted, Access::Granted)?;
    }
    Ok(Converted { agency, is_manager })
}

/// Changes the note, and who pays.
///
/// # Errors
/// 404 where the client is not this manager's; for who pays 403 `accessNotGranted` and 409 `requestPending`.
pub fn update(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    client_id: AccountId,
    change: &UpdateSubAccount,
) -> Result<SubAccount> {
    let (ref context, link) = access::lock_managed(conn, context, manager_id, client_id)?;
    let note = change.note.clone().apply(link.note.clone());
    if note != link.note {
        diesel::update(sub_account_links::table.find((link.account_id, link.id)))
            .set(sub_account_links::note.eq(&note))
            .execute(conn)?;
        // The note is the manager's alone.
        audit::record(conn, context, Some(manager_id), "subAccount.noteChanged", client_id, None)?;
        events::record(conn, context, manager_id, EventType::SubAccountUpdated, client_id)?;
    }
    match change.billing {
        Some(billing) if billing != link.billing => {
            access::refuse_without(&link)?;
            switch_billing(conn, context, &LinkRow { billing, ..link })?;
        }
        // As it is now it does not stay while a switch is open, which this would seem to take back.
        Some(_) => operator_requests::service::refuse_second(conn, client_id, None)?,
        None => {}
    }
    listing::find(conn, manager_id, client_id)
}

/// Without a live subscription nothing is paid, and no counter asks who would: then the switch is done at once, also one that was
/// asked for while there was one, for nothing is left whose change could name it.
fn switch_billing(conn: &mut Conn, context: &Context, link: &LinkRow) -> Result<()> {
    let live: i64 = containers::table
        .filter(containers::account_id.eq(link.client_id))
        .filter(containers::deleted_at.is_null())
        .filter(containers::subscription_status.eq_any([SubscriptionStatus::Active, SubscriptionStatus::PastDue]))
        .count()
        .get_result(conn)?;
    if live > 0 {
        let details = RequestDetails { billing: Some(link.billing), ..RequestDetails::default() };
        let kind = OperatorRequestType::BillingSwitch;
        return operator_requests::service::open(conn, context, link.client_id, None, kind, &details).map(|_| ());
    }
    operator_requests::service::complete_of_client(conn, context, link.client_id)?;
    links::store_billing(conn, context, link)?;
    for account_id in [link.account_id, link.client_id] {
        events::record(conn, context, account_id, EventType::SubAccountUpdated, link.client_id)?;
    }
    Ok(())
}
