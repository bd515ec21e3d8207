//! The work that nobody asks for: what falls due by the clock, and keeping the house. Any number of servers may do the same
//! work on one database at once; a duty that fails is tried again at the next round.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::commissions::maturity;
use crate::db::schema::{idempotency_keys, sessions};
use crate::db::{Db, Patience};
use crate::error::{Error, Result};
use crate::failure_log::FailureLog;
use crate::id::AccountId;
use crate::metrics::WorkerMetrics;
use crate::referrals::clicks::{self, VisitorKeys};
use crate::{panics, payout_schedules, stored, verify};

/// How long the loop rests between rounds, unless some of what is due is left.
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
    Duty { name: "commissions out of review", every: ROUND, run: maturity::mature_due },
    Duty { name: "scheduled payouts", every: Duration::from_secs(10), run: payout_schedules::request_due },
];

/// How long one piece of what is due may hold up the other; the rest of it is gone on with at once.
const DUE_MAX: Duration = Duration::from_secs(2);

/// How long one piece of housekeeping may hold up what is due; the rest of it is done in the next round.
const HOUSEKEEPING_MAX: Duration = Duration::from_millis(500);

/// What nobody waits for.
const HOUSEKEEPING: &[Duty] = &[
    Duty { name: "id floor", every: Duration::from_secs(20), run: raise_id_floor },
    Duty { name: "old idempotency keys", every: Duration::from_mins(10), run: forget_idempotency_keys },
    Duty { name: "visitors of past days", every: Duration::from_mins(5), run: clicks::forget_past_days },
    Duty { name: "old clicks", every: Duration::from_hours(1), run: clicks::forget_old },
    Duty { name: "ended sessions", every: Duration::from_mins(10), run: forget_sessions },
];

/// The duty that goes through all accounts.
const LEDGER_CHECK: &str = "ledger check";

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
    pub fn start(db: Db, clock: Clock, keys: VisitorKeys, metrics: WorkerMetrics) -> Result<Self> {
        let (stop, stopped) = channel();
        metrics.start(DUE.iter().chain(HOUSEKEEPING).map(|duty| duty.name).chain([LEDGER_CHECK]));
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || rounds(&db, &clock, &keys, &metrics, &stopped))
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
    DUE.iter().try_for_each(|duty| exhaust(duty, db, clock, || true).map(|_| ()))
}

