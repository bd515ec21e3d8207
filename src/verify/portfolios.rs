//! A manager's counters: recomputed from its clients' containers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::Differences;
use crate::accounts::{AccountKind, AccountRow};
use crate::containers::{BillingPeriod, ContainerRow, Product, slots};
use crate::db::Conn;
use crate::db::schema::{containers, sub_account_links};
use crate::error::Result;
use crate::id::{AccountId, ContainerId};
use crate::money::{Currency, Money};
use crate::partners::Terms;
use crate::partners::portfolio::{self, Groups, PaidTerms, Values};
use crate::program::ProgramConfig;
use crate::sub_accounts::Billing;

/// Containers that are in memory at once.
const CONTAINERS_PER_PAGE: i64 = 2_000;

pub fn check(
    conn: &mut Conn,
    account: &AccountRow,
    program: &ProgramConfig,
    differences: &mut Differences,
) -> Result<()> {
    let manager_id = account.id;
    if account.kind == AccountKind::Standard {
        return check_owned(conn, account, differences);
    }
    let billing: HashMap<AccountId, Billing> = sub_account_links::table
        .filter(sub_account_links::account_id.eq(manager_id))
        .filter(sub_account_links::detached_at.is_null())
        .select((sub_account_links::client_id, sub_account_links::billing))
        .load::<(AccountId, Billing)>(conn)?
        .into_iter()
        .collect();
    let mut counts: BTreeMap<(Product, String), i64> = BTreeMap::new();
    let mut groups = Groups::new();
    let mut last: Option<ContainerId> = None;
    loop {
        let page = next_containers(conn, manager_id, last)?;
        let Some(container) = page.last() else { break };
        last = Some(container.id);
        for container in &page {
            let Some(billing) = billing.get(&container.account_id) else {
                differences.note(|| format!("{}: its owner is no client of {manager_id}", container.id));
                continue;
            };
            let slot = slots::slot(container, *billing);
            *counts.entry((slot.product, slot.plan)).or_default() += 1;
            if let Some(paid) = slot.paid {
                *groups.entry((slot.product, paid)).or_default() += 1;
            }
        }
    }
    let stored_counts: BTreeMap<(Product, String), i64> = portfolio::stored_counts(conn, manager_id)?
        .into_iter()
        .map(|(product, plan, count)| ((product, plan), count))
        .collect();
    differences.compare(|| format!("{manager_id}: containers by plan"), &stored_counts, &counts);
    let stored_groups = portfolio::stored_groups(conn, manager_id)?;
    let [stored_prices, prices] = [&stored_groups, &groups].map(by_price);
    differences.compare(|| format!("{manager_id}: paid containers by price"), &stored_prices, &prices);
    let terms = Terms::of(conn, manager_id)?;
    let computed = portfolio::value_of(&groups, &terms, program)?;
    let mut stored = portfolio::stored_values(conn, manager_id)?;
    stored.retain(|_, values| *values != Values::default());
    let currencies: BTreeSet<Currency> = stored.keys().chain(computed.keys()).copied().collect();
    for currency in currencies {
        let [stored, right] = [&stored, &computed].map(|all| all.get(&currency).copied().unwrap_or_default());
        let count = || format!("{manager_id}: paid containers in {currency}");
        differences.compare(count, &stored.paid_containers, &right.paid_containers);
        let values = [
            ("monthly", stored.monthly_minor, right.monthly_minor),
            ("referral", stored.referral_minor, right.referral_minor),
        ];
        for (name, stored, right) in values {
            let [stored, right] = [stored, right].map(|minor| Money::new(minor, currency));
            differences.compare(|| format!("{manager_id}: {name} value"), &stored, &right);
        }
    }
    Ok(())
}

/// How many there are of a product, price and billing period, as people read them.
fn by_price(groups: &Groups) -> Vec<(Product, Money, BillingPeriod, i64)> {
    let shown = |((product, terms), count): (&(Product, PaidTerms), &i64)| {
        (*product, Money::new(terms.price_minor, terms.currency), terms.billing_period, *count)
    };
    groups.iter().map(shown).collect()
}

/// The containers of a client name its present manager.
fn check_owned(conn: &mut Conn, client: &AccountRow, differences: &mut Differences) -> Result<()> {
    let owned: Vec<ContainerRow> = containers::table
        .filter(containers::account_id.eq(client.id))
        .filter(containers::deleted_at.is_null())
        .select(ContainerRow::as_select())
        .load(conn)?;
    for container in owned {
        differences.compare(|| format!("{}: manager", container.id), &container.manager_id, &client.manager_id);
    }
    Ok(())
}

fn next_containers(conn: &mut Conn, manager_id: AccountId, after: Option<ContainerId>) -> Result<Vec<ContainerRow>> {
    let mut query = containers::table
        .filter(containers::manager_id.eq(manager_id))
        .order(containers::id)
        .limit(CONTAINERS_PER_PAGE)
        .select(ContainerRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(containers::id.gt(after));
    }
    Ok(query.load(conn)?)
}
