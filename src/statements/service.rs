//! Builds statements from monthly sums, and from the month's entries by client and plan.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp as SqlTimestamp};

use super::models::{Month, PlanTotal, Statement, SubAccountTotal};
use crate::clock::Timestamp;
use crate::commissions::SubAccountReference;
use crate::containers::Product;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::ledger::EntryKind;
use crate::ledger::months::{self, MonthRow};
use crate::money::{Currency, Money};

/// The month's movements between the program and the partner, by client, plan and kind. That no entry is in review is said for
/// the index of entries by time, which holds none.
const MOVEMENTS: &str = "\
    SELECT line.client_id, line.client_email, line.client_name, line.product, line.plan, entry.kind, \
        CAST(SUM(-entry.amount_minor) AS BIGINT) AS amount_minor \
    FROM ledger_entries AS entry \
    JOIN commissions AS line ON line.account_id = entry.account_id AND line.id = entry.commission_id \
    WHERE entry.account_id = $1 AND entry.currency = $2 AND entry.ledger_account = 'program' \
        AND entry.ledger_account <> 'inReview' \
        AND entry.created_at >= $3 AND entry.created_at < $4 \
    GROUP BY line.client_id, line.client_email, line.client_name, line.product, line.plan, entry.kind \
    ORDER BY line.client_id, MAX(line.id)";

#[derive(QueryableByName)]
struct Movement {
    #[diesel(sql_type = Nullable<Text>)]
    client_id: Option<AccountId>,
    #[diesel(sql_type = Nullable<Text>)]
    client_email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    client_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    product: Option<Product>,
    #[diesel(sql_type = Nullable<Text>)]
    plan: Option<String>,
    #[diesel(sql_type = Text)]
    kind: EntryKind,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
}

/// The statement of a month that has begun.
///
/// # Errors
/// 404 for a month that has not begun; the database's own failure.
pub fn statement(
    conn: &mut Conn,
    now: Timestamp,
    account_id: AccountId,
    month: Month,
    currency: Currency,
) -> Result<Statement> {
    if month.start() > now {
        return Err(Error::not_found());
    }
    let rows = months::until(conn, account_id, currency, month.end())?;
    let before = rows.iter().filter(|row| row.month < month.start());
    let opening_minor: i64 = before.map(MonthRow::change_minor).sum();
    let this = rows.iter().find(|row| row.month == month.start()).copied();
    let this = this.unwrap_or(MonthRow::empty(account_id, currency, month.start()));
    let movements = movements(conn, account_id, month, currency)?;
    let money = |minor| Money::new(minor, currency);
    Ok(Statement {
        month,
        currency,
        opening_balance: money(opening_minor),
        earned: money(this.posted_minor),
        reversed: money(this.reversed_minor),
        adjusted: money(this.adjusted_minor),
        paid_out: money(this.paid_minor),
        closing_balance: money(opening_minor + this.change_minor()),
        by_sub_account: by_sub_account(&movements, currency),
        by_plan: by_plan(&movements, currency),
    })
}

fn movements(conn: &mut Conn, account_id: AccountId, month: Month, currency: Currency) -> Result<Vec<Movement>> {
    Ok(diesel::sql_query(MOVEMENTS)
        .bind::<Text, _>(account_id)
        .bind::<Text, _>(currency)
        .bind::<SqlTimestamp, _>(month.start())
        .bind::<SqlTimestamp, _>(month.end())
        .load(conn)?)
}

/// What a group of movements comes to, in minor units.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    earned: i64,
    reversed: i64,
    adjusted: i64,
}

impl Sums {
    fn add(&mut self, movement: &Movement) {
        match movement.kind {
            EntryKind::CommissionEarned => self.earned += movement.amount_minor,
            EntryKind::CommissionReversed => self.reversed -= movement.amount_minor,
            _ => self.adjusted += movement.amount_minor,
        }
    }

    /// Earned, reversed, adjusted and total.
    fn amounts(self, currency: Currency) -> [Money; 4] {
        let total = self.earned - self.reversed + self.adjusted;
        [self.earned, self.reversed, self.adjusted, total].map(|minor| Money::new(minor, currency))
    }
}

fn by_sub_account(movements: &[Movement], currency: Currency) -> Vec<SubAccountTotal> {
    let mut groups: BTreeMap<Option<AccountId>, (Option<SubAccountReference>, Sums)> = BTreeMap::new();
    for movement in movements {
        let (reference, sums) = groups.entry(movement.client_id).or_default();
        sums.add(movement);
        // The newest line of the month names the client: that comes last.
        let shown = movement.client_id.zip(movement.client_email.clone()).zip(movement.client_name.clone());
        if let Some(((id, email), name)) = shown {
            *reference = Some(SubAccountReference { id, email, name });
        }
    }
    let total = |(sub_account, sums): (Option<SubAccountReference>, Sums)| {
        let [earned, reversed, adjusted, total] = sums.amounts(currency);
        SubAccountTotal { sub_account, earned, reversed, adjusted, total }
    };
    groups.into_values().map(total).collect()
}

fn by_plan(movements: &[Movement], currency: Currency) -> Vec<PlanTotal> {
    let mut groups: BTreeMap<(Option<Product>, Option<&str>), Sums> = BTreeMap::new();
    for movement in movements {
        groups.entry((movement.product, movement.plan.as_deref())).or_default().add(movement);
    }
    let total = |((product, plan), sums): ((Option<Product>, Option<&str>), Sums)| {
        let [earned, reversed, adjusted, total] = sums.amounts(currency);
        PlanTotal { product, plan: plan.map(str::to_owned), earned, reversed, adjusted, total }
    };
    groups.into_iter().map(total).collect()
}
