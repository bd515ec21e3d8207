//! The partner's home page in one call (domain section 8): counters and a few rows, so that its cost does not grow with the
//! number of clients, containers or commissions. Reads only.

use actix_web::{get, web};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{self, AccountKind, AccountRow};
use crate::auth::principal::{CommissionsRead, Manager};
use crate::clock::Timestamp;
use crate::commissions::summary::{self, CurrencyBalances, PlanCount};
use crate::containers::alerts::{self, Alerts};
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, sub_account_links};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::id::AccountId;
use crate::ledger::months::{self, MonthRow};
use crate::money::{Currency, Money, Rate};
use crate::partners::applications::{self, Eligibility};
use crate::partners::level::{self, NextLevel};
use crate::partners::{Terms, portfolio};
use crate::payouts::{self, Payout};
use crate::program::{self, Program};
use crate::referrals::{self, ReferralLink};
use crate::state::App;
use crate::sub_accounts::{Access, Origin};

/// How many of the newest sub-accounts and payouts are shown.
const RECENT: i64 = 5;

/// What a partner or agency looks at first.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// The partner's level, with what the next one needs; null for an agency.
    #[schema(required = true)]
    pub level: Option<DashboardLevel>,
    /// Where an agency stands on its way into the program; null for a partner.
    #[schema(required = true)]
    pub eligibility: Option<Eligibility>,
    /// Its money: the program currency, and every other with a balance, a value or earnings.
    pub balances: Vec<DashboardBalances>,
    /// Its default referral link.
    pub referral_link: ReferralLink,
    /// How many containers of each plan the sub-accounts have; plans without any are left out.
    pub containers_by_plan: Vec<PlanCount>,
    /// How many sub-accounts want attention.
    pub alerts: Alerts,
    /// The newest sub-accounts, at most 5.
    #[schema(max_items = 5)]
    pub recent_sub_accounts: Vec<RecentSubAccount>,
    /// The newest payouts, at most 5.
    #[schema(max_items = 5)]
    pub recent_payouts: Vec<Payout>,
}

/// A partner's level.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardLevel {
    /// Its number.
    #[schema(minimum = 1, example = 1)]
    pub level: i32,
    /// Its name.
    #[schema(example = "Partner")]
    pub name: String,
    /// The partner's present rate for products without one of their own.
    pub rate_percent: Rate,
    /// Its paid containers: with the next level's `minPaidContainers`, how far it is on its way.
    #[schema(minimum = 0, example = 13)]
    pub paid_containers: i64,
    /// Its referral value: with the next level's `minReferralValue`, how far it is on its way.
    pub referral_value: Money,
    /// What the next level needs; null on the highest.
    #[schema(required = true)]
    pub next: Option<NextLevel>,
}

/// A manager's money in one currency.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardBalances {
    /// The currency.
    pub currency: Currency,
    /// What its paid containers bring in a month at the present rates; for information.
    pub monthly_value: Money,
    /// Earned, may still be refunded.
    pub in_review: Money,
    /// What a payout could take.
    pub ready_to_payout: Money,
    /// In open payouts.
    pub in_payout: Money,
    /// Paid out. What the bank sent back (`payoutReturned`) stays in it, and is ready once more.
    pub paid: Money,
    /// What later commissions pay off first.
    pub debt: Money,
    /// Commissions of this UTC month's payments, less what was reversed and with what was adjusted in it.
    pub earned_this_month: Money,
    /// The same of the month before.
    pub earned_last_month: Money,
}

/// A client that came lately.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentSubAccount {
    /// The client's account id.
    pub id: AccountId,
    /// E-mail address of its first owner.
    #[schema(format = "email", example = "shop@example.com")]
    pub email: String,
    /// First name of its first owner.
    #[schema(example = "Ada")]
    pub first_name: String,
    /// Last name of its first owner.
    #[schema(example = "Byron")]
    pub last_name: String,
    /// How it came to the manager.
    pub origin: Origin,
    /// Whether the manager may change its containers.
    pub access: Access,
    /// When it came.
    pub linked_at: Timestamp,
}

/// Registers the operation.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/dashboard").service(get_dashboard));
}

/// The dashboard.
///
/// What a partner's home page shows, in one call that costs the same however many clients there are. Earnings over time are
/// `GET /v3/commissions/time-series`, what gets ready when is `GET /v3/commissions/maturing`.
#[utoipa::path(
    tag = "Dashboard",
    operation_id = "getDashboard",
    responses((status = 200, description = "The dashboard", body = Dashboard)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("")]
