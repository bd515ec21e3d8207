//! Tests of the rules of a configuration.

use super::*;
use crate::money::{Currency, Rate};

fn pointers(change: impl FnOnce(&mut ProgramConfig)) -> Vec<String> {
    let mut config = ProgramConfig::first();
    change(&mut config);
    violations(&config).into_iter().filter_map(|violation| violation.pointer).collect()
}

#[test]
fn the_first_version_keeps_every_rule() {
    assert_eq!(pointers(|_| ()), [""; 0]);
}

#[test]
fn levels_count_from_1_and_rise_in_both_figures() {
    assert_eq!(pointers(|config| config.levels.clear()), ["/levels"]);
    assert_eq!(pointers(|config| config.levels.swap(0, 1)).len(), 4);
    assert_eq!(pointers(|config| config.levels[1].min_paid_containers = 6), ["/levels/1/minPaidContainers"]);
    assert_eq!(pointers(|config| config.levels[2].min_referral_value.minor = 0), ["/levels/2/minReferralValue"]);
}

#[test]
fn rates_have_a_default_and_name_products() {
    assert_eq!(pointers(|config| config.levels[0].rates.clear()), ["/levels/0/rates/default"]);
    let unknown = |config: &mut ProgramConfig| {
        config.levels[0].rates.insert("fax/machine".to_owned(), Rate::from_bps(1));
    };
    assert_eq!(pointers(unknown), ["/levels/0/rates/fax~1machine"]);
}

#[test]
fn amounts_are_in_the_program_currency_which_is_listed() {
    let removed = pointers(|config| config.currencies.retain(|terms| terms.currency != Currency::USD));
    assert_eq!(removed, ["/currency"]);
    let euro: Currency = "EUR".parse().unwrap();
    let price = pointers(|config| config.plans[1].price.as_mut().unwrap().monthly.currency = euro);
    assert_eq!(price, ["/plans/1/price/monthly/currency"]);
    let minimum = pointers(|config| config.currencies[0].minimum_payout.currency = euro);
    assert_eq!(minimum, ["/currencies/0/minimumPayout/currency"]);
}

#[test]
fn every_product_that_is_offered_can_be_had_for_free() {
    assert_eq!(pointers(|config| drop(config.plans.remove(0))), ["/plans"]);
    assert_eq!(pointers(|config| config.plans.retain(|plan| plan.product != Product::TiktokGateway)), [""; 0]);
}

#[test]
fn plans_are_unique_words() {
    assert_eq!(pointers(|config| config.plans[2].plan = "pro".to_owned()), ["/plans/2/plan"]);
    assert_eq!(pointers(|config| config.plans[2].plan = "pro,max".to_owned()), ["/plans/2/plan"]);
    assert_eq!(pointers(|config| config.plans[2].request_limit = Some(0)), ["/plans/2/requestLimit"]);
}

#[test]
fn the_default_target_is_on_an_allowed_host() {
    for wrong in [
        "http://stape.io/",
        "https://evil.io/",
        "https://evilstape.io/",
        "https://me@stape.io/",
        "stape.io",
        "https://1.2.3.4/",
    ] {
        let target = |config: &mut ProgramConfig| config.default_referral_target = wrong.to_owned();
        assert_eq!(pointers(target), ["/defaultReferralTarget"], "{wrong}");
    }
    for right in ["https://stape.io", "https://www.stape.io/a?b=c"] {
        assert_eq!(pointers(|config| config.default_referral_target = right.to_owned()), [""; 0], "{right}");
    }
}

#[test]
fn hosts_are_host_names_in_lower_case() {
    for wrong in ["Stape.io", "io", "stape.io.", "-a.io", "a..io", "1.2.3.4", "https://stape.io", "stape io.io", ""] {
        let host = |config: &mut ProgramConfig| config.allowed_referral_hosts.push(wrong.to_owned());
        assert_eq!(pointers(host), ["/allowedReferralHosts/1"], "{wrong}");
    }
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let many = |config: &mut ProgramConfig| {
        config.review_days.monthly = 4_000;
        config.levels[0].name = String::new();
        config.plans[0].label = "Free\u{202e}".to_owned();
    };
    assert_eq!(pointers(many), ["/reviewDays/monthly", "/levels/0/name", "/plans/0/label"]);
}
