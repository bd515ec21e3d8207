//! Referral links: their codes in the directory, and their statistics from sign-ups, first payments, and the clicks that
//! are still there.

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::{count_star, exists};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp as SqlTimestamp};

use super::Differences;
use crate::accounts::{AccountKind, AccountRow};
use crate::billing::Payer;
use crate::clock::Timestamp;
use crate::db::schema::{link_statistics, payments, referral_codes, referral_links, referrals};
use crate::db::{Conn, utc_day};
use crate::error::{Error, Result};
use crate::id::{AccountId, ReferralLinkId};
use crate::referrals::attribution::ReferralRow;
use crate::referrals::clicks;
use crate::referrals::statistics::{Counts, StatisticsRow, all_days};

/// Counters by link and day.
type Days = BTreeMap<(ReferralLinkId, Timestamp), Counts>;

pub fn check(conn: &mut Conn, now: Timestamp, account: &AccountRow, differences: &mut Differences) -> Result<()> {
    if account.kind == AccountKind::Standard {
        return check_first_payment(conn, account.id, differences);
    }
    check_codes(conn, account.id, differences)?;
    let (stored, sums) = stored(conn, account.id)?;
    let mut all: BTreeMap<ReferralLinkId, Counts> = BTreeMap::new();
    for ((link_id, _), counts) in &stored {
        all.entry(*link_id).or_default().add(*counts);
    }
    differences.compare(|| format!("{}: statistics of links over all days", account.id), &sums, &all);
    // Clicks of these days are never deleted, whatever the program says.
    let counted_from = now.plus_days(1 - clicks::kept_days()).day();
    let computed = computed(conn, account.id, counted_from)?;
    let keys: BTreeSet<_> = stored.keys().chain(computed.keys()).copied().collect();
    for key in keys {
        let (mut found, mut right) =
            (stored.get(&key).copied().unwrap_or_default(), computed.get(&key).copied().unwrap_or_default());
        let (link_id, day) = key;
        if day < counted_from {
            for counts in [&mut found, &mut right] {
                (counts.clicks, counts.unique_visitors) = (0, 0);
            }
        }
        differences.compare(|| format!("{link_id}: statistics of {day}"), &found, &right);
    }
    Ok(())
}

/// The counters of days, and the sums over all days.
fn stored(conn: &mut Conn, account_id: AccountId) -> Result<(Days, BTreeMap<ReferralLinkId, Counts>)> {
    let rows: Vec<StatisticsRow> = link_statistics::table
        .filter(link_statistics::account_id.eq(account_id))
        .select(StatisticsRow::as_select())
        .load(conn)?;
    let (sums, days): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.day == all_days());
    Ok((
        days.into_iter().map(|row| ((row.link_id, row.day), row.counts())).collect(),
        sums.into_iter().map(|row| (row.link_id, row.counts())).collect(),
    ))
}

fn computed(conn: &mut Conn, account_id: AccountId, counted_from: Timestamp) -> Result<Days> {
    let mut days = Days::new();
    let came: Vec<ReferralRow> =
        referrals::table.filter(referrals::account_id.eq(account_id)).select(ReferralRow::as_select()).load(conn)?;
    for row in came {
        days.entry((row.link_id, row.signed_up_at.day())).or_default().sign_ups += 1;
        if let Some(time) = row.first_paid_at {
            days.entry((row.link_id, time.day())).or_default().paying_clients += 1;
        }
    }
    for row in click_sums(conn, account_id, counted_from)? {
        let day = format!("{}T00:00:00Z", row.day).parse().map_err(Error::internal)?;
        let counts = days.entry((row.link_id, day)).or_default();
        (counts.clicks, counts.unique_visitors) = (row.clicks, row.unique_visitors);
    }
    Ok(days)
}

#[derive(QueryableByName)]
struct ClickSums {
    #[diesel(sql_type = Text)]
    link_id: ReferralLinkId,
    #[diesel(sql_type = Text)]
    day: String,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = BigInt)]
    unique_visitors: i64,
}

fn click_sums(conn: &mut Conn, account_id: AccountId, from: Timestamp) -> Result<Vec<ClickSums>> {
    let day = utc_day(conn, "created_at");
    let sql = format!(
        "SELECT link_id, {day} AS day, COUNT(*) AS clicks, COUNT(DISTINCT visitor_hash) AS unique_visitors \
        FROM clicks WHERE account_id = $1 AND created_at >= $2 GROUP BY link_id, {day}"
    );
    Ok(diesel::sql_query(sql).bind::<Text, _>(account_id).bind::<SqlTimestamp, _>(from).load(conn)?)
}

/// Every link's code is in the directory, and names the link.
fn check_codes(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let entry = referral_codes::table
        .filter(referral_codes::code.eq(referral_links::code))
        .filter(referral_codes::account_id.eq(referral_links::account_id))
        .filter(referral_codes::link_id.eq(referral_links::id));
    let unlisted: i64 = referral_links::table
        .filter(referral_links::account_id.eq(account_id))
        .filter(diesel::dsl::not(exists(entry)))
        .select(count_star())
        .get_result(conn)?;
    differences.compare(|| format!("{account_id}: links missing in the directory of codes"), &unlisted, &0);
    Ok(())
}

/// A client that came with a code has paid something itself if, and when, the earliest of its payments says so.
fn check_first_payment(conn: &mut Conn, client_id: AccountId, differences: &mut Differences) -> Result<()> {
    let referral: Option<ReferralRow> =
        referrals::table.find(client_id).select(ReferralRow::as_select()).get_result(conn).optional()?;
    let Some(referral) = referral else { return Ok(()) };
    let first: Option<Timestamp> = payments::table
        .filter(payments::account_id.eq(client_id))
        .filter(payments::payer.eq(Payer::Client))
        .filter(payments::amount_minor.gt(0))
        .select(diesel::dsl::min(payments::occurred_at))
        .get_result(conn)?;
    differences.compare(|| format!("{client_id}: time of its first payment"), &referral.first_paid_at, &first);
    Ok(())
}
