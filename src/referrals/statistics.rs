//! The counters of referral links: per link and UTC day, and over all days. They change in the transaction of what they
//! count, in the order of their keys, so that transactions do not wait for each other in a circle. `verify` recomputes them.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::upsert::excluded;

use crate::clock::Timestamp;
use crate::db::schema::link_statistics;
use crate::db::{Conn, upsert_rows};
use crate::error::Result;
use crate::id::{AccountId, ReferralLinkId};

/// The day under which the sums over all days are kept: 1969-12-31, before any that the API knows.
#[must_use]
pub fn all_days() -> Timestamp {
    Timestamp::from_unix_micros(0).plus_days(-1)
}

/// What came of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Clicks of people.
    pub clicks: i64,
    /// Visitors that were not there before on their day.
    pub unique_visitors: i64,
    /// Clients that signed up with the code.
    pub sign_ups: i64,
    /// Clients that paid for the first time.
    pub paying_clients: i64,
}

impl Counts {
    /// Adds what came of it besides.
    pub const fn add(&mut self, more: Self) {
        self.clicks += more.clicks;
        self.unique_visitors += more.unique_visitors;
        self.sign_ups += more.sign_ups;
        self.paying_clients += more.paying_clients;
    }
}

/// A row of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = link_statistics, treat_none_as_default_value = false)]
pub struct StatisticsRow {
    /// The manager.
    pub account_id: AccountId,
    /// The link.
    pub link_id: ReferralLinkId,
    /// The day's first moment, or [`all_days`].
    pub day: Timestamp,
    /// See [`Counts`], as all below.
    pub clicks: i64,
    /// Unique visitors.
    pub unique_visitors: i64,
    /// Sign-ups.
    pub sign_ups: i64,
    /// Clients that paid for the first time.
    pub paying_clients: i64,
}

impl StatisticsRow {
    fn of((key, counts): (&(AccountId, ReferralLinkId, Timestamp), &Counts)) -> Self {
        let (account_id, link_id, day) = *key;
        Self {
            account_id,
            link_id,
            day,
            clicks: counts.clicks,
            unique_visitors: counts.unique_visitors,
            sign_ups: counts.sign_ups,
            paying_clients: counts.paying_clients,
        }
    }

    /// The row's counters.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        Counts {
            clicks: self.clicks,
            unique_visitors: self.unique_visitors,
            sign_ups: self.sign_ups,
            paying_clients: self.paying_clients,
        }
    }
}

/// Changes of counters that are to be written together.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(AccountId, ReferralLinkId, Timestamp), Counts>);

impl Tally {
    /// Notes what came of a link at `time`.
    pub fn note(&mut self, account_id: AccountId, link_id: ReferralLinkId, time: Timestamp, counts: Counts) {
        for day in [all_days(), time.day()] {
            self.0.entry((account_id, link_id, day)).or_default().add(counts);
        }
    }

    /// Adds everything to what is stored.
    ///
    /// # Errors
    /// The database's failure.
    pub fn write(self, conn: &mut Conn) -> Result<()> {
        use link_statistics::{account_id, clicks, day, link_id, paying_clients, sign_ups, unique_visitors};
        let rows: Vec<StatisticsRow> = self.0.iter().map(StatisticsRow::of).collect();
        upsert_rows!(conn, rows, rows => diesel::insert_into(link_statistics::table)
        .values(rows)
        .on_conflict((account_id, link_id, day))
        .do_update()
        .set((
            clicks.eq(clicks + excluded(clicks)),
            unique_visitors.eq(unique_visitors + excluded(unique_visitors)),
            sign_ups.eq(sign_ups + excluded(sign_ups)),
            paying_clients.eq(paying_clients + excluded(paying_clients)),
        )));
        Ok(())
    }
}

/// What came of each of `links` over all days; those that nothing came of are left out.
///
/// # Errors
/// The database's failure.
pub fn totals(
    conn: &mut Conn,
    account_id: AccountId,
    links: &[ReferralLinkId],
) -> Result<HashMap<ReferralLinkId, Counts>> {
    let rows: Vec<StatisticsRow> = link_statistics::table
        .filter(link_statistics::account_id.eq(account_id))
        .filter(link_statistics::link_id.eq_any(links))
        .filter(link_statistics::day.eq(all_days()))
        .select(StatisticsRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.link_id, row.counts())).collect())
}

/// The days of a link from `first` up to `end`, exclusive, oldest first; those on which nothing came of it are left out.
///
/// # Errors
/// The database's failure.
pub fn days(
    conn: &mut Conn,
    account_id: AccountId,
    link_id: ReferralLinkId,
    first: Timestamp,
    end: Timestamp,
) -> Result<Vec<StatisticsRow>> {
    Ok(link_statistics::table
        .filter(link_statistics::account_id.eq(account_id))
        .filter(link_statistics::link_id.eq(link_id))
        .filter(link_statistics::day.ge(first))
        .filter(link_statistics::day.lt(end))
        .order(link_statistics::day)
        .select(StatisticsRow::as_select())
        .load(conn)?)
}
