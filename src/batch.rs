//! What the operator's batches share: up to 1000 elements, applied in array order in one transaction, each with an outcome
//! of its own. A bad element is rejected by itself and leaves no trace.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::context::Context;
use crate::error::{Code, Error, Problem, ProblemBody, Result, Violation};

/// Most elements of a batch.
pub const MAX_ELEMENTS: usize = 1_000;

/// How far ahead of the server the time of an element may be (domain section 5).
const MAX_AHEAD_S: i64 = 5 * 60;

crate::text_enum! {
    /// What became of an element.
    pub enum Outcome {
        /// It took effect, durably.
        Applied = "applied",
        /// It took effect before; nothing changed now.
        Duplicate = "duplicate",
        /// Its id was applied with other content; nothing changed.
        Conflict = "conflict",
        /// It was refused and left no trace; its id may be sent again.
        Rejected = "rejected",
    }
}

/// What became of each element, in the order of the batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchResults {
    /// One result per element.
    #[schema(max_items = 1000)]
    pub results: Vec<ElementResult>,
}

/// What became of an element.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"index": 0, "id": "evt-2026-000001", "outcome": "applied",
    "commissionId": "com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "retryable": false, "problem": null}))]
pub struct ElementResult {
    /// Its place in the batch, from 0.
    #[schema(minimum = 0, example = 0)]
    pub index: usize,
    /// Its id; null where it has none, as usage reports and container states.
    #[schema(required = true, example = "evt-2026-000001")]
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The commission row that a payment made, now or when it was first applied; null for everything else, as for the payment of a client
    /// without a manager. What a refund took back, `GET /v3/commissions` tells.
    #[schema(required = true)]
    pub commission_id: Option<LineId>,
    /// Whether sending it again later may help.
    pub retryable: bool,
    /// Why it was refused.
    #[schema(required = true)]
    pub problem: Option<ProblemBody>,
}

/// What became of an element, before it is shown.
#[derive(Debug)]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// The commission row that it made.
    pub commission_id: Option<LineId>,
    /// Why it was refused.
    pub problem: Option<Problem>,
}

impl Verdict {
    /// The verdict on an element whose effect is `result`.
    ///
    /// # Errors
    /// What is no refusal: the database's own failure.
    pub fn of(result: Result<Option<LineId>>) -> Result<Self> {
        match result {
            Ok(commission_id) => Ok(Self { outcome: Outcome::Applied, commission_id, problem: None }),
            Err(Error::Problem(problem)) => {
                Ok(Self { outcome: Outcome::Rejected, commission_id: None, problem: Some(*problem) })
            }
            Err(other) => Err(other),
        }
    }
}

/// How many of `verdicts` took effect.
#[must_use]
pub fn applied(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Applied).count()
}

/// Refuses a batch that is too large; `field` is where its elements stand in the body.
///
/// # Errors
/// 422.
pub fn refuse_oversize(field: &str, elements: usize) -> Result<()> {
    if elements <= MAX_ELEMENTS {
        return Ok(());
    }
    let detail = format!("has {elements} elements; at most {MAX_ELEMENTS} are taken at once");
    Err(Error::invalid(&format!("/{field}"), "length", detail))
}

/// Refuses an element whose time, in its field `field`, is too far ahead of the server's.
///
/// # Errors
/// `occurredInFuture`.
pub fn refuse_future(field: &str, time: Timestamp, now: Timestamp) -> Result<()> {
    if time <= now.plus_seconds(MAX_AHEAD_S) {
        return Ok(());
    }
    let detail = format!("{field} {time} is more than 5 minutes ahead of the server's time {now}");
    let rule = "is more than 5 minutes ahead of the server's time";
    Err(Problem::new(Code::OccurredInFuture, detail).with(Violation::at(format!("/{field}"), "tooLate", rule)).into())
}

/// The answer to a batch whose elements stand at `field`, with the id of each element that has one.
pub fn results(
    context: &Context,
    instance: &str,
    field: &str,
    verdicts: impl IntoIterator<Item = (Option<String>, Verdict)>,
) -> BatchResults {
    let results = verdicts.into_iter().enumerate().map(|(index, (id, verdict))| {
        let problem = verdict.problem.map(|problem| problem.within(&format!("/{field}/{index}")));
        ElementResult {
            index,
            id,
            outcome: verdict.outcome,
            commission_id: verdict.commission_id,
            retryable: problem.as_ref().is_some_and(|problem| is_retryable(problem.code)),
            problem: problem.map(|problem| problem.body(instance, &context.request_id)),
        }
    });
    BatchResults { results: results.collect() }
}

const fn is_retryable(code: Code) -> bool {
    matches!(code, Code::ContainerUnknown | Code::PaymentUnknown)
}

/// A row in memory, and whether the database has it and it changed.
#[derive(Debug)]
pub struct Tracked<T> {
    /// The row.
    pub row: T,
    is_new: bool,
    changed: bool,
}

impl<T> Tracked<T> {
    /// A row that the database has.
    pub const fn stored(row: T) -> Self {
        Self { row, is_new: false, changed: false }
    }

    /// A row that is to be inserted.
    pub const fn new(row: T) -> Self {
        Self { row, is_new: true, changed: false }
    }

    /// The row, to be changed.
    pub const fn change(&mut self) -> &mut T {
        self.changed = true;
        &mut self.row
    }

    /// The rows to insert, and those to update.
    pub fn split(rows: impl Iterator<Item = Self>) -> (Vec<T>, Vec<T>) {
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for tracked in rows {
            if tracked.is_new {
                new.push(tracked.row);
            } else if tracked.changed {
                changed.push(tracked.row);
            }
        }
        (new, changed)
    }
}
