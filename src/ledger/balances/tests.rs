//! Past balances of a journal whose entries have times of their own.

use super::*;
use crate::commissions::LineId;
use crate::db::{Db, new_database};
use crate::error::Error;
use crate::id::CommissionId;
use crate::ledger::{EntryKind, Journal, Posting};

const DAY_SECONDS: i64 = 86_400;

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Posts the amounts into review, each at its time, in this order of turns.
fn post(db: &Db, account_id: AccountId, postings: Vec<(Timestamp, i64)>) {
    db.write_blocking(move |conn| {
        for (now, amount_minor) in postings.clone() {
            let mut journal = Journal::open(conn, &[account_id])?;
            let posting = Posting {
                account_id,
                currency: Currency::USD,
                kind: EntryKind::CommissionEarned,
                from: LedgerAccount::Program,
                to: LedgerAccount::InReview,
                amount_minor,
                line_id: LineId::Commission(CommissionId::new(now)),
                payout_id: None,
                earned_at: None,
            };
            journal.post(now, &posting)?;
            journal.write(conn)?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

fn in_review_at(db: &Db, account_id: AccountId, as_of: Timestamp) -> Option<i64> {
    let now = start().plus_days(365);
    let balances = db.snapshot_blocking(|conn| at(conn, now, account_id, Some(as_of))).unwrap();
    balances.data.first().map(|row| row.in_review.minor)
}

#[test]
fn a_past_balance_is_what_the_last_entry_by_then_left_behind() {
    let (_directory, db) = new_database();
    let account_id = AccountId::new(start());
    post(&db, account_id, (0..30).map(|day| (start().plus_days(day), 100)).collect());
    post(&db, AccountId::new(start()), vec![(start(), 5_000)]);
    assert_eq!(in_review_at(&db, account_id, start().plus_seconds(-1)), None);
    assert_eq!(in_review_at(&db, account_id, start()), Some(100));
    assert_eq!(in_review_at(&db, account_id, start().plus_seconds(10 * DAY_SECONDS - 1)), Some(1_000));
    assert_eq!(in_review_at(&db, account_id, start().plus_days(10)), Some(1_100));
    assert_eq!(in_review_at(&db, account_id, start().plus_days(300)), Some(3_000));
}

#[test]
fn an_entry_counts_from_its_millisecond_on() {
    let (_directory, db) = new_database();
    let account_id = AccountId::new(start());
    post(&db, account_id, vec![(Timestamp::from_unix_micros(start().unix_micros() + 999), 100)]);
    assert_eq!(in_review_at(&db, account_id, start()), Some(100));
}

#[test]
fn a_posting_that_waited_for_its_turn_is_not_lost() {
    let (_directory, db) = new_database();
    let account_id = AccountId::new(start());
    let (overtaking, waited) = (start().plus_seconds(5), start().plus_seconds(2));
    post(&db, account_id, vec![(start(), 100), (overtaking, 10), (waited, 1)]);
    assert_eq!(in_review_at(&db, account_id, start()), Some(100));
    assert_eq!(in_review_at(&db, account_id, overtaking), Some(111));
    assert_eq!(in_review_at(&db, account_id, start().plus_days(1)), Some(111));
}

#[test]
fn without_a_time_and_in_the_future_the_balances_are_the_present_ones() {
    let (_directory, db) = new_database();
    let account_id = AccountId::new(start());
    post(&db, account_id, vec![(start(), 100)]);
    let now = start().plus_days(1);
    for as_of in [None, Some(now), Some(now.plus_days(1))] {
        let balances = db.snapshot_blocking(|conn| at(conn, now, account_id, as_of)).unwrap();
        assert_eq!(balances.as_of, now);
        assert_eq!(balances.data.iter().map(|row| row.in_review.minor).collect::<Vec<_>>(), [100]);
    }
}
