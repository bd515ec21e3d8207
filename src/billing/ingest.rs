//! A batch of billing events: one transaction, applied in array order, each element with an outcome of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::apply::apply;
use super::event::{BillingEvent, Element};
use super::models::BillingEventRow;
use super::world::World;
use crate::audit;
use crate::commissions::LineId;
use crate::context::Context;
use crate::db::{self, Conn, Db};
use crate::error::{Code, Error, Problem, ProblemBody, Result};
use crate::id::Resource;

/// Most elements of a batch.
pub const MAX_EVENTS: usize = 1_000;

/// How often a batch is applied again because another server took the same ids meanwhile.
const CONFLICT_ATTEMPTS: usize = 3;

/// A batch of billing events.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillingEvents {
    /// 0 to 1000 events, applied in this order.
    #[schema(value_type = Vec<BillingEvent>, max_items = 1000)]
    pub events: Vec<serde_json::Map<String, Value>>,
}

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
    pub results: Vec<ElementResult>,
}

/// What became of an element.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElementResult {
    /// Its place in the batch, from 0.
    #[schema(minimum = 0, example = 0)]
    pub index: usize,
    /// Its id; null where it has none.
    #[schema(required = true, example = "evt-2026-000001")]
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The commission row that it made, now or when it was first applied.
    #[schema(required = true)]
    pub commission_id: Option<LineId>,
    /// Whether sending it again later may help.
    pub retryable: bool,
    /// Why it was refused.
    #[schema(required = true)]
    pub problem: Option<ProblemBody>,
}

/// Applies a batch; what it answers as applied is durable.
///
/// # Errors
/// 422 for more than 1000 elements; the database's own failure.
pub async fn ingest(database: &Db, context: Context, instance: &str, batch: BillingEvents) -> Result<BatchResults> {
    if batch.events.len() > MAX_EVENTS {
        let detail = format!("has {} elements; at most {MAX_EVENTS} are taken at once", batch.events.len());
        return Err(Error::invalid("/events", "length", detail));
    }
    let values = batch.events.into_iter().map(Value::Object);
    let elements = std::sync::Arc::new(values.map(Element::read).collect::<Vec<_>>());
    let mut attempt = 0;
    let verdicts = loop {
        attempt += 1;
        let (work, context) = (elements.clone(), context.clone());
        match database.write(move |conn| apply_batch(conn, &context, &work)).await {
            // Two servers took the same ids at once: what the other one wrote is visible to the next attempt.
            Err(Error::Database(error)) if attempt < CONFLICT_ATTEMPTS && took_an_id(&error) => {}
            done => break done?,
        }
    };
    let results = elements.iter().zip(verdicts).enumerate();
    let results = results.map(|(index, (element, verdict))| {
        let prefix = format!("/events/{index}");
        let problem = verdict.problem.map(|problem| problem.within(&prefix));
        ElementResult {
            index,
            id: element.id.clone(),
            outcome: verdict.outcome,
            commission_id: verdict.commission_id,
            retryable: problem.as_ref().is_some_and(|problem| is_retryable(problem.code)),
            problem: problem.map(|problem| problem.body(instance, &context.request_id)),
        }
    });
    Ok(BatchResults { results: results.collect() })
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

/// Applies the elements of a batch in one transaction.
///
/// # Errors
/// The database's own failure; refusals are verdicts.
pub fn apply_batch(conn: &mut Conn, context: &Context, elements: &[Element]) -> Result<Vec<Verdict>> {
    let mut world = World::load(conn, elements)?;
    let mut verdicts = Vec::with_capacity(elements.len());
    for element in elements {
        verdicts.push(judge(&mut world, context, element)?);
    }
    let applied = verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Applied).count();
    if applied > 0 {
        world.write(conn, context)?;
        let batch = Resource { kind: "billingEvents", id: context.request_id.clone() };
        audit::record(conn, context, None, "billingEvents.applied", batch, Some(json!({"applied": applied})))?;
    }
    Ok(verdicts)
}

fn judge(world: &mut World, context: &Context, element: &Element) -> Result<Verdict> {
    if let Some(known) = element.id.as_ref().and_then(|id| world.known_events.get(id)) {
        return Ok(repeated(known, element));
    }
    let applied = match &element.content {
        Err(problem) => Err(Error::from(problem.clone())),
        Ok((occurred_at, data)) => apply(world, context, *occurred_at, data).map(|line| (line, *occurred_at, data)),
    };
    match applied {
        Ok((commission_id, occurred_at, data)) => {
            let id = element.id.clone().ok_or_else(|| Error::internal("an applied event has an id"))?;
            let row = BillingEventRow {
                id: id.clone(),
                event_type: data.event_type(),
                fingerprint: element.fingerprint.to_vec(),
                commission_id,
                occurred_at,
                received_at: context.now,
            };
            world.known_events.insert(id, row.clone());
            world.applied.push(row);
            Ok(Verdict { outcome: Outcome::Applied, commission_id, problem: None })
        }
        Err(Error::Problem(problem)) => {
            Ok(Verdict { outcome: Outcome::Rejected, commission_id: None, problem: Some(*problem) })
        }
        Err(other) => Err(other),
    }
}

fn repeated(known: &BillingEventRow, element: &Element) -> Verdict {
    if known.fingerprint == element.fingerprint {
        return Verdict { outcome: Outcome::Duplicate, commission_id: known.commission_id, problem: None };
    }
    let detail = format!("the event {} was applied with other content", known.id);
    Verdict {
        outcome: Outcome::Conflict,
        commission_id: None,
        problem: Some(Problem::new(Code::EventConflict, detail)),
    }
}

/// Whether another server applied one of the batch's ids at the same time.
fn took_an_id(error: &diesel::result::Error) -> bool {
    let ids = ["billing_events.id", "payments.external_id", "refunds.external_id"];
    ids.iter().any(|column| db::is_unique_violation(error, column))
}

const fn is_retryable(code: Code) -> bool {
    matches!(code, Code::ContainerUnknown | Code::PaymentUnknown)
}
