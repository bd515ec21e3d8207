//! A manager's portfolio: how many containers of each plan its clients have, which of them are paid, and what they are
//! worth a month. Counters, changed in the transaction that changes their cause, so that no read sums over containers.
//!
//! Whoever changes a portfolio holds the manager's account lock. A partner's level rises here, at once, when the figures
//! reach a higher row (domain section 2); it never falls by itself.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::level;
use super::terms::{LevelRow, Terms, level_one_rate};
use crate::accounts::AccountRow;
use crate::containers::{BillingPeriod, Product};
use crate::context::Context;
use crate::db::schema::{container_counts, manager_values, paid_container_groups};
use crate::db::{Conn, KeepPrepared, few_sizes, upsert_rows, with_conn};
use crate::error::Result;
use crate::id::AccountId;
use crate::money::{self, Currency, Money, Rate};
use crate::program::ProgramConfig;

/// What makes a container a paid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaidTerms {
    /// Currency of the price.
    pub currency: Currency,
    /// How often it is paid.
    pub billing_period: BillingPeriod,
    /// Price per billing period without tax, above zero.
    pub price_minor: i64,
}

impl PaidTerms {
    /// Monthly commission at `rate`: round(price × rate), a yearly one divided by 12 first (domain section 2).
    ///
    /// # Errors
    /// An amount that does not fit.
    pub fn monthly(self, rate: Rate) -> Result<Money> {
        let value = rate.of(Money::new(self.price_minor, self.currency));
        money::round(value / rust_decimal::Decimal::from(self.billing_period.months()), self.currency)
    }

    /// What a payment of the price earns at `rate`: round(price × rate).
    ///
    /// # Errors
    /// An amount that does not fit.
    pub fn per_payment(self, rate: Rate) -> Result<Money> {
        money::round(rate.of(Money::new(self.price_minor, self.currency)), self.currency)
    }
}

/// How many paid containers of each kind there are.
pub type Groups = BTreeMap<(Product, PaidTerms), i64>;

/// A container's place in its manager's counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its product.
    pub product: Product,
    /// Its plan.
    pub plan: String,
    /// Set where it is a paid container.
    pub paid: Option<PaidTerms>,
}

/// A manager's figures in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Values {
    /// Paid containers priced in it.
    pub paid_containers: i64,
    /// Monthly value at the manager's own rates, in minor units.
    pub monthly_minor: i64,
    /// The same at level 1 rates without overrides.
    pub referral_minor: i64,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = manager_values)]
struct ValuesRow {
    account_id: AccountId,
    currency: Currency,
    paid_containers: i64,
    monthly_minor: i64,
    referral_minor: i64,
}

#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = paid_container_groups)]
struct GroupRow {
    account_id: AccountId,
    currency: Currency,
    product: Product,
    billing_period: BillingPeriod,
    price_minor: i64,
    containers: i64,
}

#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = container_counts)]
struct CountRow {
    account_id: AccountId,
    product: Product,
    plan: String,
    containers: i64,
}

/// A manager's counters with the changes of one unit of work.
#[derive(Debug)]
pub struct Portfolio {
    manager: AccountRow,
    terms: Terms,
    values: BTreeMap<Currency, Values>,
    count_changes: BTreeMap<(Product, String), i64>,
    group_changes: Groups,
    promotions: Vec<LevelRow>,
}

