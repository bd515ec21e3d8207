//! `subscription.changed`: the container's subscription, its manager's counters and level, and the operator request that it
//! carries out.

use std::collections::BTreeSet;

use super::super::event::SubscriptionChanged;
use super::super::world::World;
use super::{known_container, refuse_unknown_plan, refuse_unlisted_currency, tell};
use crate::clock::Timestamp;
use crate::containers::{ContainerRow, alerts, slots, usage};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::events::EventType;
use crate::id::AccountId;
use crate::operator_requests::{OperatorRequestRow, OperatorRequestStatus, OperatorRequestType};

/// Applies a change; one older than the last applied changes nothing and closes no request. One that names a request which has
/// ended meanwhile is applied all the same: the billing system has made the change, and cannot know who was faster.
///
/// # Errors
/// The refusals of domain section 5; a `requestId` that is not about this container or one of its owners.
pub fn apply(world: &mut World, context: &Context, occurred_at: Timestamp, change: &SubscriptionChanged) -> Result<()> {
    let before = known_container(world, &change.container_id)?.clone();
    refuse_unknown_plan(world, occurred_at, before.product, &change.plan)?;
    refuse_unlisted_currency(world, occurred_at, change.price.currency, "/data/price/currency")?;
    let request = change.request_id.as_deref().map(|id| named_request(world, &before, id)).transpose()?;
    if before.subscription_changed_at.is_some_and(|last| occurred_at < last) {
        return Ok(());
    }
    let request = request.filter(|request| request.status == OperatorRequestStatus::Open);
    if let Some(request) = &request {
        carry_out(world, context, &before, request)?;
    }
    let after = changed(world, context, occurred_at, change, &before)?;
    count(world, &before, &after)?;
    for client_id in request.iter().map(|request| request.account_id).chain([before.account_id]) {
        rise(world, context, client_id)?;
    }
    let told: Vec<AccountId> = [Some(before.account_id), before.manager_id].into_iter().flatten().collect();
    for account_id in told {
        tell(world, account_id, EventType::SubscriptionChanged, before.id);
        if after.limit_exceeded_at.is_some() != before.limit_exceeded_at.is_some() {
            tell(world, account_id, EventType::ContainerUpdated, before.id);
        }
    }
    if alerts::differ(&before, &after) {
        world.alerted.insert(before.account_id);
    }
    if let Some(tracked) = world.containers.get_mut(&before.id) {
        *tracked.change() = after;
    }
    Ok(())
}

/// The request that the event names. One that is done may be named again: a billing switch by each further container. A former
/// owner's switch may be named by a container that it has just transferred.
fn named_request(world: &World, container: &ContainerRow, id: &str) -> Result<OperatorRequestRow> {
    let request = id.parse().ok().and_then(|id| world.request(id));
    let is_its = |request: &&OperatorRequestRow| match request.container_id {
        Some(container_id) => container_id == container.id,
        None => world.was_owner(request.account_id, container.id),
    };
    let unknown = "is not the id of an operator request about this container or one of its owners";
    request.filter(is_its).cloned().ok_or_else(|| Error::invalid("/data/requestId", "unknown", unknown))
}

fn carry_out(
    world: &mut World,
    context: &Context,
    container: &ContainerRow,
    request: &OperatorRequestRow,
) -> Result<()> {
    let client_manager = world.present_link(request.account_id).map(|link| link.account_id);
    let told: BTreeSet<AccountId> =
        [Some(request.account_id), client_manager, Some(container.account_id), container.manager_id]
            .into_iter()
            .flatten()
            .collect();
    world.carry_out(request.id, &told, context.now);
    match (request.request_type, request.details()?.billing) {
        (OperatorRequestType::BillingSwitch, Some(billing)) => world.switch_billing(request.account_id, billing),
        _ => Ok(()),
    }
}

fn changed(
    world: &World,
    context: &Context,
    occurred_at: Timestamp,
    change: &SubscriptionChanged,
    before: &ContainerRow,
) -> Result<ContainerRow> {
    let mut after = ContainerRow {
        plan: change.plan.clone(),
        billing_period: change.billing_period,
        subscription_status: change.status,
        price_minor: change.price.minor,
        currency: change.price.currency,
        current_period_start: Some(change.current_period_start),
        current_period_end: Some(change.current_period_end),
        cancel_at_period_end: change.cancel_at_period_end,
        next_payment_at: change.next_payment_at,
        subscription_changed_at: Some(occurred_at),
        updated_at: context.now,
        ..before.clone()
    };
    let limit = usage::limit_of(&after, &world.programs.newest()?.config);
    usage::settle_limit(&mut after, limit, occurred_at);
    Ok(after)
}

/// Moves the container's slot in the counters of its manager. A deleted container has no slot.
fn count(world: &mut World, before: &ContainerRow, after: &ContainerRow) -> Result<()> {
    let Some(link) = world.present_link(before.account_id) else { return Ok(()) };
    let (manager_id, billing) = (link.account_id, link.billing);
    let program = world.programs.newest()?;
    if let Some(portfolio) = world.portfolios.get_mut(&manager_id).filter(|_| before.manager_id == Some(manager_id)) {
        portfolio.remove(&slots::slot(before, billing), &program.config)?;
        portfolio.add(&slots::slot(after, billing), &program.config)?;
    }
    Ok(())
}

/// Raises the level of the client's manager, if the event made it reach a higher one: by a slot, or by a billing switch.
fn rise(world: &mut World, context: &Context, client_id: AccountId) -> Result<()> {
    let Some(manager_id) = world.present_link(client_id).map(|link| link.account_id) else { return Ok(()) };
    let program = world.programs.newest()?;
    if let Some(portfolio) = world.portfolios.get_mut(&manager_id) {
        portfolio.rise(context, &program.config);
    }
    Ok(())
}
