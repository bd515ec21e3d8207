//! The work that nobody asks for: what falls due by the clock, and keeping the house. Any number of servers may do the same
//! work on one database at once; a duty that fails is tried again at the next round.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::commissions::maturity;
use crate::db::Db;
use crate::db::schema::{idempotency_keys, sessions};
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::metrics::WorkerMetrics;
use crate::referrals::clicks;
use crate::{payout_schedules, stored, verify};

/// How long the loop rests between rounds.
const ROUND: Duration = Duration::from_secs(2);

/// Replays of an idempotent request are promised for seven days.
const IDEMPOTENCY_DAYS: i64 = 8;

/// A session that ended stays for a while, so that a reused refresh token is still told from an unknown one.
const ENDED_SESSION_DAYS: i64 = 8;

/// Rows that one transaction deletes at most: on SQLite all other writes wait for it.
const CHUNK: i64 = 500;

/// A piece of regular work.
struct Duty {
    name: &'static str,
    every: Duration,
    /// Does some of what is due, and says how much; 0 when nothing is left.
    run: fn(&Db, &Clock) -> Result<usize>,
}

/// What falls due by the domain's clock. A move of the test clock does it before it answers.
const DUE: &[Duty] = &[
    Duty { name: "commissions out of review", every: ROUND, run: |db, clock| maturity::mature_due(db, clock.now()) },
    Duty {
        name: "scheduled payouts",
        every: Duration::from_secs(10),
        run: |db, clock| payout_schedules::request_due(db, clock.now()),
    },
];

/// What nobody waits for.
const HOUSEKEEPING: &[Duty] = &[
    Duty { name: "id floor", every: Duration::from_secs(20), run: raise_id_floor },
    Duty { name: "old idempotency keys", every: Duration::from_mins(10), run: forget_idempotency_keys },
    Duty { name: "visitors of past days", every: Duration::from_mins(5), run: clicks::forget_past_days },
    Duty { name: "old clicks", every: Duration::from_hours(1), run: clicks::forget_old },
    Duty { name: "ended sessions", every: Duration::from_mins(10), run: forget_sessions },
];

/// The thread that does the work, until it is stopped or dropped.
#[derive(Debug)]
pub struct Worker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the rounds.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: Db, clock: Clock, metrics: WorkerMetrics) -> Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || rounds(&db, &clock, &metrics, &stopped))
            .map_err(Error::internal)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    /// Lets the present duty end and writes down what the next start needs.
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the worker panicked");
        }
    }
}

/// Takes over the time that the database keeps, and does all that is due by it until nothing is left.
///
/// # Errors
/// The first duty's that fails.
pub fn catch_up(db: &Db, clock: &Clock) -> Result<()> {
    follow(db, clock)?;
    DUE.iter().try_for_each(|duty| exhaust(duty, db, clock, || true))
}

fn rounds(db: &Db, clock: &Clock, metrics: &WorkerMetrics, stopped: &Receiver<()>) {
    let goes_on = || matches!(stopped.try_recv(), Err(TryRecvError::Empty));
    let mut ledgers = LedgerCheck { next: Instant::now(), after: None, differences: 0, has_failed: false };
    let mut next: Vec<_> = DUE.iter().chain(HOUSEKEEPING).map(|duty| (duty, Instant::now())).collect();
    loop {
        // Another server on the same database may have moved the test clock.
        log_failure("test clock", &follow(db, clock));
        for (duty, at) in next.iter_mut().filter(|(_, at)| *at <= Instant::now()) {
            let has_succeeded = log_failure(duty.name, &exhaust(duty, db, clock, goes_on));
            metrics.done(duty.name, has_succeeded);
            if has_succeeded {
                *at = Instant::now() + duty.every;
            }
        }
        if ledgers.next <= Instant::now() {
            ledgers.next = Instant::now() + LedgerCheck::EVERY;
            metrics.done("ledger check", log_failure("ledger check", &ledgers.go_on(db, metrics)));
        }
        match stopped.recv_timeout(ROUND) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    log_failure("id floor", &raise_id_floor(db, clock));
}

/// Goes through all accounts, some at a time, and begins anew.
struct LedgerCheck {
    next: Instant,
    after: Option<AccountId>,
    differences: usize,
    /// Whether one of the accounts until `after` could not be checked.
    has_failed: bool,
}

impl LedgerCheck {
    const EVERY: Duration = Duration::from_secs(4);

    /// An account that cannot be checked keeps none behind it from being checked, and fails the check.
    fn go_on(&mut self, db: &Db, metrics: &WorkerMetrics) -> Result<()> {
        let after = self.after;
        let accounts = db.read_blocking(move |conn| verify::next_ledgers(conn, after))?;
        let mut outcome = Ok(());
        for account_id in &accounts {
            match db.snapshot_blocking(|conn| verify::ledger(conn, *account_id)) {
                Ok(found) => {
                    for difference in &found {
                        log::error!("ledger check: {difference}");
                    }
                    self.differences += found.len();
                }
                Err(error) => {
                    log::error!("ledger check: {account_id}: {error}");
                    self.has_failed = true;
                    outcome = Err(error);
                }
            }
        }
        self.after = accounts.last().copied();
        let is_over = self.after.is_none();
        metrics.checked(self.differences, is_over && !self.has_failed);
        if is_over {
            (self.differences, self.has_failed) = (0, false);
        }
        outcome
    }
}

/// Takes over the time that the database keeps.
fn follow(db: &Db, clock: &Clock) -> Result<()> {
    if clock.is_test() {
        clock.set(db.read_blocking(stored::clock)?.now());
    }
    Ok(())
}

/// Repeats a duty until nothing is left, or until it shall not go on.
fn exhaust(duty: &Duty, db: &Db, clock: &Clock, goes_on: impl Fn() -> bool) -> Result<()> {
    let all = AssertUnwindSafe(|| {
        while goes_on() && (duty.run)(db, clock)? > 0 {}
        Ok(())
    });
    catch_unwind(all).unwrap_or_else(|_| Err(Error::internal("panic")))
}

/// Whether it succeeded.
fn log_failure<T>(name: &str, result: &Result<T>) -> bool {
    if let Err(error) = result {
        log::error!("{name}: {error}");
    }
    result.is_ok()
}

fn raise_id_floor(db: &Db, clock: &Clock) -> Result<usize> {
    let now = clock.now();
    db.write_blocking(move |conn| stored::raise_id_floor(conn, now)).map(|()| 0)
}

fn forget_idempotency_keys(db: &Db, _: &Clock) -> Result<usize> {
    let before = Timestamp::machine().plus_days(-IDEMPOTENCY_DAYS);
    db.write_blocking(move |conn| {
        let oldest: Vec<Timestamp> = idempotency_keys::table
            .filter(idempotency_keys::created_at.lt(before))
            .order(idempotency_keys::created_at)
            .limit(CHUNK)
            .select(idempotency_keys::created_at)
            .load(conn)?;
        let Some(last) = oldest.last() else { return Ok(0) };
        Ok(diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.le(*last))).execute(conn)?)
    })
}

fn forget_sessions(db: &Db, _: &Clock) -> Result<usize> {
    let before = Timestamp::machine().plus_days(-ENDED_SESSION_DAYS);
    db.write_blocking(move |conn| {
        let over: Vec<String> = sessions::table
            .filter(sessions::expires_at.lt(before).or(sessions::ended_at.lt(before)))
            .limit(CHUNK)
            .select(sessions::id)
            .load(conn)?;
        Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(over))).execute(conn)?)
    })
}
