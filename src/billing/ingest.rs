//! A batch of billing events: one transaction, applied in array order, each element with an outcome of its own.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::apply::apply;
use super::event::{BillingEvent, Element};
use super::models::BillingEventRow;
use super::world::World;
use crate::audit;
use crate::batch::{self, BatchResults, Outcome, Verdict, refuse_oversize};
use crate::context::Context;
use crate::db::{self, Conn, Db};
use crate::error::{Code, Error, Problem, Result};
use crate::id::Resource;

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

/// Applies a batch; what it answers as applied is durable.
///
/// # Errors
/// 422 for more than 1000 elements; the database's own failure.
pub async fn ingest(database: &Db, context: Context, instance: &str, batch: BillingEvents) -> Result<BatchResults> {
    refuse_oversize("events", batch.events.len())?;
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
    let ids = elements.iter().map(|element| element.id.clone());
    Ok(batch::results(&context, instance, "events", ids.zip(verdicts)))
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
    let applied = batch::applied(&verdicts);
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
    let (commission_id, occurred_at, data) = match applied {
        Ok(applied) => applied,
        Err(error) => return Verdict::of(Err(error)),
    };
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
    Verdict::of(Ok(commission_id))
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
