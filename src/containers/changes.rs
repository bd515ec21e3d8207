//! What a client, or its manager with access, does with a container: rename, delete, and ask the operator for what only its
//! billing system can do. A subscription itself is changed by `subscription.changed` and by a transfer alone.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::models::{BillingPeriod, Container, ContainerRow, SubscriptionStatus};
use super::{alerts, service, slots};
use crate::accounts::AccountRow;
use crate::context::Context;
use crate::db::schema::containers;
use crate::db::{Conn, overtaken, search_text};
use crate::error::{Code, Error, OrNotFound, Problem, Result, Violation};
use crate::events::EventType;
use crate::http::trimmed_present;
use crate::id::{AccountId, ContainerId};
use crate::operator_requests::{self, OperatorRequestType, RequestDetails};
use crate::partners::portfolio::Portfolio;
use crate::program::{self, ProgramConfig};
use crate::sub_accounts::{self, LinkRow, links};
use crate::{audit, events};

/// A change to a container: JSON Merge Patch.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateContainer {
    /// Its name, 1 to 100 characters after trimming.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "crate::accounts::models::validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Shop, server side")]
    pub name: Option<String>,
}

/// A wish for another plan or billing period.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePlan {
    /// A plan of the container's product.
    #[validate(length(min = 1, max = 50))]
    #[schema(min_length = 1, max_length = 50, example = "business")]
    pub plan: String,
    /// How often it shall be paid.
    pub billing_period: BillingPeriod,
}

/// What the operator is asked for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Another plan or billing period.
    Plan(ChangePlan),
    /// The end of the subscription.
    Cancel,
    /// A subscription that ended, or is about to, shall go on.
    Reactivate,
}

/// Who asks: a client for its own containers, or a manager for its clients'.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// The asking account.
    pub account_id: AccountId,
    /// Whether it is a manager.
    pub by_manager: bool,
}

/// Renames a container.
///
/// # Errors
/// 404; 403 `accessNotGranted`.
pub fn rename(
    conn: &mut Conn,
    context: &Context,
    asker: Asker,
    id: ContainerId,
    change: &UpdateContainer,
) -> Result<Container> {
    let Reached { ref context, mut row, locked, .. } = reach(conn, context, asker, id)?;
    if let Some(name) = change.name.as_ref().filter(|name| **name != row.name) {
        let details = json!({"before": {"name": row.name}, "after": {"name": name}});
        row.name.clone_from(name);
        row.search_text = search_text(&[name]);
        row.updated_at = context.now;
        diesel::update(containers::table.find(id))
            .set((
                containers::name.eq(&row.name),
                containers::search_text.eq(&row.search_text),
                containers::updated_at.eq(row.updated_at),
            ))
            .execute(conn)?;
        for account in &locked {
            audit::record(conn, context, Some(account.id), "container.updated", id, Some(details.clone()))?;
            events::record(conn, context, account.id, EventType::ContainerUpdated, id)?;
        }
    }
    shown(conn, asker, row)
}

/// Asks the operator to carry out `wish`; the container shows it until that is done or declined.
///
/// # Errors
/// 404; 403 `accessNotGranted`; 422 `planUnknown`; 409 `requestPending`, `planUnchanged`, `nothingToCancel`,
/// `nothingToReactivate`.
pub fn ask(conn: &mut Conn, context: &Context, asker: Asker, id: ContainerId, wish: &Wish) -> Result<Container> {
    let Reached { ref context, row, .. } = reach(conn, context, asker, id)?;
    if let Wish::Plan(wanted) = wish {
        refuse_unknown_plan(&program::service::current(conn)?.config, &row, wanted)?;
    }
    operator_requests::service::refuse_second(conn, row.account_id, Some(id))?;
    refuse_pointless(&row, wish)?;
    let (request_type, details) = match wish.clone() {
        Wish::Plan(ChangePlan { plan, billing_period }) => (
            OperatorRequestType::PlanChange,
            RequestDetails { plan: Some(plan), billing_period: Some(billing_period), ..RequestDetails::default() },
        ),
        Wish::Cancel => (OperatorRequestType::Cancel, RequestDetails::default()),
        Wish::Reactivate => (OperatorRequestType::Reactivate, RequestDetails::default()),
    };
    operator_requests::service::open(conn, context, row.account_id, Some(id), request_type, &details)?;
    shown(conn, asker, row)
}

