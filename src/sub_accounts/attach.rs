//! Attaching an existing account: by the name of one of its containers, which only somebody whom the client trusts knows,
//! or by asking the client. An outsider learns nothing of who has an account: whatever does not fit is one refusal, found
//! out by the same queries, or the same 202 after the same writes.

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::models::{Access, Origin, SubAccount};
use super::requests::{self, RequestKind};
use super::{access, links, listing};
use crate::accounts::{self, AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::containers;
use crate::error::{Code, Error, Result};
use crate::events::EventType;
use crate::http::trimmed;
use crate::id::AccountId;
use crate::mail::{self, Letter, Recipient};
use crate::{audit, events, program};

/// Which account to attach: by one of its containers, or, of an account without any, by asking it.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[validate(schema(function = "validate_proof"))]
pub struct AttachSubAccount {
    /// E-mail address of the client's login, in any case.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "accounts::models::validate_email"))]
    #[schema(format = "email", max_length = 254, example = "shop@example.com")]
    pub email: String,
    /// The exact name of one of its containers.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(custom(function = "accounts::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Shop, server side")]
    pub container_name: Option<String>,
    /// True instead of a container's name where it has no containers: then the client is asked by mail.
    #[serde(default)]
    pub has_no_containers: bool,
}

fn validate_proof(input: &AttachSubAccount) -> Result<(), ValidationError> {
    if input.container_name.is_some() != input.has_no_containers {
        return Ok(());
    }
    let message = "must have either containerName or hasNoContainers: true";
    Err(ValidationError::new("containerNameOrNone").with_message(message.into()))
}

/// Links the account with this e-mail address that has a container of this name, without access.
///
/// # Errors
/// 422 `attachRefused`.
pub fn attach(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    email: &str,
    container_name: &str,
) -> Result<SubAccount> {
    let found = candidate(conn, email)?;
    // Without a candidate the same question is asked of the manager, who has no containers.
    let has_container = containers::table
        .filter(containers::account_id.eq(found.as_ref().map_or(manager_id, |account| account.id)))
        .filter(containers::name.eq(container_name))
        .filter(containers::deleted_at.is_null());
    let has_container: i64 = has_container.count().get_result(conn)?;
    let is_in_window = is_in_window(conn, context.now)?;
    let client = found.filter(|account| has_container > 0 && is_free(account) && is_in_window(account));
    let client = client.ok_or_else(refused)?;
    links::link(conn, context, client.id, manager_id, Origin::Attached, Access::None).map_err(|error| match error {
        // Somebody was faster.
        Error::Problem(problem) if problem.code == Code::AlreadyManaged => refused(),
        other => other,
    })?;
    listing::find(conn, manager_id, client.id)
}

/// Asks the account with this e-mail address, if all else fits, whether the manager may manage it.
///
/// # Errors
/// The database's failure.
pub fn ask(conn: &mut Conn, context: &Context, manager_id: AccountId, email: &str) -> Result<()> {
    let client_id = candidate(conn, email)?.map_or(manager_id, |account| account.id);
    let (context, locked) = &accounts::lock(conn, context, &[manager_id, client_id])?;
    let of_client = containers::table.filter(containers::account_id.eq(client_id));
    let has_containers: i64 = of_client.filter(containers::deleted_at.is_null()).count().get_result(conn)?;
    let was_asked = requests::was_asked(conn, client_id, manager_id, access::pause_start(context.now))?;
    let is_in_window = is_in_window(conn, context.now)?;
    // The manager itself, who stands for nobody, is no standard account.
    let fits = |account: &&AccountRow| is_free(account) && is_in_window(account) && has_containers == 0 && !was_asked;
    let client = locked.iter().filter(|account| account.id == client_id).find(fits);
    let manager = locked.iter().find(|account| account.id == manager_id).ok_or_else(Error::not_found)?;
    let request_id = requests::file(conn, context, client.map(|account| account.id), manager_id, RequestKind::Link)?;
    let letter = Letter::LinkRequested { manager: manager.signature(), request_id };
    mail::enqueue(conn, context, Recipient::Email(email.to_owned()), &letter)?;
    // Only the client is told: the manager could learn from its feed that there is such an account.
    events::record_if(conn, context, client.is_some(), client_id, EventType::AccessRequested, client_id)?;
    let details = Some(json!({ "email": email }));
    audit::record(conn, context, Some(manager_id), "subAccount.linkRequested", request_id, details)
}

fn candidate(conn: &mut Conn, email: &str) -> Result<Option<AccountRow>> {
    use crate::db::schema::{accounts as accounts_table, user_emails, users};
    Ok(user_emails::table
        .inner_join(users::table.on(users::id.eq(user_emails::user_id)))
        .inner_join(accounts_table::table.on(accounts_table::id.eq(users::account_id)))
        .filter(user_emails::email_key.eq(accounts::service::email_key(email)))
        .select(AccountRow::as_select())
        .get_result(conn)
        .optional()?)
}

fn is_free(account: &AccountRow) -> bool {
    account.kind == AccountKind::Standard && account.manager_id.is_none() && account.blocked_at.is_none()
}

/// Whether an account signed up recently enough to be attached.
fn is_in_window(conn: &mut Conn, now: Timestamp) -> Result<impl Fn(&AccountRow) -> bool + use<>> {
    let days = i64::from(program::service::current(conn)?.config.attach_window_days);
    Ok(move |account: &AccountRow| now < account.created_at.plus_days(days))
}

fn refused() -> Error {
    Error::refused(
        Code::AttachRefused,
        "no account fits: it must have this e-mail address and a container of exactly this name, have signed up recently, \
         and have no manager",
    )
}