impl Portfolio {
    /// The counters of each of `managers`, whose account locks the caller holds.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn load(conn: &mut Conn, managers: &[AccountRow]) -> Result<HashMap<AccountId, Self>> {
        let ids: Vec<AccountId> = managers.iter().map(|row| row.id).collect();
        let mut terms = Terms::load(conn, &ids)?;
        let mut values = load_values(conn, &ids)?;
        let portfolio = |manager: &AccountRow| Self {
            manager: manager.clone(),
            terms: terms.remove(&manager.id).unwrap_or_default(),
            values: values.remove(&manager.id).unwrap_or_default(),
            count_changes: BTreeMap::new(),
            group_changes: BTreeMap::new(),
            promotions: Vec::new(),
        };
        Ok(managers.iter().map(portfolio).map(|portfolio| (portfolio.manager.id, portfolio)).collect())
    }

    /// What the manager is paid, and was.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Takes a container into the counters.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn add(&mut self, slot: &Slot, program: &ProgramConfig) -> Result<()> {
        self.count(slot, 1, program)
    }

    /// Takes a container out of the counters.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn remove(&mut self, slot: &Slot, program: &ProgramConfig) -> Result<()> {
        self.count(slot, -1, program)
    }

    fn count(&mut self, slot: &Slot, by: i64, program: &ProgramConfig) -> Result<()> {
        *self.count_changes.entry((slot.product, slot.plan.clone())).or_default() += by;
        let Some(paid) = slot.paid else { return Ok(()) };
        *self.group_changes.entry((slot.product, paid)).or_default() += by;
        let monthly = paid.monthly(self.terms.present_rate(program, slot.product))?;
        let referral = paid.monthly(level_one_rate(program, slot.product))?;
        let values = self.values.entry(paid.currency).or_default();
        values.paid_containers += by;
        values.monthly_minor += by * monthly.minor;
        values.referral_minor += by * referral.minor;
        Ok(())
    }

    /// Paid containers of every currency, and referral value in the program currency: what decides levels.
    #[must_use]
    pub fn figures(&self, program: &ProgramConfig) -> (i64, i64) {
        figures(&self.values, program)
    }

    /// Raises the level of a partner whose figures reach a higher row now.
    pub fn rise(&mut self, context: &Context, program: &ProgramConfig) {
        let (paid_containers, referral_minor) = self.figures(program);
        let present = self.terms.present_level();
        let Some((present, pinned)) = present.map(|row| (row.level, row.pinned)) else { return };
        let earned = program.highest_met(paid_containers, referral_minor).map_or(0, |level| level.level);
        if pinned || earned <= present {
            return;
        }
        let (id, effective_from) = self.terms.next(context.now);
        let row = LevelRow {
            account_id: self.manager.id,
            id,
            level: earned,
            pinned: false,
            reason: format!("reached with {paid_containers} paid containers"),
            author: "system".to_owned(),
            effective_from,
        };
        self.terms.push_level(row.clone());
        self.promotions.push(row);
    }

    /// Writes what changed: counters, values, level with its event and audit row.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn write(self, conn: &mut Conn, context: &Context, program: &ProgramConfig) -> Result<()> {
        let account_id = self.manager.id;
        for ((product, plan), by) in self.count_changes.into_iter().filter(|(_, by)| *by != 0) {
            change_count(conn, CountRow { account_id, product, plan, containers: by })?;
        }
        let paid_changed = !self.group_changes.is_empty();
        for ((product, paid), by) in self.group_changes.into_iter().filter(|(_, by)| *by != 0) {
            let PaidTerms { currency, billing_period, price_minor } = paid;
            change_group(
                conn,
                GroupRow { account_id, currency, product, billing_period, price_minor, containers: by },
            )?;
        }
        if self.promotions.is_empty() {
            if paid_changed {
                write_values(conn, &value_rows(account_id, &self.values).collect::<Vec<_>>())?;
            }
            return Ok(());
        }
        for row in &self.promotions {
            level::record(conn, context, row)?;
        }
        revalue(conn, &[(account_id, &self.terms)], program)
    }
}

/// Values the paid containers of managers anew, by their terms and after rates changed. However many managers they are, it
/// takes the same few statements.
///
/// # Errors
/// The database's own failure.
pub fn revalue(conn: &mut Conn, managers: &[(AccountId, &Terms)], program: &ProgramConfig) -> Result<()> {
    let ids: Vec<AccountId> = managers.iter().map(|(id, _)| *id).collect();
    let mut groups = load_groups(conn, &ids)?;
    let mut stored = load_values(conn, &ids)?;
    let mut rows = Vec::new();
    for (account_id, terms) in managers {
        let mut values = value_of(&groups.remove(account_id).unwrap_or_default(), terms, program)?;
        let before = stored.remove(account_id).unwrap_or_default();
        // A currency whose last container has just gone is worth nothing now.
        for currency in before.keys() {
            values.entry(*currency).or_default();
        }
        values.retain(|currency, values| before.get(currency) != Some(values));
        rows.extend(value_rows(*account_id, &values));
    }
    write_values(conn, &rows)
}

/// The figures that decide levels, as the counters have them.
///
/// # Errors
/// The database's own failure.
pub fn stored_figures(conn: &mut Conn, account_id: AccountId, program: &ProgramConfig) -> Result<(i64, i64)> {
    Ok(figures(&stored_values(conn, account_id)?, program))
}

/// The manager's figures per currency, as the counters have them.
///
/// # Errors
/// The database's own failure.
pub fn stored_values(conn: &mut Conn, account_id: AccountId) -> Result<BTreeMap<Currency, Values>> {
    Ok(load_values(conn, &[account_id])?.remove(&account_id).unwrap_or_default())
}

/// How many containers of each product and plan the manager's clients have; plans without any are left out.
///
/// # Errors
/// The database's own failure.
pub fn stored_counts(conn: &mut Conn, account_id: AccountId) -> Result<Vec<(Product, String, i64)>> {
    let rows = container_counts::table
        .filter(container_counts::account_id.eq(account_id))
        .filter(container_counts::containers.gt(0))
        .order((container_counts::product, container_counts::plan))
        .select((container_counts::product, container_counts::plan, container_counts::containers))
        .load(conn)?;
    Ok(rows)
}