/// Whether the asker may change the container, as [`ask`] sees it: a manager may until its client leaves it or takes its access
/// back.
///
/// # Errors
/// 404; 403 `accessNotGranted`.
pub fn refuse_without_access(conn: &mut Conn, asker: Asker, id: ContainerId) -> Result<()> {
    if !asker.by_manager {
        return Ok(());
    }
    let owner_id = containers::table.find(id).select(containers::account_id).get_result(conn).or_not_found()?;
    sub_accounts::access::granted(conn, asker.account_id, owner_id).map(|_| ())
}

/// Deletes a container of the client. Its payments and commissions stay; what was wished for it is declined.
///
/// # Errors
/// 404; 409 `subscriptionActive`.
pub fn delete(conn: &mut Conn, context: &Context, account_id: AccountId, id: ContainerId) -> Result<()> {
    let asker = Asker { account_id, by_manager: false };
    let Reached { ref context, row, link, locked } = reach(conn, context, asker, id)?;
    if row.subscription_status.is_live() {
        let detail = format!("the subscription is {}; cancel it, and wait for its end", row.subscription_status);
        return Err(Error::refused(Code::SubscriptionActive, detail));
    }
    operator_requests::service::decline_of_container(conn, context, id, "the container was deleted")?;
    diesel::update(containers::table.find(id))
        .set((
            containers::manager_id.eq(None::<AccountId>),
            containers::deleted_at.eq(Some(context.now)),
            containers::updated_at.eq(context.now),
        ))
        .execute(conn)?;
    if let Some(link) = link {
        let program = program::service::current(conn)?;
        slots::count(conn, context, (&locked, &link), &row, &program.config, Portfolio::remove)?;
        alerts::refresh(conn, &BTreeSet::from([account_id]))?;
    }
    for account in &locked {
        audit::record(conn, context, Some(account.id), "container.deleted", id, None)?;
        events::record(conn, context, account.id, EventType::ContainerDeleted, id)?;
    }
    Ok(())
}

/// A container that the asker may change, under the locks of its owner and manager.
struct Reached {
    context: Context,
    row: ContainerRow,
    link: Option<LinkRow>,
    locked: Vec<AccountRow>,
}

fn reach(conn: &mut Conn, context: &Context, asker: Asker, id: ContainerId) -> Result<Reached> {
    let Asker { account_id, by_manager } = asker;
    let seen = service::reachable(conn, account_id, by_manager, id)?;
    let (context, locked, link) = links::lock_with_manager(conn, context, seen.account_id)?;
    let row = service::reachable(conn, account_id, by_manager, id)?;
    if row.account_id != seen.account_id {
        return Err(overtaken("the container was transferred meanwhile"));
    }
    if by_manager {
        sub_accounts::access::refuse_without(link.as_ref().ok_or_else(Error::not_found)?)?;
    }
    Ok(Reached { context, row, link, locked })
}

fn shown(conn: &mut Conn, asker: Asker, row: ContainerRow) -> Result<Container> {
    let program = program::service::current(conn)?;
    service::view(conn, row, asker.by_manager.then_some(asker.account_id), &program)
}

fn refuse_unknown_plan(program: &ProgramConfig, row: &ContainerRow, wanted: &ChangePlan) -> Result<()> {
    if program.plan(row.product, &wanted.plan).is_some() {
        return Ok(());
    }
    let violation = Violation::at("/plan", "unknown", format!("is not a plan of {}", row.product));
    let detail = format!("the program has no plan {:?} for {}", wanted.plan, row.product);
    Err(Problem::new(Code::PlanUnknown, detail).with(violation).into())
}

fn refuse_pointless(row: &ContainerRow, wish: &Wish) -> Result<()> {
    let (is_live, status) = (row.subscription_status.is_live(), row.subscription_status);
    let refused = |code, detail: String| Err(Error::refused(code, detail));
    match wish {
        Wish::Plan(wanted) if wanted.plan == row.plan && wanted.billing_period == row.billing_period => {
            refused(Code::PlanUnchanged, format!("the container is on {}, {}, already", row.plan, row.billing_period))
        }
        Wish::Cancel if is_live && row.cancel_at_period_end => {
            refused(Code::NothingToCancel, "the subscription ends with its period already".to_owned())
        }
        Wish::Cancel if !is_live => refused(Code::NothingToCancel, format!("the subscription is {status}")),
        Wish::Reactivate if !row.cancel_at_period_end && status != SubscriptionStatus::Canceled => {
            refused(Code::NothingToReactivate, format!("the subscription is {status} and not about to end"))
        }
        _ => Ok(()),
    }
}
