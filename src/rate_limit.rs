//! Limits on how often something may be done: requests per credential, sign-in and sign-up per address, creations per
//! account. They run on the machine's clock, in this process, and hold a bounded number of keys.
//!
//! Two kinds: [`Limiter`] is a token bucket, which lets a burst through and then so many per time; [`SlidingWindow`] counts
//! exactly, for limits that are promised in so many words ("at most 20 an hour"). Each has a name, by which who reaches it is
//! told of it.

use std::collections::VecDeque;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::RateLimit;
use crate::error::{Code, Error, Problem, ReachedLimit, Result};
use crate::id::AccountId;

/// Keys that one limit holds at most.
const MAX_KEYS: u32 = 100_000;

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: NonZeroU32,
    /// In how many seconds.
    pub seconds: NonZeroU32,
}

impl Rate {
    /// Sign-ins from one network address for one e-mail address.
    const SIGN_IN: Self = Self::of(10, 300);
    /// Sign-ins for one e-mail address from everywhere: more than one stranger can use up, who would lock its owner out.
    const SIGN_IN_EMAIL: Self = Self::of(300, 3600);
    /// Sign-ins from one network address.
    const SIGN_IN_PEER: Self = Self::of(60, 300);
    /// Sign-ups from one network address.
    const SIGN_UP: Self = Self::of(20, 3600);
    /// Password resets from one network address.
    const PASSWORD_RESET: Self = Self::of(10, 3600);
    /// Letters of password resets to one e-mail address. The newest one is good for an hour, so there always is one that is.
    const PASSWORD_RESET_LETTERS: Self = Self::of(5, 3600);
    /// Tries at the present password of a signed-in user: as many as sign-ins for its address.
    const PRESENT_PASSWORD: Self = Self::SIGN_IN;
    /// Letters that invite one sub-account.
    const CLIENT_INVITATIONS: Self = Self::of(10, 3600);
    /// Sub-accounts created and attach attempts of one account (domain section 3).
    const CLIENTS: Self = Self::of(20, 3600);
    /// Members that one account invites: a whole team at once, but no letters without end.
    const INVITATIONS: Self = Self::of(100, 3600);

    const fn of(requests: u32, seconds: u32) -> Self {
        match (NonZeroU32::new(requests), NonZeroU32::new(seconds)) {
            (Some(requests), Some(seconds)) => Self { requests, seconds },
            _ => Self { requests: NonZeroU32::MIN, seconds: NonZeroU32::MIN },
        }
    }

    fn window(self) -> Duration {
        Duration::from_secs(u64::from(self.seconds.get()))
    }

    /// The whole number of requests at once, then one each `seconds / requests`.
    fn quota(self) -> Quota {
        let each = self.window() / self.requests.get();
        Quota::with_period(each)
            .map_or_else(|| Quota::per_second(self.requests), |quota| quota.allow_burst(self.requests))
    }
}

impl From<RateLimit> for Option<Rate> {
    fn from(setting: RateLimit) -> Self {
        match setting {
            RateLimit::Off => None,
            RateLimit::Limited { requests, window_s } => Some(Rate { requests, seconds: window_s }),
        }
    }
}

/// All limits of a server; all of them off where `STAPE_RATE_LIMIT` is `off`.
#[derive(Debug)]
pub struct Limits {
    /// Requests, by credential, or by network address without one.
    pub requests: Limiter,
    /// Sign-ins, by network address.
    sign_in_by_peer: Limiter,
    /// Sign-ins, by network address and e-mail address.
    sign_in_by_both: Limiter,
    /// Sign-ins, by e-mail address.
    sign_in_by_email: Limiter,
    /// Sign-ups, by network address.
    pub sign_up: Limiter,
    /// Tries at the present password, which some operations ask for once more, by user.
    pub present_password: Limiter,
    /// Repeated changes of a password, by user: whether one is the same as the first tells of the passwords in it.
    pub repeated_password: Limiter,
    /// Password resets, by network address.
    pub password_reset_by_peer: Limiter,
    /// Letters of password resets, by e-mail address. Who asks is never told: it may be that others have asked.
    pub password_reset_letters: SlidingWindow<String>,
    /// Sub-accounts created and attach attempts together, by account.
    pub clients: SlidingWindow<AccountId>,
    /// Sub-accounts invited, by manager and sub-account.
    pub client_invitations: SlidingWindow<(AccountId, AccountId)>,
    /// Members invited, by account.
    pub invitations: SlidingWindow<AccountId>,
}