fn rounds(db: &Db, clock: &Clock, keys: &VisitorKeys, metrics: &WorkerMetrics, stopped: &Receiver<()>) {
    let goes_on = || matches!(stopped.try_recv(), Err(TryRecvError::Empty));
    let mut failures = FailureLog::default();
    let mut ledgers = LedgerCheck { next: Instant::now(), after: None, found: Findings::default(), has_failed: false };
    let limited =
        |duties: &'static [Duty], limit, rest| duties.iter().map(move |duty| (duty, limit, rest, Instant::now()));
    let housekeeping = limited(HOUSEKEEPING, HOUSEKEEPING_MAX, ROUND);
    let mut next: Vec<_> = limited(DUE, DUE_MAX, Duration::ZERO).chain(housekeeping).collect();
    loop {
        // Another server on the same database may have moved the test clock.
        failures.note("test clock", &follow(db, clock));
        // They are in memory alone: a database that does not answer must not keep them there.
        keys.forget_past_days(clock);
        let mut rest = ROUND;
        for (duty, limit, rest_of_some, at) in next.iter_mut().filter(|(_, _, _, at)| *at <= Instant::now()) {
            let begun = Instant::now();
            let outcome = exhaust(duty, db, clock, || goes_on() && begun.elapsed() < *limit);
            metrics.done(duty.name, failures.note(duty.name, &outcome));
            match outcome {
                Ok(Left::Nothing) => *at = Instant::now() + duty.every,
                Ok(Left::Perhaps) => rest = rest.min(*rest_of_some),
                Err(_) => {}
            }
        }
        if ledgers.next <= Instant::now() {
            ledgers.next = Instant::now() + LedgerCheck::EVERY;
            metrics.done(LEDGER_CHECK, failures.note(LEDGER_CHECK, &ledgers.go_on(db, metrics)));
        }
        match stopped.recv_timeout(rest) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    failures.note("id floor", &raise_id_floor(db, clock));
}

/// Goes through all accounts, some at a time, and begins anew.
struct LedgerCheck {
    next: Instant,
    after: Option<AccountId>,
    found: Findings,
    /// Whether one of the accounts until `after` could not be checked.
    has_failed: bool,
}

/// Differences in the ledgers, of which each pass over all accounts finds those again that are still there.
#[derive(Default)]
struct Findings {
    last_pass: usize,
    this_pass: usize,
}

impl Findings {
    /// What is known: a pass that has not come to an account yet takes back nothing of it.
    fn known(&self) -> usize {
        self.last_pass.max(self.this_pass)
    }

    /// Of accounts that could not be checked it is not known that they have none any more.
    fn begin_anew(&mut self, is_whole: bool) {
        let last_pass = if is_whole { self.this_pass } else { self.known() };
        *self = Self { last_pass, this_pass: 0 };
    }
}

impl LedgerCheck {
    const EVERY: Duration = Duration::from_secs(4);

    /// An account that cannot be checked keeps none behind it from being checked, and fails the check.
    fn go_on(&mut self, db: &Db, metrics: &WorkerMetrics) -> Result<()> {
        let after = self.after;
        let accounts = db.read_blocking(move |conn| verify::next_ledgers(conn, after))?;
        let (mut outcome, mut differences, mut patience) = (Ok(()), 0, Patience::default());
        for account_id in &accounts {
            match db.snapshot_blocking(|conn| verify::ledger(conn, *account_id)) {
                Ok(found) => {
                    for difference in &found {
                        log::error!("ledger check: {difference}");
                    }
                    differences += found.len();
                }
                Err(error) => {
                    log::error!("ledger check: {account_id}: {error}");
                    self.has_failed = true;
                    // Where this ends it, the next look begins at the same account.
                    outcome = Err(patience.bear(error)?);
                }
            }
        }
        self.found.this_pass += differences;
        self.after = accounts.last().copied();
        let is_over = self.after.is_none();
        let is_whole = is_over && !self.has_failed;
        if is_over {
            self.found.begin_anew(is_whole);
            self.has_failed = false;
        }
        metrics.checked(self.found.known(), is_whole);
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

/// Whether there may be more of a duty to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Perhaps,
}

/// Repeats a duty until nothing is left, or until it shall not go on.
fn exhaust(duty: &Duty, db: &Db, clock: &Clock, goes_on: impl Fn() -> bool) -> Result<Left> {
    let all = AssertUnwindSafe(|| {
        while goes_on() {
            if (duty.run)(db, clock)? == 0 {
                return Ok(Left::Nothing);
            }
        }
        Ok(Left::Perhaps)
    });
    catch_unwind(all).unwrap_or_else(|panic| Err(panics::caught(panic.as_ref())))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::new_database;

    #[test]
    fn housekeeping_without_an_end_is_left_for_the_next_round() {
        let (_directory, db) = new_database();
        let duty = |run| Duty { name: "endless", every: ROUND, run };
        let begun = Instant::now();
        let in_time = || begun.elapsed() < Duration::from_millis(20);
        let endless = exhaust(&duty(|_, _| Ok(1)), &db, &Clock::Machine, in_time);
        assert_eq!(endless.unwrap(), Left::Perhaps);
        assert_eq!(exhaust(&duty(|_, _| Ok(0)), &db, &Clock::Machine, || true).unwrap(), Left::Nothing);
    }

    #[test]
    fn differences_of_the_last_pass_are_known_until_a_whole_one_no_longer_finds_them() {
        let mut found = Findings { last_pass: 0, this_pass: 2 };
        found.begin_anew(true);
        assert_eq!(found.known(), 2);
        found.this_pass = 3;
        assert_eq!(found.known(), 3);
        found.begin_anew(true);
        found.begin_anew(false);
        assert_eq!(found.known(), 3);
        found.begin_anew(true);
        assert_eq!(found.known(), 0);
    }
}
