//! A usage report: how many requests a container has had in a usage period.

use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Report;
use crate::batch::refuse_future;
use crate::clock::Timestamp;
use crate::containers::ContainerRow;
use crate::containers::usage::{self, Count};
use crate::context::Context;
use crate::error::{Problem, Result, Violation};
use crate::program::ProgramConfig;

/// Most requests that a report may count: 2^53, what every JSON reader holds exactly.
const MAX_REQUESTS: i64 = 1 << 53;

/// How many requests a container has had in a usage period so far.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageReport {
    /// The container.
    #[schema(example = "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub container_id: String,
    /// Start of the usage period, which it names; at most 5 minutes ahead of the server's time.
    pub period_start: Timestamp,
    /// End of the usage period, after its start.
    pub period_end: Timestamp,
    /// Requests in the period so far.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_992_i64, example = 412_000)]
    pub requests: i64,
    /// When they were counted, at most 5 minutes ahead of the server's time.
    pub reported_at: Timestamp,
}

impl Report for UsageReport {
    const FIELD: &'static str = "reports";
    const BATCH: &'static str = "usageReports";

    fn container_id(&self) -> &str {
        &self.container_id
    }

    fn check(&self, context: &Context) -> Result<()> {
        let mut violations = Vec::new();
        if !(0..=MAX_REQUESTS).contains(&self.requests) {
            violations.push(Violation::at("/requests", "range", format!("must be 0 to {MAX_REQUESTS}")));
        }
        if self.period_start >= self.period_end {
            violations.push(Violation::at("/periodEnd", "range", "must be after the period's start"));
        }
        if !violations.is_empty() {
            return Err(Problem::validation(violations).into());
        }
        refuse_future("periodStart", self.period_start, context.now)?;
        refuse_future("reportedAt", self.reported_at, context.now)
    }

    /// Those who watch are told when the limit is reached, and when it is not any more; not of every count.
    fn apply(&self, row: &mut ContainerRow, program: &ProgramConfig) -> Result<bool> {
        let was_exceeded = row.limit_exceeded_at;
        let report = Count {
            period_start: self.period_start,
            period_end: self.period_end,
            requests: self.requests,
            reported_at: self.reported_at,
        };
        let limit = usage::limit_of(row, program);
        usage::count(row, report, limit);
        Ok(row.limit_exceeded_at != was_exceeded)
    }
}