impl Limits {
    /// With so many requests per credential; none switches every limit off.
    #[must_use]
    pub fn new(requests: Option<Rate>) -> Self {
        let unless_off = |rate| requests.map(|_| rate);
        Self {
            requests: Limiter::new("default", requests),
            sign_in_by_peer: Limiter::new("signInAddress", unless_off(Rate::SIGN_IN_PEER)),
            sign_in_by_both: Limiter::new("signInEmail", unless_off(Rate::SIGN_IN)),
            sign_in_by_email: Limiter::new("signInEmailEverywhere", unless_off(Rate::SIGN_IN_EMAIL)),
            sign_up: Limiter::new("signUp", unless_off(Rate::SIGN_UP)),
            present_password: Limiter::new("presentPassword", unless_off(Rate::PRESENT_PASSWORD)),
            repeated_password: Limiter::new("repeatedPassword", unless_off(Rate::PRESENT_PASSWORD)),
            password_reset_by_peer: Limiter::new("passwordResetAddress", unless_off(Rate::PASSWORD_RESET)),
            password_reset_letters: SlidingWindow::new(
                "passwordResetLetters",
                unless_off(Rate::PASSWORD_RESET_LETTERS),
            ),
            clients: SlidingWindow::new("subAccounts", unless_off(Rate::CLIENTS)),
            client_invitations: SlidingWindow::new("clientInvitations", unless_off(Rate::CLIENT_INVITATIONS)),
            invitations: SlidingWindow::new("members", unless_off(Rate::INVITATIONS)),
        }
    }

    /// Counts a sign-in for `email` from the network address `client`. What is refused to one client is not counted against the
    /// others.
    ///
    /// # Errors
    /// 429 `rateLimited`.
    pub fn sign_in(&self, client: &str, email: &str) -> Result<()> {
        self.sign_in_by_peer.check(client.to_owned())?;
        self.sign_in_by_both.check(format!("{client} {email}"))?;
        self.sign_in_by_email.check(email.to_owned())
    }
}

/// What is known of each key, until the key was not used for the window. A new key is always taken, and the one that was not used
/// for longest makes room for it: a limit that holds no key is none for it.
fn cache_of_keys<K, V>(rate: Rate, max_keys: u32) -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(max_keys.into())
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(rate.window())
        .build()
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// One token bucket per key. Keys that were not used for longest make room for new ones.
#[derive(Debug)]
pub struct Limiter {
    name: &'static str,
    buckets: Option<(Rate, Cache<String, Arc<Bucket>>)>,
}

/// What is left of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The limit's name.
    pub policy: &'static str,
    /// The bucket's rate.
    pub rate: Rate,
    /// How many more may come at once.
    pub remaining: u32,
    /// Seconds until the bucket is full again.
    pub full_in_s: u64,
    /// Seconds until the next may come; none if this one may.
    pub retry_in_s: Option<u64>,
}

impl Limiter {
    /// So many per key; none is no limit. `name` is one that no other limit has.
    #[must_use]
    pub fn new(name: &'static str, rate: Option<Rate>) -> Self {
        // A bucket that was not used for its window is full, as a new one is.
        Self { name, buckets: rate.map(|rate| (rate, cache_of_keys(rate, MAX_KEYS))) }
    }

    /// Takes one from the bucket of `key` and says what is left; none where there is no limit.
    #[must_use]
    pub fn take(&self, key: String) -> Option<Allowance> {
        let (rate, buckets) = self.buckets.as_ref()?;
        let bucket = buckets.get_with(key, || Arc::new(RateLimiter::direct(rate.quota()).with_middleware()));
        let (remaining, retry_in_s) = match bucket.check() {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(whole_seconds(not_until.wait_time_from(DefaultClock::default().now())))),
        };
        let full_in_s = rate.seconds_for_the_rest(remaining);
        Some(Allowance { policy: self.name, rate: *rate, remaining, full_in_s, retry_in_s })
    }

    /// [`Limiter::take`] for limits that the client is only told of when it breaks them.
    ///
    /// # Errors
    /// 429 `rateLimited`.
    pub fn check(&self, key: String) -> Result<()> {
        match self.take(key).and_then(|allowance| allowance.retry_in_s.map(|wait| (allowance.rate, wait))) {
            Some((rate, wait)) => Err(too_many(self.name, rate, wait)),
            None => Ok(()),
        }
    }
}

