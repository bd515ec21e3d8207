//! `payment.succeeded`: the payment's row, and what it earns.

use super::super::event::PaymentSucceeded;
use super::super::models::{Payer, PaymentRow};
use super::super::world::World;
use super::{known_container, refuse_unknown_plan, refuse_unlisted_currency, tell};
use crate::accounts::AccountRow;
use crate::batch::Tracked;
use crate::clock::Timestamp;
use crate::commissions::{CommissionRow, CommissionStatus, LineId, accrual, maturity};
use crate::containers::ContainerRow;
use crate::context::Context;
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::EventType;
use crate::id::{AccountId, CommissionId, ContainerId, PaymentId};
use crate::ledger::{EntryKind, LedgerAccount, Posting};
use crate::partners::AppliedRate;
use crate::partners::portfolio::Portfolio;

/// Applies a payment; answers the commission row that it made, if the payer was managed.
///
/// # Errors
/// The refusals of domain section 5.
pub fn apply(
    world: &mut World,
    context: &Context,
    occurred_at: Timestamp,
    payment: &PaymentSucceeded,
) -> Result<Option<LineId>> {
    let container = known_container(world, &payment.container_id)?.clone();
    refuse_unknown_plan(world, occurred_at, container.product, &payment.plan)?;
    refuse_unlisted_currency(world, occurred_at, payment.amount.currency, "/data/amount/currency")?;
    if world.payments.contains_key(&payment.payment_id) {
        let detail = format!("another event has the paymentId {}", payment.payment_id);
        return Err(Problem::new(Code::PaymentExists, detail)
            .with(Violation::at("/data/paymentId", "taken", "belongs to another event"))
            .into());
    }
    let owner_id = world.owner_at(container.id, occurred_at).unwrap_or(container.account_id);
    let manager_id = world.link_at(owner_id, occurred_at).map(|link| link.account_id);
    let mut row = payment_row(context.now, occurred_at, payment, container.id, owner_id, manager_id);
    if let Some(manager_id) = manager_id {
        row.commission_id = Some(earn(world, context, manager_id, &row, &container)?);
    }
    let commission_id = row.commission_id;
    if row.payer == Payer::Client && row.amount_minor > 0 {
        world.note_paying(owner_id, occurred_at);
    }
    world.payments.insert(row.external_id.clone(), Tracked::new(row));
    world.note_payment_of(container.id, occurred_at);
    Ok(commission_id)
}

/// Makes the commission row of a managed account's payment, with its postings where it earned something.
fn earn(
    world: &mut World,
    context: &Context,
    manager_id: AccountId,
    payment: &PaymentRow,
    container: &ContainerRow,
) -> Result<LineId> {
    let program = world.programs.at(payment.occurred_at)?;
    let terms = world.portfolios.get(&manager_id).map(Portfolio::terms);
    let applied = terms.and_then(|terms| terms.rate_at(payment.occurred_at, &program.config, container.product));
    let by_client = payment.payer == Payer::Client;
    let amount = payment.money(payment.amount_minor);
    let accrual = accrual::accrue(amount, payment.tax_minor, by_client, applied)?;
    let review_days = program.config.review_days.of(payment.billing_period);
    let client = world.accounts.get(&payment.account_id).ok_or_else(|| Error::internal("the payer is not loaded"))?;
    let earned = accrual.reason.is_none();
    let review_until = accrual::review_until(payment.occurred_at, review_days);
    let ready = earned && review_until <= context.now;
    let row = CommissionRow {
        status: match (earned, ready) {
            (false, _) => CommissionStatus::NoCommission,
            (true, false) => CommissionStatus::InReview,
            (true, true) => CommissionStatus::ReadyToPayout,
        },
        reason: accrual.reason.map(|reason| reason.as_str().to_owned()),
        base_minor: Some(accrual.base.minor),
        program_version: Some(program.version),
        amount_minor: accrual.amount.minor,
        review_days: earned.then(|| i32::try_from(review_days)).transpose().map_err(Error::internal)?,
        review_until: earned.then_some(review_until),
        ready_at: ready.then_some(review_until),
        ..blank_row(context.now, manager_id, payment, container, client, applied)
    };
    if earned {
        world.journal.post(context.now, &earned_posting(&row))?;
        if ready {
            world.journal.post(context.now, &maturity::ready_posting(&row))?;
        }
    }
    let id = row.id;
    tell(world, manager_id, EventType::CommissionCreated, id);
    if ready {
        tell(world, manager_id, EventType::CommissionReady, id);
    }
    world.commissions.insert(id, Tracked::new(row));
    Ok(id)
}

/// The posting of what a payment earned.
pub(super) const fn earned_posting(row: &CommissionRow) -> Posting {
    Posting {
        account_id: row.account_id,
        currency: row.currency,
        kind: EntryKind::CommissionEarned,
        from: LedgerAccount::Program,
        to: LedgerAccount::InReview,
        amount_minor: row.amount_minor,
        line_id: row.id,
        payout_id: None,
        earned_at: row.payment_occurred_at,
    }
}

fn payment_row(
    now: Timestamp,
    occurred_at: Timestamp,
    payment: &PaymentSucceeded,
    container_id: ContainerId,
    account_id: AccountId,
    manager_id: Option<AccountId>,
) -> PaymentRow {
    PaymentRow {
        id: PaymentId::new(now),
        external_id: payment.payment_id.clone(),
        account_id,
        manager_id,
        container_id,
        plan: payment.plan.clone(),
        billing_period: payment.billing_period,
        currency: payment.amount.currency,
        amount_minor: payment.amount.minor,
        tax_minor: payment.tax.minor,
        refunded_minor: 0,
        payer: payment.payer,
        reason: payment.reason,
        occurred_at,
        period_start: payment.period_start,
        period_end: payment.period_end,
        commission_id: None,
        created_at: now,
    }
}

/// A commission row with everything but what was earned.
fn blank_row(
    now: Timestamp,
    manager_id: AccountId,
    payment: &PaymentRow,
    container: &ContainerRow,
    client: &AccountRow,
    applied: Option<AppliedRate>,
) -> CommissionRow {
    let id = LineId::Commission(CommissionId::new(now));
    CommissionRow {
        client_id: Some(client.id),
        client_email: Some(client.email.clone()),
        client_name: Some(client.display_name()),
        container_id: Some(container.id),
        container_name: Some(container.name.clone()),
        product: Some(container.product),
        plan: Some(payment.plan.clone()),
        billing_period: Some(payment.billing_period),
        payment_id: Some(payment.id),
        payment_external_id: Some(payment.external_id.clone()),
        payment_amount_minor: Some(payment.amount_minor),
        payment_occurred_at: Some(payment.occurred_at),
        rate_bps: applied.map(|applied| applied.rate.bps()),
        rate_source: applied.map(|applied| applied.source),
        level: applied.map(|applied| applied.level),
        ..CommissionRow::bare(now, manager_id, id, CommissionStatus::NoCommission, payment.money(0))
    }
}