/// The paid containers of a manager by what they pay, as the counters have them.
///
/// # Errors
/// The database's own failure.
pub fn stored_groups(conn: &mut Conn, account_id: AccountId) -> Result<Groups> {
    Ok(load_groups(conn, &[account_id])?.remove(&account_id).unwrap_or_default())
}

fn load_groups(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, Groups>> {
    let rows: Vec<GroupRow> = with_conn!(conn, c => paid_container_groups::table
        .filter(paid_container_groups::account_id.eq_any(few_sizes(ids)))
        .filter(paid_container_groups::containers.gt(0))
        .kept()
        .load(c))?;
    let mut groups: HashMap<AccountId, Groups> = HashMap::new();
    for row in rows {
        let GroupRow { currency, billing_period, price_minor, .. } = row;
        let paid = PaidTerms { currency, billing_period, price_minor };
        groups.entry(row.account_id).or_default().insert((row.product, paid), row.containers);
    }
    Ok(groups)
}

/// What the groups of paid containers are worth at the present rates.
///
/// # Errors
/// A value that does not fit.
pub fn value_of(groups: &Groups, terms: &Terms, program: &ProgramConfig) -> Result<BTreeMap<Currency, Values>> {
    let mut values: BTreeMap<Currency, Values> = BTreeMap::new();
    for ((product, paid), containers) in groups {
        let sum = values.entry(paid.currency).or_default();
        sum.paid_containers += containers;
        sum.monthly_minor += containers * paid.monthly(terms.present_rate(program, *product))?.minor;
        sum.referral_minor += containers * paid.monthly(level_one_rate(program, *product))?.minor;
    }
    Ok(values)
}

fn figures(values: &BTreeMap<Currency, Values>, program: &ProgramConfig) -> (i64, i64) {
    let paid_containers = values.values().map(|values| values.paid_containers).sum();
    (paid_containers, values.get(&program.currency).map_or(0, |values| values.referral_minor))
}

fn load_values(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, BTreeMap<Currency, Values>>> {
    let rows: Vec<ValuesRow> = with_conn!(conn, c => manager_values::table
        .filter(manager_values::account_id.eq_any(few_sizes(ids)))
        .kept()
        .load(c))?;
    let mut values: HashMap<AccountId, BTreeMap<Currency, Values>> = HashMap::new();
    for row in rows {
        let ValuesRow { paid_containers, monthly_minor, referral_minor, .. } = row;
        let figures = Values { paid_containers, monthly_minor, referral_minor };
        values.entry(row.account_id).or_default().insert(row.currency, figures);
    }
    Ok(values)
}

fn value_rows(account_id: AccountId, values: &BTreeMap<Currency, Values>) -> impl Iterator<Item = ValuesRow> {
    values.iter().map(move |(currency, values)| {
        let Values { paid_containers, monthly_minor, referral_minor } = *values;
        ValuesRow { account_id, currency: *currency, paid_containers, monthly_minor, referral_minor }
    })
}

fn write_values(conn: &mut Conn, rows: &[ValuesRow]) -> Result<()> {
    use manager_values::columns;
    upsert_rows!(conn, rows, rows => diesel::insert_into(manager_values::table)
    .values(rows)
    .on_conflict((columns::account_id, columns::currency))
    .do_update()
    .set((
        columns::paid_containers.eq(excluded(columns::paid_containers)),
        columns::monthly_minor.eq(excluded(columns::monthly_minor)),
        columns::referral_minor.eq(excluded(columns::referral_minor)),
    )));
    Ok(())
}

fn change_count(conn: &mut Conn, row: CountRow) -> Result<()> {
    use container_counts::{account_id, containers, plan, product, table};
    let by = row.containers;
    let key =
        table.filter(account_id.eq(row.account_id)).filter(product.eq(row.product)).filter(plan.eq(row.plan.clone()));
    let update = diesel::update(key).set(containers.eq(containers + by)).returning(containers).kept();
    if with_conn!(conn, c => update.get_result::<i64>(c)).optional()?.is_none() {
        with_conn!(conn, c => diesel::insert_into(table).values(row).execute(c))?;
    }
    Ok(())
}

fn change_group(conn: &mut Conn, row: GroupRow) -> Result<()> {
    use paid_container_groups::{account_id, billing_period, containers, currency, price_minor, product, table};
    let by = row.containers;
    let key = table
        .filter(account_id.eq(row.account_id))
        .filter(currency.eq(row.currency))
        .filter(product.eq(row.product))
        .filter(billing_period.eq(row.billing_period))
        .filter(price_minor.eq(row.price_minor));
    let update = diesel::update(key).set(containers.eq(containers + by)).returning(containers).kept();
    if with_conn!(conn, c => update.get_result::<i64>(c)).optional()?.is_none() {
        with_conn!(conn, c => diesel::insert_into(table).values(row).execute(c))?;
    }
    Ok(())
}
