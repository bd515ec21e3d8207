//! The one way in which a partner's level changes: history row, account row, event and audit row together; and what the
//! next level needs.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::terms::LevelRow;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts, partner_levels};
use crate::error::Result;
use crate::events::EventType;
use crate::money::Money;
use crate::program::ProgramConfig;
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

/// The next level of a partner: either figure is enough to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextLevel {
    /// Its number.
    #[schema(minimum = 1, example = 2)]
    pub level: i32,
    /// Its name.
    #[schema(example = "Advanced")]
    pub name: String,
    /// Paid containers that reach it.
    #[schema(minimum = 0, example = 25)]
    pub min_paid_containers: i64,
    /// Referral value that reaches it.
    pub min_referral_value: Money,
    /// How many more paid containers reach it.
    #[schema(minimum = 0, example = 12)]
    pub missing_paid_containers: i64,
    /// How much more referral value reaches it.
    pub missing_referral_value: Money,
}

/// What a partner of `level` with these figures (paid containers, referral value in minor units) needs for the next level;
/// none on the highest.
#[must_use]
pub fn next(program: &ProgramConfig, level: i32, (paid_containers, referral_minor): (i64, i64)) -> Option<NextLevel> {
    let next = program.levels.iter().find(|row| row.level > level)?;
    let wanted = next.min_referral_value;
    Some(NextLevel {
        level: next.level,
        name: next.name.clone(),
        min_paid_containers: next.min_paid_containers,
        min_referral_value: wanted,
        missing_paid_containers: (next.min_paid_containers - paid_containers).max(0),
        missing_referral_value: Money::new((wanted.minor - referral_minor).max(0), wanted.currency),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_level_tells_what_is_missing_in_either_figure() {
        let program = ProgramConfig::first();
        let next_of = |level, figures| {
            next(&program, level, figures)
                .map(|next| (next.level, next.missing_paid_containers, next.missing_referral_value.minor))
        };
        assert_eq!(next_of(1, (10, 6_000)), Some((2, 15, 19_000)));
        assert_eq!(next_of(2, (100, 0)), Some((3, 0, 100_000)));
        assert_eq!(next_of(3, (0, 0)), None);
    }
}
