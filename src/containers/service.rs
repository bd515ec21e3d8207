//! The rules of containers: who may create them, who sees them.

use diesel::prelude::*;

use super::models::{
    BillingPeriod, Container, ContainerCommission, ContainerRow, ContainerStatus, CreateContainer, OwnershipRow,
    Product, Subscription, SubscriptionStatus, Usage,
};
use super::{slots, usage};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::schema::{container_owners, containers};
use crate::db::{Conn, narrow, search_text};
use crate::error::{Code, Error, OrNotFound, Problem, Result, Violation};
use crate::events::EventType;
use crate::http::Page;
use crate::id::{AccountId, ContainerId, OwnershipId};
use crate::money::{Money, Rate};
use crate::operator_requests::{self, OperatorRequest};
use crate::partners::Terms;
use crate::partners::portfolio::{PaidTerms, Portfolio};
use crate::program::{self, Program, ProgramConfig};
use crate::sub_accounts::{self, Billing, LinkRow};
use crate::{audit, events};

/// The plan that every container starts on (domain section 4).
pub const FIRST_PLAN: &str = "free";

/// Where a container is hosted unless its creator says otherwise *(our default)*.
const DEFAULT_ZONE: &str = "eu";

/// What a list of containers is narrowed to.
#[derive(Debug, Default)]
pub struct ContainerFilter {
    /// Containers of these clients.
    pub clients: Option<Vec<AccountId>>,
    /// Containers with one of these plans.
    pub plans: Option<Vec<String>>,
    /// Containers of one of these products.
    pub products: Option<Vec<Product>>,
    /// Containers with one of these statuses.
    pub statuses: Option<Vec<ContainerStatus>>,
    /// Containers that reached their limit, or did not.
    pub limit_exceeded: Option<bool>,
    /// Containers with errors, or without.
    pub with_errors: Option<bool>,
}

/// The client that the caller may make a container for.
///
/// # Errors
/// As [`create`].
pub fn admitted(conn: &mut Conn, caller_id: AccountId, by_manager: bool, input: &CreateContainer) -> Result<AccountId> {
    let owner_id = owner_of_new(caller_id, by_manager, input.account_id)?;
    if by_manager {
        refuse_unmanaged(caller_id, sub_accounts::links::current(conn, owner_id)?.as_ref())?;
    }
    Ok(owner_id)
}

fn refuse_unmanaged(manager_id: AccountId, link: Option<&LinkRow>) -> Result<()> {
    let own = link.filter(|link| link.account_id == manager_id);
    let unknown = || Error::invalid("/accountId", "unknown", "is not the id of one of your sub-accounts");
    sub_accounts::access::refuse_without(own.ok_or_else(unknown)?)
}

/// Makes a container for a client, on `free`; asked for by the client, or by its manager with access.
///
/// # Errors
/// 422 where `accountId` is missing, unknown or another's; 403 `accessNotGranted`.
pub fn create(
    conn: &mut Conn,
    context: &Context,
    caller_id: AccountId,
    by_manager: bool,
    input: &CreateContainer,
) -> Result<Container> {
    // Nobody locks an account of others.
    let owner_id = admitted(conn, caller_id, by_manager, input)?;
    let (context, locked, link) = &sub_accounts::links::lock_with_manager(conn, context, owner_id)?;
    if by_manager {
        refuse_unmanaged(caller_id, link.as_ref())?;
    }
    let program = program::service::current(conn)?;
    if program.config.plan(input.product, FIRST_PLAN).is_none() {
        let violation = Violation::at("/product", "notOffered", "is not offered by the program");
        return Err(Problem::new(
            Code::PlanUnknown,
            format!("the program has no plan {FIRST_PLAN:?} for {}", input.product),
        )
        .with(violation)
        .into());
    }
    let row = first_row(context.now, owner_id, link.as_ref().map(|link| link.account_id), input, &program.config);
    diesel::insert_into(containers::table).values(&row).execute(conn)?;
    let ownership = OwnershipRow {
        container_id: row.id,
        id: OwnershipId::new(context.now),
        account_id: owner_id,
        owned_from: context.now,
    };
    diesel::insert_into(container_owners::table).values(&ownership).execute(conn)?;
    if let Some(link) = link {
        slots::count(conn, context, (locked, link), &row, &program.config, Portfolio::add)?;
    }
    for account in locked {
        audit::record(conn, context, Some(account.id), "container.created", row.id, None)?;
        events::record(conn, context, account.id, EventType::ContainerCreated, row.id)?;
    }
    view(conn, row, by_manager.then_some(caller_id), &program)
}

