//! What each billing event does (domain section 5). Decides on what [`World`] has loaded and changes it in memory; every
//! refusal comes before the first change, so a rejected event leaves no trace.

mod payment;
mod refund;
mod subscription;

use super::event::EventData;
use super::world::World;
use crate::batch::refuse_future;
use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::containers::{ContainerRow, Product};
use crate::context::Context;
use crate::error::{Code, Problem, Result, Violation};
use crate::events::{EventType, NewEvent};
use crate::id::{AccountId, ContainerId, Resource};
use crate::money::Currency;

/// Applies one event; answers the commission row that it made, if any.
///
/// # Errors
/// A [`Problem`] for what is refused, with pointers from the element's own root.
pub fn apply(world: &mut World, context: &Context, occurred_at: Timestamp, data: &EventData) -> Result<Option<LineId>> {
    refuse_future("occurredAt", occurred_at, context.now)?;
    match data {
        EventData::Payment(payment) => payment::apply(world, context, occurred_at, payment),
        EventData::Refund(refund) => refund::apply(world, context, occurred_at, refund).map(|()| None),
        EventData::Subscription(change) => subscription::apply(world, context, occurred_at, change).map(|()| None),
    }
}

fn known_container<'a>(world: &'a World, container_id: &str) -> Result<&'a ContainerRow> {
    let found = container_id.parse::<ContainerId>().ok().and_then(|id| world.containers.get(&id));
    found.map(|tracked| &tracked.row).ok_or_else(|| {
        let violation = Violation::at("/data/containerId", "unknown", "is not the id of a container");
        Problem::new(Code::ContainerUnknown, "there is no such container").with(violation).into()
    })
}

/// A plan counts that the program had at the time of the event, or has now.
fn refuse_unknown_plan(world: &World, occurred_at: Timestamp, product: Product, plan: &str) -> Result<()> {
    let versions = [world.programs.at(occurred_at)?, world.programs.newest()?];
    if versions.iter().any(|version| version.config.plan(product, plan).is_some()) {
        return Ok(());
    }
    let violation = Violation::at("/data/plan", "unknown", format!("is not a plan of {product}"));
    Err(Problem::new(Code::PlanUnknown, format!("the program has no plan {plan:?} for {product}"))
        .with(violation)
        .into())
}

/// A currency counts that the program listed at the time of the event, or lists now.
fn refuse_unlisted_currency(world: &World, occurred_at: Timestamp, currency: Currency, pointer: &str) -> Result<()> {
    let versions = [world.programs.at(occurred_at)?, world.programs.newest()?];
    if versions.iter().any(|version| version.config.currency_terms(currency).is_some()) {
        return Ok(());
    }
    let violation = Violation::at(pointer, "currencyNotSupported", "is not a currency of the program");
    Err(Problem::new(Code::CurrencyNotSupported, format!("the program does not list {currency}"))
        .with(violation)
        .into())
}

fn tell(world: &mut World, account_id: AccountId, event_type: EventType, resource: impl Into<Resource>) {
    world.new_events.push(NewEvent { account_id, event_type, resource: resource.into() });
}
