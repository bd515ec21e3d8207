//! What the platform reports of containers, in batches of the operator: requests counted, statuses and errors.
//!
//! Reports have no ids of their own: the same one again is `applied` and changes nothing, and so is one that is older than
//! what is known already. A report about a deleted container is applied and changes nothing either.

mod handlers;
mod states;
mod usage;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use validator::Validate;

pub use handlers::operator_routes;
use states::ContainerState;
use usage::UsageReport;

use super::alerts;
use super::models::ContainerRow;
use crate::batch::{self, BatchResults, Tracked, Verdict};
use crate::context::Context;
use crate::db::schema::containers;
use crate::db::{Conn, Db, KeepPrepared};
use crate::error::{Code, Problem, Result, Violation};
use crate::events::{self, EventType, NewEvent};
use crate::http::json;
use crate::id::{AccountId, ContainerId, Resource};
use crate::program::{self, ProgramConfig};
use crate::{accounts, audit};

/// Applies usage reports in the caller's transaction.
///
/// # Errors
/// The database's own failure; refusals are verdicts.
pub fn apply_usage(conn: &mut Conn, context: &Context, reports: Vec<Value>) -> Result<Vec<Verdict>> {
    apply_batch::<UsageReport>(conn, context, &read(reports))
}

/// Applies container states in the caller's transaction.
///
/// # Errors
/// The database's own failure; refusals are verdicts.
pub fn apply_states(conn: &mut Conn, context: &Context, states: Vec<Value>) -> Result<Vec<Verdict>> {
    apply_batch::<ContainerState>(conn, context, &read(states))
}

fn read<R: Report>(elements: Vec<Value>) -> Vec<Element<R>> {
    elements.into_iter().map(json::from_value).collect()
}

/// A kind of report about one container.
trait Report: DeserializeOwned + Validate + Send + Sync + 'static {
    /// Where the elements stand in the body.
    const FIELD: &'static str;
    /// What the audit log calls a batch of them.
    const BATCH: &'static str;

    /// The container's id, as it was sent.
    fn container_id(&self) -> &str;

    /// Refuses what breaks a rule by itself.
    ///
    /// # Errors
    /// 422.
    fn check(&self, context: &Context) -> Result<()>;

    /// Takes the report over into the container's row; whether those who watch the container are to be told.
    ///
    /// # Errors
    /// What is stored of the container cannot be read.
    fn apply(&self, row: &mut ContainerRow, program: &ProgramConfig) -> Result<bool>;
}

/// An element of a batch, or why it cannot be understood.
type Element<R> = std::result::Result<R, Problem>;

/// Applies a batch; what it answers as applied is durable.
async fn take<R: Report>(
    database: &Db,
    context: Context,
    instance: &str,
    elements: Vec<Map<String, Value>>,
) -> Result<BatchResults> {
    batch::refuse_oversize(R::FIELD, elements.len())?;
    let elements: Arc<Vec<Element<R>>> = Arc::new(read(elements.into_iter().map(Value::Object).collect()));
    let in_write = context.clone();
    let verdicts = database.write(move |conn| apply_batch(conn, &in_write, &elements)).await?;
    Ok(batch::results(&context, instance, R::FIELD, verdicts.into_iter().map(|verdict| (None, verdict))))
}

fn apply_batch<R: Report>(conn: &mut Conn, context: &Context, elements: &[Element<R>]) -> Result<Vec<Verdict>> {
    let named = elements.iter().flatten().filter_map(|report| report.container_id().parse().ok());
    let named: BTreeSet<ContainerId> = named.collect();
    let (context, _) = &accounts::lock_concerned(conn, context, |conn| watchers(conn, &named))?;
    let rows: Vec<ContainerRow> =
        containers::table.filter(containers::id.eq_any(&named)).select(ContainerRow::as_select()).load(conn)?;
    let mut rows: HashMap<ContainerId, Tracked<ContainerRow>> =
        rows.into_iter().map(|row| (row.id, Tracked::stored(row))).collect();
    let program = program::service::current(conn)?;
    let (mut told, mut alerted) = (Vec::new(), BTreeSet::new());
    let judge = |element: &Element<R>| {
        let effect = element.as_ref().map_err(|problem| problem.clone().into());
        let effect =
            effect.and_then(|report| apply(report, context, &program.config, &mut rows, &mut told, &mut alerted));
        Verdict::of(effect.map(|()| None))
    };
    let verdicts = elements.iter().map(judge).collect::<Result<Vec<_>>>()?;
    let (_, changed) = Tracked::split(rows.into_values());
    for row in changed {
        diesel::update(containers::table.find(row.id)).set(&row).kept().execute(conn)?;
    }
    alerts::refresh(conn, &alerted)?;
    events::record_many(conn, context.now, &told)?;
    let applied = batch::applied(&verdicts);
    if applied > 0 {
        let resource = Resource { kind: R::BATCH, id: context.request_id.clone() };
        let action = format!("{}.applied", R::BATCH);
        audit::record(conn, context, None, &action, resource, Some(json!({"applied": applied})))?;
    }
    Ok(verdicts)
}

fn apply<R: Report>(
    report: &R,
    context: &Context,
    program: &ProgramConfig,
    rows: &mut HashMap<ContainerId, Tracked<ContainerRow>>,
    told: &mut Vec<NewEvent>,
    alerted: &mut BTreeSet<AccountId>,
) -> Result<()> {
    report.check(context)?;
    let tracked = report.container_id().parse().ok().and_then(|id: ContainerId| rows.get_mut(&id));
    let tracked = tracked.ok_or_else(unknown_container)?;
    if tracked.row.deleted_at.is_some() {
        return Ok(());
    }
    let mut after = tracked.row.clone();
    let is_news = report.apply(&mut after, program)?;
    if after == tracked.row {
        return Ok(());
    }
    after.updated_at = context.now;
    if alerts::differ(&tracked.row, &after) {
        alerted.insert(after.account_id);
    }
    if is_news {
        let resource = Resource::from(after.id);
        let event =
            |account_id| NewEvent { account_id, event_type: EventType::ContainerUpdated, resource: resource.clone() };
        told.extend([Some(after.account_id), after.manager_id].into_iter().flatten().map(event));
    }
    *tracked.change() = after;
    Ok(())
}

fn watchers(conn: &mut Conn, named: &BTreeSet<ContainerId>) -> Result<BTreeSet<AccountId>> {
    let rows: Vec<(AccountId, Option<AccountId>)> = containers::table
        .filter(containers::id.eq_any(named))
        .select((containers::account_id, containers::manager_id))
        .load(conn)?;
    Ok(rows.into_iter().flat_map(|(owner_id, manager_id)| [Some(owner_id), manager_id]).flatten().collect())
}

fn unknown_container() -> crate::error::Error {
    let violation = Violation::at("/containerId", "unknown", "is not the id of a container");
    Problem::new(Code::ContainerUnknown, "there is no such container").with(violation).into()
}
