//! Accounts: their feed, their manager, their level.

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::Differences;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::db::Conn;
use crate::db::schema::{access_requests, events, partner_levels, user_emails, users};
use crate::error::Result;
use crate::partners::LevelRow;
use crate::sub_accounts::requests::{RequestKind, RequestStatus};
use crate::sub_accounts::{Access, links};

pub fn check(conn: &mut Conn, account: &AccountRow, differences: &mut Differences) -> Result<()> {
    let feed = events::table.filter(events::account_id.eq(account.id));
    let last: Option<i64> = feed.select(max(events::sequence)).get_result(conn)?;
    let count: i64 = feed.select(count_star()).get_result(conn)?;
    differences.compare(
        || format!("{}: number of the last event", account.id),
        &account.event_sequence,
        &last.unwrap_or(0),
    );
    differences.compare(|| format!("{}: events in a feed without gaps", account.id), &count, &account.event_sequence);

    let unlisted: i64 = users::table
        .left_join(user_emails::table.on(user_emails::user_id.eq(users::id)))
        .filter(users::account_id.eq(account.id))
        .filter(user_emails::user_id.nullable().is_null())
        .select(count_star())
        .get_result(conn)?;
    differences.compare(|| format!("{}: users missing in the directory of addresses", account.id), &unlisted, &0);

    let owner = accounts::service::first_owner(conn, account.id)?;
    let shown = |email: &str, first: &str, last: &str| [email, first, last].map(str::to_owned);
    differences.compare(
        || format!("{}: address and names of the first owner", account.id),
        &Some(shown(&account.email, &account.first_name, &account.last_name)),
        &owner.map(|owner| shown(&owner.email, &owner.first_name, &owner.last_name)),
    );

    let searchable = account.clone().searchable().search_text;
    differences.compare(|| format!("{}: search text", account.id), &account.search_text, &searchable);

    let link = links::current(conn, account.id)?;
    let asked: i64 = access_requests::table
        .filter(access_requests::account_id.eq(account.id))
        .filter(access_requests::kind.eq(RequestKind::Access))
        .filter(access_requests::status.eq(RequestStatus::Pending.as_str()))
        .select(count_star())
        .get_result(conn)?;
    let is_asked = link.as_ref().is_some_and(|link| link.access == Access::Requested);
    differences.compare(|| format!("{}: pending requests for access", account.id), &asked, &i64::from(is_asked));
    let manager_id = link.map(|link| link.account_id);
    differences.compare(|| format!("{}: manager", account.id), &account.manager_id, &manager_id);

    let level: Option<LevelRow> = partner_levels::table
        .filter(partner_levels::account_id.eq(account.id))
        .order((partner_levels::effective_from.desc(), partner_levels::id.desc()))
        .limit(1)
        .select(LevelRow::as_select())
        .get_result(conn)
        .optional()?;
    differences.compare(|| format!("{}: level", account.id), &account.level, &level.as_ref().map(|row| row.level));
    differences.compare(
        || format!("{}: whether the level is pinned", account.id),
        &account.level_pinned,
        &level.as_ref().is_some_and(|row| row.pinned),
    );
    let is_partner = account.kind == AccountKind::Partner;
    differences.compare(|| format!("{}: whether it is a partner", account.id), &is_partner, &level.is_some());
    Ok(())
}
