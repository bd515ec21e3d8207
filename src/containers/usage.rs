//! Requests counted per usage period, and when the plan's limit is reached (domain section 4). Pure.
//!
//! The start of a period names it. Reports in any order leave the newest period with its greatest count.

use super::models::ContainerRow;
use crate::clock::Timestamp;
use crate::program::ProgramConfig;

/// What a report says.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// End of the usage period.
    pub period_end: Timestamp,
    /// Requests in it so far.
    pub requests: i64,
    /// When they were counted.
    pub reported_at: Timestamp,
}

/// The requests a month of the container's plan; none is without limit.
#[must_use]
pub fn limit_of(container: &ContainerRow, program: &ProgramConfig) -> Option<i64> {
    program.plan(container.product, &container.plan).and_then(|plan| plan.request_limit)
}

/// Counts a report: a later period opens anew, within a period the count never falls, and one for a past period changes
/// nothing.
pub fn count(container: &mut ContainerRow, report: Count, limit: Option<i64>) {
    let is_past = container.usage_period_start.is_some_and(|present| report.period_start < present);
    if is_past {
        return;
    }
    if container.usage_period_start == Some(report.period_start) {
        container.usage_requests = container.usage_requests.max(report.requests);
        container.usage_period_end = container.usage_period_end.max(Some(report.period_end));
    } else {
        container.usage_requests = report.requests;
        container.usage_period_start = Some(report.period_start);
        container.usage_period_end = Some(report.period_end);
        container.limit_exceeded_at = None;
    }
    settle_limit(container, limit, report.reported_at);
}

/// Notes that the plan's limit was reached at `time`, unless that is noted already, or that it is not reached.
pub fn settle_limit(container: &mut ContainerRow, limit: Option<i64>, time: Timestamp) {
    let is_reached = limit.is_some_and(|limit| container.usage_requests >= limit);
    container.limit_exceeded_at = if is_reached { container.limit_exceeded_at.or(Some(time)) } else { None };
}
