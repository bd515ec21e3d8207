//! The way into the partner program: an application, and its decision (domain section 2).

use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::level;
use super::portfolio;
use super::terms::{LevelRow, Terms};
use crate::accounts::{self, AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, partner_applications};
use crate::error::{Code, Error, OrNotFound, Result};
use crate::events::EventType;
use crate::http::Page;
use crate::id::{AccountId, ApplicationId, TermId};
use crate::money::{Currency, Money};
use crate::program::{self, Program};
use crate::{audit, events};

crate::text_enum! {
    /// Where an application stands.
    pub enum ApplicationStatus {
        /// Waits for the operator.
        Pending = "pending",
        /// The account is a partner.
        Approved = "approved",
        /// Turned down; a new one may be filed.
        Rejected = "rejected",
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = partner_applications)]
struct ApplicationRow {
    account_id: AccountId,
    id: ApplicationId,
    status: ApplicationStatus,
    paid_containers: i64,
    referral_value_minor: i64,
    currency: Currency,
    eligible: bool,
    reason: Option<String>,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
}

/// An application to the partner program.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerApplication {
    /// Its id.
    pub id: ApplicationId,
    /// The agency that applied.
    pub account_id: AccountId,
    /// Where it stands.
    pub status: ApplicationStatus,
    /// The figures when it was filed.
    pub eligibility: Eligibility,
    /// Why it was rejected.
    #[schema(required = true, example = json!(null))]
    pub reason: Option<String>,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was decided.
    #[schema(required = true)]
    pub decided_at: Option<Timestamp>,
}

/// The figures that open the program to an agency: either is enough.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Eligibility {
    /// Paid containers of all its sub-accounts.
    #[schema(minimum = 0, example = 6)]
    pub paid_containers: i64,
    /// What they would earn in a month at level 1 rates, in the program currency.
    pub referral_value: Money,
    /// Whether a figure reaches level 1.
    pub eligible: bool,
}

/// The account's figures now.
///
/// # Errors
/// The database's own failure.
pub fn eligibility(conn: &mut Conn, account_id: AccountId, program: &Program) -> Result<Eligibility> {
    let (paid_containers, referral_minor) = portfolio::stored_figures(conn, account_id, &program.config)?;
    let eligible = program.config.first_level().is_some_and(|level| level.is_met(paid_containers, referral_minor));
    let referral_value = Money::new(referral_minor, program.config.currency);
    Ok(Eligibility { paid_containers, referral_value, eligible })
}

/// Files an application; with `autoApprove` in the program it is approved at once.
///
/// # Errors
/// 409 `alreadyPartner`, `applicationPending`, `notEligible` with both figures and what is missing.
pub fn file(conn: &mut Conn, context: &Context, account_id: AccountId) -> Result<PartnerApplication> {
    let (context, account) = &accounts::service::lock_one(conn, context, account_id)?;
    if account.kind == AccountKind::Partner {
        return Err(Error::refused(Code::AlreadyPartner, "the account is a partner already"));
    }
    let open = partner_applications::table
        .filter(partner_applications::account_id.eq(account_id))
        .filter(partner_applications::status.eq(ApplicationStatus::Pending));
    if diesel::select(diesel::dsl::exists(open)).get_result(conn)? {
        return Err(Error::refused(Code::ApplicationPending, "an application is open already; wait for its decision"));
    }
    let program = program::service::current(conn)?;
    let figures = eligibility(conn, account_id, &program)?;
    if !figures.eligible {
        return Err(not_eligible(&figures, &program));
    }
    let row = ApplicationRow {
        account_id,
        id: ApplicationId::new(context.now),
        status: ApplicationStatus::Pending,
        paid_containers: figures.paid_containers,
        referral_value_minor: figures.referral_value.minor,
        currency: figures.referral_value.currency,
        eligible: true,
        reason: None,
        created_at: context.now,
        decided_at: None,
    };
    diesel::insert_into(partner_applications::table).values(&row).execute(conn)?;
    tell(conn, context, &row, EventType::PartnerApplicationCreated)?;
    if program.config.auto_approve {
        return admit(conn, context, &row, account, &program);
    }
    Ok(shown(row))
}

/// Approves an application: the agency is a partner from now on, at the highest level whose row its figures reach.
///
/// # Errors
/// 404; 409 `applicationDecided`.
pub fn approve(conn: &mut Conn, context: &Context, id: ApplicationId) -> Result<PartnerApplication> {
    let (context, row, account) = &open_and_locked(conn, context, id)?;
    let program = program::service::current(conn)?;
    admit(conn, context, row, account, &program)
}

/// Turns an application down; the agency may apply again.
///
/// # Errors
/// 404; 409 `applicationDecided`.
pub fn reject(conn: &mut Conn, context: &Context, id: ApplicationId, reason: &str) -> Result<PartnerApplication> {
    let (context, row, _) = &open_and_locked(conn, context, id)?;
    let row = decide(conn, context, row, ApplicationStatus::Rejected, Some(reason.to_owned()))?;
    tell(conn, context, &row, EventType::PartnerApplicationRejected)?;
    Ok(shown(row))
}

