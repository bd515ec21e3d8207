//! What a manager has earned and stands to earn, per currency: from balance rows and counters, never by a scan.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::containers::Product;
use crate::db::Conn;
use crate::error::Result;
use crate::id::AccountId;
use crate::ledger::{self, Balances};
use crate::money::{Currency, Money};
use crate::partners::portfolio::{self, Values};
use crate::program::{self, ProgramConfig};

/// What a manager has earned and stands to earn.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommissionSummary {
    /// The program currency, and every other currency with a balance or value.
    pub balances: Vec<CurrencyBalances>,
    /// How many containers of each plan the sub-accounts have; plans without any are left out.
    pub containers_by_plan: Vec<PlanCount>,
}

/// A manager's money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrencyBalances {
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
}

/// How many containers have a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanCount {
    /// The product.
    pub product: Product,
    /// The plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// How many containers.
    #[schema(minimum = 0, example = 12)]
    pub count: i64,
}

/// The summary of a manager.
///
/// # Errors
/// The database's own failure.
pub fn summary(conn: &mut Conn, manager_id: AccountId) -> Result<CommissionSummary> {
    let program = program::service::current(conn)?;
    Ok(CommissionSummary {
        balances: balances(conn, manager_id, &program.config, [])?,
        containers_by_plan: containers_by_plan(conn, manager_id)?,
    })
}

/// A manager's money per currency: the program currency first, then every other with a balance or value, and those of `besides`.
///
/// # Errors
/// The database's own failure.
pub fn balances(
    conn: &mut Conn,
    manager_id: AccountId,
    program: &ProgramConfig,
    besides: impl IntoIterator<Item = Currency>,
) -> Result<Vec<CurrencyBalances>> {
    let rows = ledger::balances::present(conn, manager_id)?;
    let values = portfolio::stored_values(conn, manager_id)?;
    Ok(assemble(manager_id, program.currency, rows, &values, besides))
}

/// How many containers of each plan the manager's sub-accounts have.
///
/// # Errors
/// The database's own failure.
pub fn containers_by_plan(conn: &mut Conn, manager_id: AccountId) -> Result<Vec<PlanCount>> {
    let counts = portfolio::stored_counts(conn, manager_id)?;
    Ok(counts.into_iter().map(|(product, plan, count)| PlanCount { product, plan, count }).collect())
}

fn assemble(
    manager_id: AccountId,
    program_currency: Currency,
    rows: Vec<Balances>,
    values: &BTreeMap<Currency, Values>,
    besides: impl IntoIterator<Item = Currency>,
) -> Vec<CurrencyBalances> {
    let balances: BTreeMap<Currency, Balances> = rows.into_iter().map(|row| (row.currency, row)).collect();
    let with_balance = balances.values().filter(|row| !row.is_zero()).map(|row| row.currency);
    let with_value = values.iter().filter(|(_, values)| values.monthly_minor != 0).map(|(currency, _)| *currency);
    let mut others: BTreeSet<Currency> = with_balance.chain(with_value).chain(besides).collect();
    others.remove(&program_currency);
    let shown = |currency: Currency| {
        let row = balances.get(&currency).copied().unwrap_or(Balances::zero(manager_id, currency));
        of_currency(&row, values.get(&currency).map_or(0, |values| values.monthly_minor))
    };
    std::iter::once(program_currency).chain(others).map(shown).collect()
}

fn of_currency(row: &Balances, monthly_minor: i64) -> CurrencyBalances {
    let money = |minor| Money::new(minor, row.currency);
    CurrencyBalances {
        currency: row.currency,
        monthly_value: money(monthly_minor),
        in_review: money(row.in_review_minor),
        ready_to_payout: money(row.ready_minor.max(0)),
        in_payout: money(row.in_payout_minor),
        paid: money(row.paid_minor),
        debt: money(row.ready_minor.min(0).saturating_neg()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn amounts(balances: &CurrencyBalances) -> [String; 6] {
        let CurrencyBalances { monthly_value, in_review, ready_to_payout, in_payout, paid, debt, .. } = *balances;
        [monthly_value, in_review, ready_to_payout, in_payout, paid, debt].map(|money| money.amount().to_string())
    }

    #[test]
    fn the_program_currency_comes_first_even_without_money_and_others_only_with_some() {
        let manager_id = AccountId::new(Timestamp::machine());
        let rows = vec![
            Balances { program_minor: 5, ready_minor: -5, ..Balances::zero(manager_id, currency("JPY")) },
            Balances::zero(manager_id, currency("GBP")),
        ];
        let value = |monthly_minor| Values { paid_containers: 1, monthly_minor, referral_minor: 0 };
        let values = BTreeMap::from([(currency("EUR"), value(600)), (currency("KWD"), value(0))]);
        let shown = assemble(manager_id, Currency::USD, rows, &values, []);
        let currencies: Vec<_> = shown.iter().map(|row| row.currency.to_string()).collect();
        assert_eq!(currencies, ["USD", "EUR", "JPY"]);
        assert_eq!(amounts(&shown[0]), ["0.00"; 6]);
        assert_eq!(amounts(&shown[1]), ["6.00", "0.00", "0.00", "0.00", "0.00", "0.00"]);
        assert_eq!(amounts(&shown[2]), ["0", "0", "0", "0", "0", "5"]);
    }

    #[test]
    fn a_ready_balance_is_shown_as_ready_or_as_debt() {
        let manager_id = AccountId::new(Timestamp::machine());
        let row = Balances { program_minor: -600, ready_minor: 600, ..Balances::zero(manager_id, Currency::USD) };
        assert_eq!(amounts(&of_currency(&row, 0)), ["0.00", "0.00", "6.00", "0.00", "0.00", "0.00"]);
        let row = Balances { program_minor: 600, ready_minor: -600, ..row };
        assert_eq!(amounts(&of_currency(&row, 0)), ["0.00", "0.00", "0.00", "0.00", "0.00", "6.00"]);
    }
}