/// A container of the caller: its own, or a sub-account's.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, caller_id: AccountId, by_manager: bool, id: ContainerId) -> Result<Container> {
    let row = reachable(conn, caller_id, by_manager, id)?;
    let program = program::service::current(conn)?;
    view(conn, row, by_manager.then_some(caller_id), &program)
}

/// The row behind [`find`].
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn reachable(conn: &mut Conn, caller_id: AccountId, by_manager: bool, id: ContainerId) -> Result<ContainerRow> {
    let row: ContainerRow = containers::table
        .find(id)
        .filter(containers::deleted_at.is_null())
        .select(ContainerRow::as_select())
        .get_result(conn)
        .or_not_found()?;
    let reached = if by_manager { row.manager_id == Some(caller_id) } else { row.account_id == caller_id };
    if reached { Ok(row) } else { Err(Error::not_found()) }
}

/// A page of the caller's containers, newest first; one row more than the page holds tells that there is another.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    caller_id: AccountId,
    by_manager: bool,
    filter: &ContainerFilter,
    page: &Page,
) -> Result<Vec<Container>> {
    let mut query = containers::table
        .filter(containers::deleted_at.is_null())
        .order(containers::id.desc())
        .limit(page.fetch())
        .select(ContainerRow::as_select())
        .into_boxed();
    query = if by_manager {
        query.filter(containers::manager_id.eq(caller_id))
    } else {
        query.filter(containers::account_id.eq(caller_id))
    };
    if let Some(after) = page.after_key::<ContainerId>()? {
        query = query.filter(containers::id.lt(after));
    }
    narrow!(query, containers::account_id, &filter.clients);
    narrow!(query, containers::plan, &filter.plans);
    narrow!(query, containers::product, &filter.products);
    narrow!(query, containers::status, &filter.statuses);
    match filter.limit_exceeded {
        Some(true) => query = query.filter(containers::limit_exceeded_at.is_not_null()),
        Some(false) => query = query.filter(containers::limit_exceeded_at.is_null()),
        None => {}
    }
    match filter.with_errors {
        Some(true) => query = query.filter(containers::errors.ne("[]")),
        Some(false) => query = query.filter(containers::errors.eq("[]")),
        None => {}
    }
    let rows: Vec<ContainerRow> = query.load(conn)?;
    let program = program::service::current(conn)?;
    views(conn, rows, by_manager.then_some(caller_id), &program)
}

fn owner_of_new(caller_id: AccountId, by_manager: bool, account_id: Option<AccountId>) -> Result<AccountId> {
    if !by_manager {
        return match account_id {
            Some(other) if other != caller_id => {
                Err(Error::invalid("/accountId", "unknown", "is not your account; leave it out"))
            }
            _ => Ok(caller_id),
        };
    }
    account_id.ok_or_else(|| Error::invalid("/accountId", "required", "is needed: which sub-account shall own it"))
}

fn first_row(
    now: Timestamp,
    owner_id: AccountId,
    manager_id: Option<AccountId>,
    input: &CreateContainer,
    program: &ProgramConfig,
) -> ContainerRow {
    ContainerRow {
        id: ContainerId::new(now),
        account_id: owner_id,
        manager_id,
        name: input.name.clone(),
        product: input.product,
        zone: input.zone.clone().unwrap_or_else(|| DEFAULT_ZONE.to_owned()),
        status: ContainerStatus::Creating,
        errors: "[]".to_owned(),
        status_at: None,
        plan: FIRST_PLAN.to_owned(),
        billing_period: BillingPeriod::Monthly,
        subscription_status: SubscriptionStatus::None,
        price_minor: 0,
        currency: program.currency,
        current_period_start: None,
        current_period_end: None,
        cancel_at_period_end: false,
        next_payment_at: None,
        subscription_changed_at: None,
        last_payment_at: None,
        usage_requests: 0,
        usage_period_start: None,
        usage_period_end: None,
        limit_exceeded_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        search_text: search_text(&[&input.name]),
    }
}

