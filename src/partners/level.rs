//! The one way in which a partner's level changes: history row, account row, event and audit row together.

use diesel::prelude::*;
use serde_json::json;

use super::terms::LevelRow;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts, partner_levels};
use crate::error::Result;
use crate::events::EventType;
use crate::{audit, events};

/// Writes a level that is in force from `row.effective_from` on.
///
/// # Errors
/// The database's own failure.
pub fn record(conn: &mut Conn, context: &Context, row: &LevelRow) -> Result<()> {
    diesel::insert_into(partner_levels::table).values(row).execute(conn)?;
    diesel::update(accounts::table.find(row.account_id))
        .set((accounts::level.eq(Some(row.level)), accounts::level_pinned.eq(row.pinned)))
        .execute(conn)?;
    let details = json!({"level": row.level, "pinned": row.pinned, "reason": row.reason});
    audit::record(conn, context, Some(row.account_id), "level.changed", row.account_id, Some(details))?;
    events::record(conn, context, row.account_id, EventType::LevelChanged, row.account_id)
}
