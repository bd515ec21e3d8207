//! Limits: what is counted, for whom, and how long.

use super::*;

#[test]
fn an_address_that_is_taken_counts_as_an_account_that_is_made() {
    let window = SlidingWindow::new("test", Some(Rate::of(2, 60)));
    let taken = || Err::<(), _>(Error::refused(Code::EmailTaken, "a test"));
    let other = || Err::<(), _>(Error::not_found());
    let code = |result: Result<()>| match result {
        Err(Error::Problem(problem)) => Some(problem.code),
        _ => None,
    };
    assert_eq!(code(window.permit(1).spend_for(other())), Some(Code::NotFound));
    assert_eq!(code(window.permit(1).spend_for(taken())), Some(Code::EmailTaken));
    assert_eq!(code(window.permit(1).spend_for(Ok(()))), None);
    for result in [taken(), Ok(())] {
        assert_eq!(code(window.permit(1).spend_for(result)), Some(Code::RateLimited));
    }
    assert_eq!(code(window.permit(1).spend_for(other())), Some(Code::NotFound));
}

#[test]
fn a_bucket_lets_a_burst_through_for_each_key() {
    let limiter = Limiter::new("test", Some(Rate::of(3, 3600)));
    let remaining: Vec<_> = (0..3).map(|_| limiter.take("a".to_owned()).unwrap().remaining).collect();
    assert_eq!(remaining, [2, 1, 0]);
    let refused = limiter.take("a".to_owned()).unwrap();
    assert!(refused.retry_in_s.is_some_and(|wait| (1..=1200).contains(&wait)), "{refused:?}");
    assert_eq!(limiter.check("a".to_owned()).unwrap_err().problem().code, Code::RateLimited);
    assert!(limiter.check("b".to_owned()).is_ok());
}

#[test]
fn one_client_uses_up_its_own_sign_ins_and_many_together_those_of_an_address() {
    let limits = Limits::new(Some(Rate::of(6_000, 60)));
    let policy = |client: &str| match limits.sign_in(client, "ann@example.com") {
        Err(Error::Problem(problem)) => problem.limit.map(|limit| limit.policy),
        _ => None,
    };
    assert!((0..10).all(|_| policy("a").is_none()));
    assert!((0..40).all(|_| policy("a") == Some("signInEmail")));
    // The others have what is left of 300.
    let others: Vec<_> = (0..30).flat_map(|number| (0..10).map(move |_| number.to_string())).collect();
    let refused = others.iter().filter_map(|client| policy(client)).collect::<Vec<_>>();
    assert_eq!(refused, ["signInEmailEverywhere"; 10]);
    assert!(limits.sign_in("0", "ben@example.com").is_ok());
}

#[test]
fn switched_off_there_is_no_limit() {
    let limits = Limits::new(None);
    assert_eq!(limits.requests.take("a".to_owned()), None);
    assert!((0..100).all(|_| limits.sign_up.check("a".to_owned()).is_ok()));
}

#[test]
fn a_window_holds_a_bounded_number_of_keys() {
    let window = SlidingWindow::holding("test", Some(Rate::of(1, 3600)), 10);
    assert!((0..1_000).all(|key| window.permit(key).spend().is_ok()));
    let keys = &window.counted.as_ref().unwrap().1;
    keys.run_pending_tasks();
    assert_eq!(keys.entry_count(), 10);
    // The newest key is held, and the oldest made room.
    assert!(window.permit(999).spend().is_err());
    assert!(window.permit(0).spend().is_ok());
}

#[test]
fn a_window_slides_and_a_permit_counts_once() {
    let window = SlidingWindow::new("test", Some(Rate::of(2, 60)));
    let start = Instant::now();
    let spend = |after_s| window.permit("a").spend_at(start + Duration::from_secs(after_s));
    let permit = window.permit("a");
    assert!(permit.spend_at(start).is_ok() && permit.spend_at(start).is_ok());
    assert!(spend(30).is_ok());
    assert_eq!(spend(59).unwrap_err().problem().retry_after_s, Some(1));
    assert!(spend(60).is_ok());
    assert_eq!(spend(61).unwrap_err().problem().retry_after_s, Some(29));
}