async fn get_dashboard(who: Manager<CommissionsRead>, app: App) -> Result<web::Json<Dashboard>> {
    let (account_id, now, public_url) = (who.account_id()?, app.clock.now(), app.public_url.clone());
    app.db.snapshot(move |conn| dashboard(conn, now, account_id, &public_url)).await.map(web::Json)
}

fn dashboard(conn: &mut Conn, now: Timestamp, account_id: AccountId, public_url: &str) -> Result<Dashboard> {
    let account = accounts::service::find(conn, account_id)?;
    let program = program::service::current(conn)?;
    let is_partner = account.kind == AccountKind::Partner;
    let link = referrals::service::default_link(conn, account_id)?;
    let recent =
        payouts::service::list(conn, Some(account_id), &payouts::service::PayoutFilter::default(), None, RECENT)?;
    Ok(Dashboard {
        level: if is_partner { partner_level(conn, &account, &program)? } else { None },
        eligibility: if is_partner { None } else { Some(applications::eligibility(conn, account_id, &program)?) },
        balances: balances(conn, now, account_id, &program)?,
        referral_link: referrals::service::view(conn, link, public_url)?,
        containers_by_plan: summary::containers_by_plan(conn, account_id)?,
        alerts: alerts::of(conn, account_id)?,
        recent_sub_accounts: recent_sub_accounts(conn, account_id)?,
        recent_payouts: recent.into_iter().map(Payout::from).collect(),
    })
}

fn partner_level(conn: &mut Conn, account: &AccountRow, program: &Program) -> Result<Option<DashboardLevel>> {
    let Some(number) = account.level else { return Ok(None) };
    let row = program.config.levels.iter().find(|row| row.level == number);
    let terms = Terms::of(conn, account.id)?;
    let (paid_containers, referral_minor) = portfolio::stored_figures(conn, account.id, &program.config)?;
    Ok(Some(DashboardLevel {
        level: number,
        name: row.map_or_else(|| format!("Level {number}"), |row| row.name.clone()),
        rate_percent: terms.present_default_rate(&program.config, number),
        paid_containers,
        referral_value: Money::new(referral_minor, program.config.currency),
        next: level::next(&program.config, number, (paid_containers, referral_minor)),
    }))
}

fn balances(
    conn: &mut Conn,
    now: Timestamp,
    account_id: AccountId,
    program: &Program,
) -> Result<Vec<DashboardBalances>> {
    let (this_month, last_month) = (now.month(), now.plus_months(-1));
    let months = months::since(conn, account_id, last_month)?;
    let with_earnings = months.iter().filter(|row| row.earnings_minor() != 0).map(|row| row.currency);
    let rows = summary::balances(conn, account_id, &program.config, with_earnings)?;
    let earned = |currency: Currency, month: Timestamp| {
        let row = months.iter().find(|row| row.currency == currency && row.month == month);
        Money::new(row.map_or(0, MonthRow::earnings_minor), currency)
    };
    let shown = |row: CurrencyBalances| DashboardBalances {
        currency: row.currency,
        monthly_value: row.monthly_value,
        in_review: row.in_review,
        ready_to_payout: row.ready_to_payout,
        in_payout: row.in_payout,
        paid: row.paid,
        debt: row.debt,
        earned_this_month: earned(row.currency, this_month),
        earned_last_month: earned(row.currency, last_month),
    };
    Ok(rows.into_iter().map(shown).collect())
}

fn recent_sub_accounts(conn: &mut Conn, account_id: AccountId) -> Result<Vec<RecentSubAccount>> {
    type Row = (AccountId, String, String, String, Origin, Access, Timestamp);
    let rows: Vec<Row> = sub_account_links::table
        .inner_join(accounts_table::table.on(accounts_table::id.eq(sub_account_links::client_id)))
        .filter(sub_account_links::account_id.eq(account_id))
        .filter(sub_account_links::detached_at.is_null())
        .order(sub_account_links::id.desc())
        .limit(RECENT)
        .select((
            accounts_table::id,
            accounts_table::email,
            accounts_table::first_name,
            accounts_table::last_name,
            sub_account_links::origin,
            sub_account_links::access,
            sub_account_links::linked_at,
        ))
        .load(conn)?;
    let shown = |(id, email, first_name, last_name, origin, access, linked_at): Row| RecentSubAccount {
        id,
        email,
        first_name,
        last_name,
        origin,
        access,
        linked_at,
    };
    Ok(rows.into_iter().map(shown).collect())
}
