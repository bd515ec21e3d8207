//! Batches of billing events: applied in array order, each element with an outcome of its own, each batch in one transaction.
//! Batches that wait at the same time share one.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::apply::apply;
use super::event::{BillingEvent, Element};
use super::models::BillingEventRow;
use super::world::World;
use crate::audit::{self, AuditRow};
use crate::batch::{self, BatchResults, Outcome, Verdict, refuse_oversize};
use crate::clock::Clock;
use crate::context::Context;
use crate::db::{self, Conn, Db, keep_plans};
use crate::error::{Code, Error, Problem, Result};
use crate::group_commit::{GroupCommit, Rules};
use crate::id::Resource;

/// Events of one transaction, but for those of its last batch: as many as one batch may have by itself.
const GROUP_MAX: usize = batch::MAX_ELEMENTS;

/// A small part of what a transaction takes.
const LINGER: Duration = Duration::from_micros(300);

/// Batches that wait at most; more are turned away with 503.
const QUEUE_MAX: usize = 1_024;

/// How long a batch waits for a database that neither commits nor fails.
const DEADLINE: Duration = Duration::from_secs(30);

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

/// A batch that somebody posted.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Who posted it, and in which request.
    pub context: Context,
    /// Its events.
    pub elements: Arc<[Element]>,
}

impl Batch {
    /// Whether its effects have audit rows of their own, which name one request: it gets a transaction of its own.
    fn stands_alone(&self) -> bool {
        self.elements.iter().any(Element::changes_a_subscription)
    }
}

/// Takes batches in, those that wait together in one transaction.
#[derive(Debug)]
pub struct Ingest {
    commits: GroupCommit<Batch, Vec<Verdict>>,
}

impl Ingest {
    /// Starts the threads: on PostgreSQL one for each core, for what concerns different accounts.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: &Db, clock: &Clock) -> Result<Self> {
        let rules = Rules {
            name: "billing events",
            weigh: |batch: &Batch| batch.elements.len(),
            group_weight: GROUP_MAX,
            linger: LINGER,
            queue_length: QUEUE_MAX,
            deadline: DEADLINE,
        };
        let writer = || {
            let (db, clock) = (db.clone(), clock.clone());
            move |batches: Vec<Batch>| write(&db, &clock, &batches)
        };
        let writers = std::iter::repeat_with(writer).take(db.parallel_writes());
        Ok(Self { commits: GroupCommit::start(rules, writers)? })
    }

    /// How many batches wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.commits.waiting()
    }

    /// Applies a batch; what it answers as applied is durable.
    ///
    /// # Errors
    /// 422 for more than 1000 elements; the database's own failure.
    pub async fn ingest(&self, context: Context, instance: &str, batch: BillingEvents) -> Result<BatchResults> {
        refuse_oversize("events", batch.events.len())?;
        let values = batch.events.into_iter().map(Value::Object);
        let elements: Arc<[Element]> = values.map(Element::read).collect();
        let batch = Batch { context: context.clone(), elements: elements.clone() };
        let verdicts = self.commits.submit(batch).await?;
        let ids = elements.iter().map(|element| element.id.clone());
        Ok(batch::results(&context, instance, "events", ids.zip(verdicts)))
    }
}

/// Writes batches in their order, neighbours together. A database that is away would let each wait for it in turn: as soon as
/// one finds it away, all that follow learn it with it.
fn write(db: &Db, clock: &Clock, batches: &[Batch]) -> Vec<Result<Vec<Verdict>>> {
    let mut answers = Vec::with_capacity(batches.len());
    for group in batches.chunk_by(|one, next| !one.stands_alone() && !next.stands_alone()) {
        answers.extend(write_together_or_alone(db, clock, group));
        if let Some(Err(Error::Unavailable(reason))) = answers.last() {
            let reason = reason.clone();
            answers.resize_with(batches.len(), || Err(Error::Unavailable(reason.clone())));
            break;
        }
    }
    answers
}

/// Writes batches together. Where that fails, each is written by itself, so that none suffers from another, until one finds
/// the database away.
fn write_together_or_alone(db: &Db, clock: &Clock, group: &[Batch]) -> Vec<Result<Vec<Verdict>>> {
    let error = match write_group(db, clock, group) {
        Ok(verdicts) => return verdicts.into_iter().map(Ok).collect(),
        Err(error) if group.len() == 1 => return vec![Err(error)],
        Err(error) => error,
    };
    log::info!("{} batches together: {error}", group.len());
    let mut answers = Vec::with_capacity(group.len());
    for batch in group {
        let verdicts = write_group(db, clock, std::slice::from_ref(batch));
        let is_away = matches!(verdicts, Err(Error::Unavailable(_)));
        answers.push(verdicts.map(|verdicts| verdicts.into_iter().flatten().collect()));
        if is_away {
            break;
        }
    }
    answers
}

fn write_group(db: &Db, clock: &Clock, group: &[Batch]) -> Result<Vec<Vec<Verdict>>> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (batches, clock) = (group.to_vec(), clock.clone());
        match db.write_blocking(move |conn| apply_batches(conn, &clock, &batches)) {
            // Two servers took the same ids at once: what the other one wrote is visible to the next attempt.
            Err(Error::Database(error)) if attempt < CONFLICT_ATTEMPTS && took_an_id(&error) => {}
            done => return done,
        }
    }
}

/// Applies the elements of batches in one transaction; answers the verdicts on each batch. Its time is told under the locks of
/// the accounts: what waited for them over the end of a month is posted in the next one, for the statement of a month that is
/// over never changes.
///
/// # Errors
/// The database's own failure; refusals are verdicts.
pub fn apply_batches(conn: &mut Conn, clock: &Clock, batches: &[Batch]) -> Result<Vec<Vec<Verdict>>> {
    keep_plans(conn)?;
    let (now, mut world) = World::load(conn, clock, batches.iter().flat_map(|batch| batch.elements.iter()))?;
    let mut verdicts = Vec::with_capacity(batches.len());
    for batch in batches {
        let context = Context { now, ..batch.context.clone() };
        let judged =
            batch.elements.iter().map(|element| judge(&mut world, &context, element)).collect::<Result<Vec<_>>>()?;
        verdicts.push((context, judged));
    }
    let effective: Vec<_> = verdicts.iter().filter(|(_, judged)| batch::applied(judged) > 0).collect();
    if let Some((context, _)) = effective.first() {
        world.write(conn, context)?;
    }
    let audit_row = |(context, judged): &&(Context, Vec<Verdict>)| {
        let resource = Resource { kind: "billingEvents", id: context.request_id.clone() };
        let applied = json!({"applied": batch::applied(judged)});
        AuditRow::new(context, None, "billingEvents.applied", resource, Some(applied))
    };
    audit::record_rows(conn, &effective.iter().map(audit_row).collect::<Vec<_>>())?;
    Ok(verdicts.into_iter().map(|(_, judged)| judged).collect())
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