impl Rate {
    fn seconds_for_the_rest(self, remaining: u32) -> u64 {
        let missing = u64::from(self.requests.get().saturating_sub(remaining));
        (missing * u64::from(self.seconds.get())).div_ceil(u64::from(self.requests.get()))
    }
}

/// When a key was counted, the oldest first.
type Moments = Arc<Mutex<VecDeque<Instant>>>;

/// Counts exactly, per key, what happened within the last window. Keys that were not used for longest make room for new ones.
#[derive(Debug)]
pub struct SlidingWindow<K: Eq + Hash + Send + Sync + 'static> {
    name: &'static str,
    counted: Option<(Rate, Cache<K, Moments>)>,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> SlidingWindow<K> {
    /// At most so many per key in any window; none is no limit. `name` is one that no other limit has.
    #[must_use]
    pub fn new(name: &'static str, rate: Option<Rate>) -> Self {
        Self::holding(name, rate, MAX_KEYS)
    }

    fn holding(name: &'static str, rate: Option<Rate>, max_keys: u32) -> Self {
        // Of a key that was not used for the window nothing counts any more.
        Self { name, counted: rate.map(|rate| (rate, cache_of_keys(rate, max_keys))) }
    }

    /// The right of one request to count once, however often its transaction runs. Nothing is counted yet.
    #[must_use]
    pub fn permit(&self, key: K) -> Permit<K> {
        Permit { name: self.name, counted: self.counted.clone(), key, is_spent: AtomicBool::new(false) }
    }
}

/// See [`SlidingWindow::permit`]. To be moved into the transaction and spent there, where a replay does not come.
#[derive(Debug)]
pub struct Permit<K: Eq + Hash + Send + Sync + 'static> {
    name: &'static str,
    counted: Option<(Rate, Cache<K, Moments>)>,
    key: K,
    is_spent: AtomicBool,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Permit<K> {
    /// Counts the request, the first time that it is called.
    ///
    /// # Errors
    /// 429 `rateLimited` when the window is full; then nothing is counted.
    pub fn spend(&self) -> Result<()> {
        self.spend_at(Instant::now())
    }

    /// Counts the request where it succeeded, and where it told that an e-mail address is somebody's: that is worth as much to
    /// somebody who tries addresses.
    ///
    /// # Errors
    /// The result's own; 429 `rateLimited` instead of both when the window is full.
    pub fn spend_for<T>(&self, result: Result<T>) -> Result<T> {
        let tells_of_an_address =
            |error: &Error| matches!(error, Error::Problem(problem) if problem.code == Code::EmailTaken);
        if result.as_ref().err().is_none_or(tells_of_an_address) {
            self.spend()?;
        }
        result
    }

    fn spend_at(&self, now: Instant) -> Result<()> {
        let Some((rate, counted)) = &self.counted else { return Ok(()) };
        let moments = counted.get_with_by_ref(&self.key, Moments::default);
        let mut times = moments.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_spent.load(Ordering::Acquire) {
            return Ok(());
        }
        let is_past = |moment: &Instant| now.duration_since(*moment) >= rate.window();
        while times.front().is_some_and(is_past) {
            times.pop_front();
        }
        if u32::try_from(times.len()).is_ok_and(|count| count >= rate.requests.get()) {
            let age = times.front().map_or(Duration::ZERO, |oldest| now.duration_since(*oldest));
            return Err(too_many(self.name, *rate, whole_seconds(rate.window().saturating_sub(age))));
        }
        times.push_back(now);
        self.is_spent.store(true, Ordering::Release);
        Ok(())
    }
}

/// 429, saying the limit and when to come again.
#[must_use]
pub fn too_many(policy: &'static str, rate: Rate, retry_in_s: u64) -> Error {
    let (requests, seconds) = (rate.requests.get(), rate.seconds.get());
    let detail = format!("at most {requests} in {seconds} seconds; try again in {retry_in_s} s");
    let limit = ReachedLimit { policy, requests, seconds };
    Problem::new(Code::RateLimited, detail).retry_after(retry_in_s).by_limit(limit).into()
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
