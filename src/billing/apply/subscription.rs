//! `subscription.changed`: the container's subscription, its manager's counters and level.

use super::super::event::SubscriptionChanged;
use super::super::world::World;
use super::{known_container, refuse_unknown_plan, refuse_unlisted_currency, tell};
use crate::clock::Timestamp;
use crate::containers::{ContainerRow, slots};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::events::EventType;
use crate::id::AccountId;
use crate::sub_accounts::Billing;

/// Applies a change; one older than the last applied changes nothing.
///
/// # Errors
/// The refusals of domain section 5.
pub fn apply(world: &mut World, context: &Context, occurred_at: Timestamp, change: &SubscriptionChanged) -> Result<()> {
    let before = known_container(world, &change.container_id)?.clone();
    refuse_unknown_plan(world, occurred_at, before.product, &change.plan)?;
    refuse_unlisted_currency(world, occurred_at, change.price.currency, "/data/price/currency")?;
    if change.request_id.is_some() {
        return Err(Error::invalid("/data/requestId", "unknown", "is not the id of an open operator request"));
    }
    if before.subscription_changed_at.is_some_and(|last| occurred_at < last) {
        return Ok(());
    }
    let after = ContainerRow {
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
    if let Some(manager_id) = before.manager_id {
        let billing = world.present_link(before.account_id).map_or(Billing::Individual, |link| link.billing);
        let program = world.programs.newest()?;
        if let Some(portfolio) = world.portfolios.get_mut(&manager_id) {
            portfolio.remove(&slots::slot(&before, billing), context.now, &program.config)?;
            portfolio.add(&slots::slot(&after, billing), context.now, &program.config)?;
            portfolio.rise(context, &program.config);
        }
    }
    let told: Vec<AccountId> = [Some(before.account_id), before.manager_id].into_iter().flatten().collect();
    for account_id in told {
        tell(world, account_id, EventType::SubscriptionChanged, before.id);
    }
    if let Some(tracked) = world.containers.get_mut(&before.id) {
        *tracked.change() = after;
    }
    Ok(())
}
