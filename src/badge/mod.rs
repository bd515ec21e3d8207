//! The partner's badge for web sites: the picture, which anybody may load, and what a partner needs to embed it. Partners
//! only: for an agency there is none. Everything comes from the present state; nothing is stored.

mod embed;
mod handlers;
mod svg;

use diesel::prelude::*;

use crate::accounts::{AccountKind, AccountRow};
use crate::db::Conn;
use crate::db::schema::accounts;
use crate::error::Result;
use crate::program;
use crate::referrals::clicks::live_link;

pub use handlers::routes;

/// What a badge shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The partner's level, from 1.
    pub level: i32,
    /// The level's name.
    pub level_name: String,
}

/// The standing of the partner behind a referral code; none for an agency, a blocked partner, and an unknown or disabled code.
///
/// # Errors
/// The database's failure.
pub fn behind_code(conn: &mut Conn, code: &str) -> Result<Option<Standing>> {
    let Some(link) = live_link(conn, code)? else { return Ok(None) };
    let account: Option<AccountRow> =
        accounts::table.find(link.account_id).select(AccountRow::as_select()).get_result(conn).optional()?;
    match account {
        Some(account) if account.kind == AccountKind::Partner => standing(conn, &account).map(Some),
        _ => Ok(None),
    }
}

/// The standing of a partner.
///
/// # Errors
/// The database's failure.
pub fn standing(conn: &mut Conn, partner: &AccountRow) -> Result<Standing> {
    let level = partner.level.unwrap_or(1);
    let program = program::service::current(conn)?.config;
    // A level that the program has dropped since has no name of its own any more.
    let level_name = program.level(level).map_or_else(|| format!("Level {level}"), |row| row.name.clone());
    Ok(Standing { level, level_name })
}