/// A row as the API shows it; with what it brings where a manager looks.
///
/// # Errors
/// The database's own failure.
pub fn view(conn: &mut Conn, row: ContainerRow, manager_id: Option<AccountId>, program: &Program) -> Result<Container> {
    views(conn, vec![row], manager_id, program)?.pop().ok_or_else(Error::not_found)
}

/// The rows as the API shows them; with what they bring where a manager looks.
fn views(
    conn: &mut Conn,
    rows: Vec<ContainerRow>,
    manager_id: Option<AccountId>,
    program: &Program,
) -> Result<Vec<Container>> {
    let worth = manager_id.map(|manager_id| Worth::load(conn, manager_id, &rows)).transpose()?;
    let ids: Vec<ContainerId> = rows.iter().map(|row| row.id).collect();
    let mut pending = operator_requests::service::pending_of_containers(conn, &ids)?;
    rows.into_iter()
        .map(|row| {
            let commission = worth.as_ref().map(|worth| worth.of(&row, &program.config)).transpose()?;
            let request = pending.remove(&row.id);
            shown(row, request, commission, &program.config)
        })
        .collect()
}

/// What a manager needs to value containers.
pub struct Worth {
    terms: Terms,
    billing: std::collections::HashMap<AccountId, Billing>,
}

impl Worth {
    /// The manager's terms, and who pays for the containers of `rows`.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn load(conn: &mut Conn, manager_id: AccountId, rows: &[ContainerRow]) -> Result<Self> {
        let terms = Terms::of(conn, manager_id)?;
        let mut owners: Vec<AccountId> = rows.iter().map(|row| row.account_id).collect();
        owners.sort_unstable();
        owners.dedup();
        let billing = sub_accounts::links::billing_of(conn, manager_id, &owners)?;
        Ok(Self { terms, billing })
    }

    /// The manager's present rate for a container, and what makes it a paid one, if it is.
    #[must_use]
    pub fn terms_of(&self, row: &ContainerRow, program: &ProgramConfig) -> (Rate, Option<PaidTerms>) {
        let billing = self.billing.get(&row.account_id).copied().unwrap_or(Billing::Individual);
        (self.terms.present_rate(program, row.product), slots::paid_terms(row, billing))
    }

    /// The manager's present rate for a container, and what it brings in a month.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn of(&self, row: &ContainerRow, program: &ProgramConfig) -> Result<ContainerCommission> {
        let (rate_percent, paid) = self.terms_of(row, program);
        let monthly = paid.map_or(Ok(Money::new(0, row.currency)), |paid| paid.monthly(rate_percent))?;
        Ok(ContainerCommission { rate_percent, monthly })
    }
}

fn shown(
    row: ContainerRow,
    pending_request: Option<OperatorRequest>,
    commission: Option<ContainerCommission>,
    program: &ProgramConfig,
) -> Result<Container> {
    let limit = usage::limit_of(&row, program);
    Ok(Container {
        subscription: Subscription {
            status: row.subscription_status,
            price: row.price(),
            current_period_start: row.current_period_start,
            current_period_end: row.current_period_end,
            cancel_at_period_end: row.cancel_at_period_end,
            next_payment_at: row.next_payment_at,
        },
        usage: Usage {
            requests: row.usage_requests,
            limit,
            percent: limit.filter(|limit| *limit > 0).map(|limit| row.usage_requests.saturating_mul(100) / limit),
            limit_exceeded: row.limit_exceeded_at.is_some(),
            limit_exceeded_at: row.limit_exceeded_at,
            period_start: row.usage_period_start,
            period_end: row.usage_period_end,
        },
        errors: serde_json::from_str(&row.errors).map_err(Error::internal)?,
        pending_request,
        commission,
        id: row.id,
        account_id: row.account_id,
        name: row.name,
        product: row.product,
        zone: row.zone,
        status: row.status,
        plan: row.plan,
        billing_period: row.billing_period,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
