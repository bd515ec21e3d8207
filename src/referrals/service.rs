//! The rules of referral links: every manager has a default one from the start, and may make and change more.

use diesel::prelude::*;
use serde_json::json;

use super::codes;
use super::models::{CreateReferralLink, ReferralLink, ReferralLinkRow, UpdateReferralLink};
use super::statistics;
use crate::accounts;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::referral_links;
use crate::error::{Code, Error, OrNotFound, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::id::{AccountId, ReferralLinkId};
use crate::{audit, program};

/// Links that an account may have, the default one among them *(our default)*.
const MAX_LINKS: i64 = 100;

const DEFAULT_NAME: &str = "Default";

/// Makes the default link of a new manager, with a random code.
///
/// # Errors
/// The database's failure.
pub fn create_default_link(conn: &mut Conn, context: &Context, account_id: AccountId) -> Result<ReferralLinkRow> {
    let id = ReferralLinkId::new(context.now);
    let row = ReferralLinkRow {
        account_id,
        id,
        code: codes::take_random(conn, account_id, id)?,
        name: DEFAULT_NAME.to_owned(),
        source: None,
        target_url: None,
        is_default: true,
        enabled: true,
        created_at: context.now,
    };
    diesel::insert_into(referral_links::table).values(row.clone()).execute(conn)?;
    events::record(conn, context, account_id, EventType::ReferralLinkCreated, id)?;
    Ok(row)
}

/// Makes a link, with the code that is asked for or a random one.
///
/// # Errors
/// 422 for a target that the program does not allow; 409 `referralLinkLimitReached`, `referralCodeTaken`.
pub fn create(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    input: &CreateReferralLink,
) -> Result<ReferralLinkRow> {
    check_target(conn, input.target_url.as_deref())?;
    // Under the lock, so that two requests at once cannot both take the last place.
    let (context, _) = &accounts::service::lock_one(conn, context, account_id)?;
    let count: i64 =
        referral_links::table.filter(referral_links::account_id.eq(account_id)).count().get_result(conn)?;
    if count >= MAX_LINKS {
        let detail =
            format!("the account has {count} of at most {MAX_LINKS} referral links; change one of them instead");
        return Err(Error::refused(Code::ReferralLinkLimitReached, detail));
    }
    let id = ReferralLinkId::new(context.now);
    let row = ReferralLinkRow {
        account_id,
        id,
        code: take_code(conn, account_id, id, input.code.as_deref())?,
        name: input.name.clone(),
        source: input.source.clone(),
        target_url: input.target_url.clone(),
        is_default: false,
        enabled: true,
        created_at: context.now,
    };
    diesel::insert_into(referral_links::table).values(row.clone()).execute(conn)?;
    let details = json!({"code": row.code, "name": row.name, "source": row.source, "targetUrl": row.target_url});
    audit::record(conn, context, Some(account_id), "referralLink.created", id, Some(details))?;
    events::record(conn, context, account_id, EventType::ReferralLinkCreated, id)?;
    Ok(row)
}

/// Changes a link. `check` sees it as it was and may refuse.
///
/// # Errors
/// What `check` refuses; 404; 422 for a target that the program does not allow; 409 `defaultReferralLink`.
pub fn update(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    id: ReferralLinkId,
    change: &UpdateReferralLink,
    check: impl FnOnce(&ReferralLinkRow) -> Result<()>,
) -> Result<ReferralLinkRow> {
    let (context, _) = &accounts::service::lock_one(conn, context, account_id)?;
    let old = find(conn, account_id, id)?;
    check(&old)?;
    check_target(conn, change.target_url.value().map(String::as_str))?;
    let new = ReferralLinkRow {
        name: change.name.clone().unwrap_or_else(|| old.name.clone()),
        source: change.source.clone().apply(old.source.clone()),
        target_url: change.target_url.clone().apply(old.target_url.clone()),
        enabled: change.enabled.unwrap_or(old.enabled),
        ..old.clone()
    };
    if new == old {
        return Ok(old);
    }
    if new.is_default && !new.enabled {
        let detail = "the default link cannot be disabled; make another link for what shall end one day";
        return Err(Error::refused(Code::DefaultReferralLink, detail));
    }
    diesel::update(referral_links::table.find((account_id, id)))
        .set((
            referral_links::name.eq(&new.name),
            referral_links::source.eq(&new.source),
            referral_links::target_url.eq(&new.target_url),
            referral_links::enabled.eq(new.enabled),
        ))
        .execute(conn)?;
    let shown = |row: &ReferralLinkRow| json!({"name": row.name, "source": row.source, "targetUrl": row.target_url, "enabled": row.enabled});
    let details = json!({"before": shown(&old), "after": shown(&new)});
    audit::record(conn, context, Some(account_id), "referralLink.updated", id, Some(details))?;
    events::record(conn, context, account_id, EventType::ReferralLinkUpdated, id)?;
    Ok(new)
}

/// A link of the account.
///
/// # Errors
/// 404 where there is none; the database's failure.
pub fn find(conn: &mut Conn, account_id: AccountId, id: ReferralLinkId) -> Result<ReferralLinkRow> {
    referral_links::table.find((account_id, id)).select(ReferralLinkRow::as_select()).get_result(conn).or_not_found()
}

/// The link that the manager had from the start.
///
/// # Errors
/// 404 where the account is no manager; the database's failure.
pub fn default_link(conn: &mut Conn, account_id: AccountId) -> Result<ReferralLinkRow> {
    referral_links::table
        .filter(referral_links::account_id.eq(account_id))
        .filter(referral_links::is_default)
        .select(ReferralLinkRow::as_select())
        .get_result(conn)
        .or_not_found()
}

/// Up to `limit` links before `after`, newest first, with what came of them.
///
/// # Errors
/// The database's failure.
pub fn list(
    conn: &mut Conn,
    account_id: AccountId,
    public_url: &str,
    after: Option<ReferralLinkId>,
    limit: i64,
) -> Result<Vec<ReferralLink>> {
    let mut query = referral_links::table
        .filter(referral_links::account_id.eq(account_id))
        .order(referral_links::id.desc())
        .limit(limit)
        .select(ReferralLinkRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(referral_links::id.lt(after));
    }
    let rows: Vec<ReferralLinkRow> = query.load(conn)?;
    let ids: Vec<ReferralLinkId> = rows.iter().map(|row| row.id).collect();
    let totals = statistics::totals(conn, account_id, &ids)?;
    let counts = |row: &ReferralLinkRow| totals.get(&row.id).copied().unwrap_or_default();
    Ok(rows.into_iter().map(|row| (counts(&row), row)).map(|(counts, row)| row.view(counts, public_url)).collect())
}

/// A link with what came of it.
///
/// # Errors
/// The database's failure.
pub fn view(conn: &mut Conn, row: ReferralLinkRow, public_url: &str) -> Result<ReferralLink> {
    let totals = statistics::totals(conn, row.account_id, &[row.id])?;
    let counts = totals.get(&row.id).copied().unwrap_or_default();
    Ok(row.view(counts, public_url))
}

fn take_code(conn: &mut Conn, account_id: AccountId, id: ReferralLinkId, wanted: Option<&str>) -> Result<String> {
    let Some(wanted) = wanted else { return codes::take_random(conn, account_id, id) };
    let code = codes::normalize(wanted).ok_or_else(|| Error::invalid("/code", "malformed", "is not a code"))?;
    if codes::take(conn, &code, account_id, id)? {
        return Ok(code);
    }
    Err(Problem::new(
        Code::ReferralCodeTaken,
        format!("the code {code} is or was a referral link's; choose another one"),
    )
    .with(Violation::at("/code", "taken", "is or was a referral link's"))
    .into())
}

/// Refuses a target outside of the program's hosts, and white space, which a URL parser would quietly leave out.
fn check_target(conn: &mut Conn, target: Option<&str>) -> Result<()> {
    let Some(target) = target else { return Ok(()) };
    let config = program::service::current(conn)?.config;
    let is_plain = !target.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    if is_plain && config.allows_target(target) {
        return Ok(());
    }
    let hosts = config.allowed_referral_hosts.join(", ");
    let detail = format!("must be an https URL of at most 2000 characters on {hosts} or below, without a user");
    Err(Error::invalid("/targetUrl", "targetNotAllowed", detail))
}
