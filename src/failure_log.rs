//! What fails again and again, as few log lines: one when it begins, one a minute while it lasts, one when it is over. A
//! database that is away would be told of at every try else, by all work that needs it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::error::Result;

/// How long nothing more is told of what goes on failing.
const SILENCE: Duration = Duration::from_mins(1);

/// How one thread's pieces of work fare. Those that fail for the same cause share its lines.
#[derive(Debug, Default)]
pub struct FailureLog {
    failing: BTreeMap<&'static str, Failing>,
}

/// A piece of work whose last try failed.
#[derive(Debug)]
struct Failing {
    /// The cause that the last line told.
    told: String,
    since: Instant,
    /// When a line told of it; none where it told of another piece alone.
    told_at: Option<Instant>,
    /// Failures that were left out since, those of other pieces among them.
    left_out: usize,
}

impl FailureLog {
    /// Logs what there is to tell of a try at `work`, and says whether it succeeded.
    pub fn note<T>(&mut self, work: &'static str, outcome: &Result<T>) -> bool {
        match outcome {
            Ok(_) => {
                if let Some(news) = self.succeeded(work, Instant::now()) {
                    log::info!("{news}");
                }
                true
            }
            Err(error) => {
                if let Some(news) = self.failed(work, &error.to_string(), Instant::now()) {
                    log::error!("{news}");
                }
                false
            }
        }
    }

    fn failed(&mut self, work: &'static str, cause: &str, now: Instant) -> Option<String> {
        let begins = Failing { told: String::new(), since: now, told_at: None, left_out: 0 };
        self.failing.entry(work).or_insert(begins);
        let was_told = |failing: &Failing| failing.told_at.is_some_and(|at| now.duration_since(at) < SILENCE);
        let mut told = self.failing.iter_mut().filter(|(_, failing)| was_told(failing));
        if let Some((_, teller)) = told.find(|(other, failing)| **other == work || failing.told == cause) {
            teller.left_out += 1;
            return None;
        }
        let failing = self.failing.get_mut(work)?;
        cause.clone_into(&mut failing.told);
        let is_new = failing.told_at.replace(now).is_none();
        let left_out = std::mem::take(&mut failing.left_out);
        let lasts = now.duration_since(failing.since).as_secs();
        Some(if is_new {
            format!("{work}: {cause}")
        } else {
            format!("{work}: {cause}; it has failed for {lasts} s (failures left out here: {left_out})")
        })
    }

    fn succeeded(&mut self, work: &'static str, now: Instant) -> Option<String> {
        let Failing { since, told_at, left_out, .. } = self.failing.remove(work)?;
        let lasted = now.duration_since(since).as_secs();
        told_at.map(|_| format!("{work}: succeeds again after {lasted} s (failures left out here: {left_out})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of tries at moments in seconds: the cause of a failure, or none for a success.
    fn told(tries: &[(u64, &'static str, Option<&str>)]) -> Vec<String> {
        let (mut failures, start) = (FailureLog::default(), Instant::now());
        let news = |(at, work, cause): &(u64, &'static str, Option<&str>)| {
            let now = start + Duration::from_secs(*at);
            match cause {
                Some(cause) => failures.failed(work, cause, now),
                None => failures.succeeded(work, now),
            }
        };
        tries.iter().filter_map(news).collect()
    }

    #[test]
    fn a_failure_is_told_when_it_begins_once_a_minute_and_when_it_is_over() {
        let tries = (0..=130).step_by(2).map(|at| (at, "mails", Some("away"))).collect::<Vec<_>>();
        let expected = [
            "mails: away",
            "mails: away; it has failed for 60 s (failures left out here: 29)",
            "mails: away; it has failed for 120 s (failures left out here: 29)",
            "mails: succeeds again after 132 s (failures left out here: 5)",
            "mails: away",
        ];
        let after = [(132, "mails", None), (134, "mails", None), (136, "mails", Some("away"))];
        assert_eq!(told(&[tries, after.to_vec()].concat()), expected);
    }

    #[test]
    fn work_that_fails_for_the_same_cause_shares_its_lines() {
        let away = Some("away");
        let tries = [(0, "a", away), (0, "b", away), (1, "c", Some("broken")), (2, "a", away), (2, "b", away)];
        let over = [(4, "a", None), (4, "b", None), (4, "c", Some("broken"))];
        let expected = ["a: away", "c: broken", "a: succeeds again after 4 s (failures left out here: 3)"];
        assert_eq!(told(&[tries.as_slice(), &over].concat()), expected);
    }

    #[test]
    fn what_still_fails_when_the_other_is_over_is_told() {
        let away = Some("away");
        let tries = [(0, "a", away), (0, "b", away), (2, "a", None), (2, "b", away), (4, "b", None)];
        let over = "b: succeeds again after 4 s (failures left out here: 0)";
        assert_eq!(
            told(&tries),
            ["a: away", "a: succeeds again after 2 s (failures left out here: 1)", "b: away", over]
        );
    }

    #[test]
    fn a_cause_that_nobody_was_told_hides_nothing() {
        let tries = [(0, "a", Some("broken")), (2, "a", Some("away")), (2, "b", Some("away"))];
        assert_eq!(told(&tries), ["a: broken", "b: away"]);
    }

    #[test]
    fn a_cause_that_changes_each_time_is_no_new_failure() {
        let causes: Vec<String> = (0..40).map(|number| format!("row {number}")).collect();
        let tries: Vec<_> = causes.iter().zip(0..).map(|(cause, at)| (at, "a", Some(cause.as_str()))).collect();
        assert_eq!(told(&tries), ["a: row 0"]);
    }
}