/// A page of applications, newest first: one account's, or everybody's for the operator.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    account_id: Option<AccountId>,
    statuses: &[ApplicationStatus],
    page: &Page,
) -> Result<Vec<PartnerApplication>> {
    let mut query = partner_applications::table
        .order(partner_applications::id.desc())
        .limit(page.fetch())
        .select(ApplicationRow::as_select())
        .into_boxed();
    if let Some(account_id) = account_id {
        query = query.filter(partner_applications::account_id.eq(account_id));
    }
    if !statuses.is_empty() {
        query = query.filter(partner_applications::status.eq_any(statuses));
    }
    if let Some(after) = page.after_key::<ApplicationId>()? {
        query = query.filter(partner_applications::id.lt(after));
    }
    let rows: Vec<ApplicationRow> = query.load(conn)?;
    Ok(rows.into_iter().map(shown).collect())
}

fn admit(
    conn: &mut Conn,
    context: &Context,
    row: &ApplicationRow,
    account: &AccountRow,
    program: &Program,
) -> Result<PartnerApplication> {
    let account_id = account.id;
    let row = decide(conn, context, row, ApplicationStatus::Approved, None)?;
    diesel::update(accounts_table::table.find(account_id))
        .set(accounts_table::kind.eq(AccountKind::Partner))
        .execute(conn)?;
    tell(conn, context, &row, EventType::PartnerApplicationApproved)?;
    let (paid_containers, referral_minor) = portfolio::stored_figures(conn, account_id, &program.config)?;
    // The figures may have fallen since the application: level 1 is what an approval gives at least.
    let earned = program.config.highest_met(paid_containers, referral_minor).or(program.config.first_level());
    let first = LevelRow {
        account_id,
        id: TermId::new(context.now),
        level: earned.map_or(1, |level| level.level),
        pinned: false,
        reason: "application approved".to_owned(),
        author: context.actor.id.clone(),
        effective_from: context.now,
    };
    level::record(conn, context, &first)?;
    let terms = Terms::of(conn, account_id)?;
    portfolio::revalue(conn, &[(account_id, &terms)], &program.config)?;
    Ok(shown(row))
}

fn open_and_locked(
    conn: &mut Conn,
    context: &Context,
    id: ApplicationId,
) -> Result<(Context, ApplicationRow, AccountRow)> {
    let find = |conn: &mut Conn| -> Result<ApplicationRow> {
        partner_applications::table
            .filter(partner_applications::id.eq(id))
            .select(ApplicationRow::as_select())
            .get_result(conn)
            .or_not_found()
    };
    let account_id = find(conn)?.account_id;
    let (context, account) = accounts::service::lock_one(conn, context, account_id)?;
    let row = find(conn)?;
    if row.status != ApplicationStatus::Pending {
        return Err(Error::refused(Code::ApplicationDecided, format!("the application is {}", row.status)));
    }
    Ok((context, row, account))
}

fn decide(
    conn: &mut Conn,
    context: &Context,
    row: &ApplicationRow,
    status: ApplicationStatus,
    reason: Option<String>,
) -> Result<ApplicationRow> {
    let decided = ApplicationRow { status, reason, decided_at: Some(context.now), ..*row };
    diesel::update(partner_applications::table.find((decided.account_id, decided.id)))
        .set((
            partner_applications::status.eq(decided.status),
            partner_applications::reason.eq(&decided.reason),
            partner_applications::decided_at.eq(decided.decided_at),
        ))
        .execute(conn)?;
    Ok(decided)
}

fn tell(conn: &mut Conn, context: &Context, row: &ApplicationRow, event: EventType) -> Result<()> {
    let details = row.reason.as_ref().map(|reason| json!({"reason": reason}));
    audit::record(conn, context, Some(row.account_id), event.as_str(), row.id, details)?;
    events::record(conn, context, row.account_id, event, row.id)
}

fn not_eligible(figures: &Eligibility, program: &Program) -> Error {
    let Some(level) = program.config.first_level() else { return Error::internal("a program without levels") };
    let missing_containers = level.min_paid_containers - figures.paid_containers;
    let missing_value =
        Money::new(level.min_referral_value.minor - figures.referral_value.minor, program.config.currency);
    Error::refused(
        Code::NotEligible,
        format!(
            "{} paid containers of {} and {} referral value of {}: {missing_containers} more paid containers or \
             {missing_value} more referral value are missing",
            figures.paid_containers, level.min_paid_containers, figures.referral_value, level.min_referral_value,
        ),
    )
}

fn shown(row: ApplicationRow) -> PartnerApplication {
    PartnerApplication {
        id: row.id,
        account_id: row.account_id,
        status: row.status,
        eligibility: Eligibility {
            paid_containers: row.paid_containers,
            referral_value: Money::new(row.referral_value_minor, row.currency),
            eligible: row.eligible,
        },
        reason: row.reason,
        created_at: row.created_at,
        decided_at: row.decided_at,
    }
}
