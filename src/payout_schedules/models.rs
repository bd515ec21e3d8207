//! Rows of schedules and of their next dates, and how the API shows them. No rules.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::calendar::{Rhythm, ScheduleType};
use crate::clock::Timestamp;
use crate::db::schema::{payout_schedules, scheduled_payouts};
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::money::{Currency, Money};

/// A schedule as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = payout_schedules)]
pub struct ScheduleRow {
    /// Whose.
    pub account_id: AccountId,
    /// How often.
    pub schedule_type: ScheduleType,
    /// On which day; none where it is manual.
    pub day_of_month: Option<i32>,
    /// JSON: minor units by currency.
    pub minimums: String,
    /// When it was set last.
    pub changed_at: Timestamp,
}

impl ScheduleRow {
    /// Its dates; none where it is manual.
    #[must_use]
    pub fn rhythm(&self) -> Option<Rhythm> {
        Rhythm::of(self.schedule_type, self.day_of_month)
    }

    /// Own minimums in minor units, by currency.
    ///
    /// # Errors
    /// A row that was not written by this server.
    pub fn minimums(&self) -> Result<BTreeMap<Currency, i64>> {
        serde_json::from_str(&self.minimums).map_err(Error::internal)
    }
}

/// The next date of a currency as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = scheduled_payouts)]
pub struct ScheduledRow {
    /// Whose.
    pub account_id: AccountId,
    /// Of which currency.
    pub currency: Currency,
    /// The date's beginning.
    pub scheduled_for: Timestamp,
    /// The date's beginning, or the end of the hold of its method.
    pub due_at: Timestamp,
}

/// When payouts are requested by themselves.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutSchedule {
    /// How often.
    #[serde(rename = "type")]
    pub schedule_type: ScheduleType,
    /// On which day of the month (UTC); null where it is manual.
    #[schema(required = true, minimum = 1, maximum = 28, example = 15)]
    pub day_of_month: Option<i32>,
    /// Own minimums: a payout must be more than that, where it is more than the program's.
    pub minimums: Vec<Money>,
    /// The next date of each currency that has a payout method, by currency.
    pub next_dates: Vec<NextDate>,
}

/// The next date of a currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextDate {
    /// The currency.
    pub currency: Currency,
    /// The date's beginning.
    #[schema(example = "2026-02-15T00:00:00.000Z")]
    pub scheduled_for: Timestamp,
    /// From when on the payout is requested: the date's beginning, or the end of the hold after a change of the method.
    #[schema(example = "2026-02-15T00:00:00.000Z")]
    pub due_at: Timestamp,
}

impl From<ScheduledRow> for NextDate {
    fn from(row: ScheduledRow) -> Self {
        Self { currency: row.currency, scheduled_for: row.scheduled_for, due_at: row.due_at }
    }
}

/// When payouts shall be requested by themselves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "monthly", "dayOfMonth": 15, "minimums": [{"amount": "250.00", "currency": "USD"}]}))]
pub struct SetPayoutSchedule {
    /// How often.
    #[serde(rename = "type")]
    pub schedule_type: ScheduleType,
    /// On which day of the month (UTC); null, or left out, where it is manual.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 28, example = 15)]
    pub day_of_month: Option<i32>,
    /// Own minimums, at most one per currency, none below the program's.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub minimums: Vec<Money>,
}

/// Its rules depend on each other and on the program: `service::set` names all that are broken at once.
impl Validate for SetPayoutSchedule {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}
