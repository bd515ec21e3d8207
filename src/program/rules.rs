//! When a program configuration makes sense: every broken rule, with its pointer. Pure; what the stored containers and
//! balances demand is in `update`.

use std::collections::HashSet;

use url::{Host, Url};

use super::config::{CurrencyTerms, DEFAULT_RATE, Level, Plan, ProgramConfig};
use crate::accounts::models::validate_name;
use crate::containers::Product;
use crate::error::{Violation, pointer_to};
use crate::http::json;
use crate::money::Money;

const MAX_CURRENCIES: usize = 50;
const MAX_HOSTS: usize = 100;
const MAX_LEVELS: usize = 20;
const MAX_PLANS: usize = 200;
const MAX_DAYS: u32 = 3_650;
const MAX_PLAN_NAME: usize = 50;
const MAX_URL: usize = 2_000;

/// Every rule that `config` breaks.
#[must_use]
pub fn violations(config: &ProgramConfig) -> Vec<Violation> {
    let mut found = Found::default();
    found.currencies(config);
    found.days(config);
    found.hosts(config);
    found.levels(config);
    found.plans(config);
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn note(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        self.0.push(Violation::at(pointer, code, detail));
    }

    fn length(&mut self, pointer: &str, length: usize, max: usize) {
        if !(1..=max).contains(&length) {
            self.note(pointer, "length", format!("must have 1 to {max} items"));
        }
    }

    /// An amount of the program currency, not below zero.
    fn amount(&mut self, pointer: &str, amount: Money, config: &ProgramConfig) {
        if amount.currency != config.currency {
            let detail = format!("must be {}, the program currency", config.currency);
            self.note(format!("{pointer}/currency"), "currencyMismatch", detail);
        }
        if amount.minor < 0 {
            self.note(format!("{pointer}/amount"), "range", "must not be negative");
        }
    }

    fn name(&mut self, pointer: &str, name: &str) {
        self.0.extend(validate_name(name).err().map(|rule| json::rule_violation(pointer, &rule)));
    }

    fn currencies(&mut self, config: &ProgramConfig) {
        self.length("/currencies", config.currencies.len(), MAX_CURRENCIES);
        let mut seen = HashSet::new();
        for (index, CurrencyTerms { currency, minimum_payout }) in config.currencies.iter().enumerate() {
            if !seen.insert(currency) {
                self.note(format!("/currencies/{index}/currency"), "duplicate", "is listed before");
            }
            let pointer = format!("/currencies/{index}/minimumPayout");
            if minimum_payout.currency != *currency {
                self.note(format!("{pointer}/currency"), "currencyMismatch", format!("must be {currency}"));
            }
            if minimum_payout.minor < 0 {
                self.note(format!("{pointer}/amount"), "range", "must not be negative");
            }
        }
        if config.currency_terms(config.currency).is_none() {
            self.note("/currency", "notListed", "must be one of the currencies");
        }
    }

    fn days(&mut self, config: &ProgramConfig) {
        let days = [
            ("/reviewDays/monthly", config.review_days.monthly),
            ("/reviewDays/yearly", config.review_days.yearly),
            ("/attributionWindowDays", config.attribution_window_days),
            ("/attachWindowDays", config.attach_window_days),
        ];
        for (pointer, days) in days {
            if days > MAX_DAYS {
                self.note(pointer, "range", format!("must be 0 to {MAX_DAYS}"));
            }
        }
    }

    fn hosts(&mut self, config: &ProgramConfig) {
        self.length("/allowedReferralHosts", config.allowed_referral_hosts.len(), MAX_HOSTS);
        let mut seen = HashSet::new();
        for (index, host) in config.allowed_referral_hosts.iter().enumerate() {
            let pointer = format!("/allowedReferralHosts/{index}");
            if !is_host_name(host) {
                self.note(&pointer, "host", "must be a host name in lower case, such as stape.io");
            }
            if !seen.insert(host) {
                self.note(&pointer, "duplicate", "is listed before");
            }
        }
        if !config.allows_target(&config.default_referral_target) {
            let detail = "must be an https URL whose host is allowed, or below one that is";
            self.note("/defaultReferralTarget", "url", detail);
        }
    }

    fn levels(&mut self, config: &ProgramConfig) {
        self.length("/levels", config.levels.len(), MAX_LEVELS);
        let mut before: Option<&Level> = None;
        for (index, (number, level)) in (1..).zip(&config.levels).enumerate() {
            let pointer = format!("/levels/{index}");
            if level.level != number {
                self.note(format!("{pointer}/level"), "order", format!("must be {number}: levels count from 1"));
            }
            self.name(&format!("{pointer}/name"), &level.name);
            if level.min_paid_containers < 0 {
                self.note(format!("{pointer}/minPaidContainers"), "range", "must not be negative");
            }
            self.amount(&format!("{pointer}/minReferralValue"), level.min_referral_value, config);
            if let Some(before) = before {
                self.rise(&pointer, before, level);
            }
            self.rates(&format!("{pointer}/rates"), level);
            before = Some(level);
        }
    }

    fn rise(&mut self, pointer: &str, before: &Level, level: &Level) {
        let must_rise = "must be more than that of the level before";
        if level.min_paid_containers <= before.min_paid_containers {
            self.note(format!("{pointer}/minPaidContainers"), "order", must_rise);
        }
        if level.min_referral_value.minor <= before.min_referral_value.minor {
            self.note(format!("{pointer}/minReferralValue"), "order", must_rise);
        }
    }

    fn rates(&mut self, pointer: &str, level: &Level) {
        if !level.rates.contains_key(DEFAULT_RATE) {
            self.note(format!("{pointer}/{DEFAULT_RATE}"), "required", "is required");
        }
        for key in level.rates.keys().filter(|key| !is_rate_key(key)) {
            self.note(pointer_to(pointer, key), "unknown", "is neither a product nor default");
        }
    }

    fn plans(&mut self, config: &ProgramConfig) {
        self.length("/plans", config.plans.len(), MAX_PLANS);
        let mut seen = HashSet::new();
        for (index, plan) in config.plans.iter().enumerate() {
            let pointer = format!("/plans/{index}");
            self.plan(&pointer, plan, config);
            if !seen.insert((plan.product, &plan.plan)) {
                self.note(format!("{pointer}/plan"), "duplicate", format!("is a plan of {} before", plan.product));
            }
        }
        let offered: HashSet<Product> = config.plans.iter().map(|plan| plan.product).collect();
        for product in Product::ALL.iter().filter(|product| offered.contains(product)) {
            if config.plan(*product, crate::containers::service::FIRST_PLAN).is_none() {
                self.note("/plans", "required", format!("must hold the plan free of {product}"));
            }
        }
    }

    fn plan(&mut self, pointer: &str, plan: &Plan, config: &ProgramConfig) {
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_word(&plan.plan) || !(1..=MAX_PLAN_NAME).contains(&plan.plan.len()) {
            let detail = format!("must be 1 to {MAX_PLAN_NAME} letters, digits, hyphens, underscores or dots");
            self.note(format!("{pointer}/plan"), "malformed", detail);
        }
        self.name(&format!("{pointer}/label"), &plan.label);
        if plan.request_limit.is_some_and(|limit| limit < 1) {
            self.note(format!("{pointer}/requestLimit"), "range", "must be at least 1, or null");
        }
        if let Some(price) = plan.price {
            self.amount(&format!("{pointer}/price/monthly"), price.monthly, config);
            self.amount(&format!("{pointer}/price/yearly"), price.yearly, config);
        }
    }
}

/// Whether rates may be given for `key`: a product, or `default`.
#[must_use]
pub fn is_rate_key(key: &str) -> bool {
    key == DEFAULT_RATE || key.parse::<Product>().is_ok()
}

impl ProgramConfig {
    /// Whether a referral link may lead to `target`: https, to an allowed host or one below it, without a user in it, and
    /// spelled so that nobody reads another host in it.
    #[must_use]
    pub fn allows_target(&self, target: &str) -> bool {
        let Ok(url) = Url::parse(target) else { return false };
        let Some(Host::Domain(host)) = url.host() else { return false };
        let is_below = |allowed: &String| {
            host.strip_suffix(allowed.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        target.len() <= MAX_URL
            && url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && names_host(target, host)
            && self.allowed_referral_hosts.iter().any(is_below)
    }
}

/// Whether the text itself says `https://` and this host: the standard's way of reading adds missing slashes, takes `\` for
/// one, and folds letters, which others do not.
fn names_host(target: &str, host: &str) -> bool {
    let after_scheme = target.split_at_checked(8).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https://"));
    let authority = after_scheme.and_then(|(_, rest)| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let named = authority.split(':').next().unwrap_or_default();
    named.eq_ignore_ascii_case(host) && !target.contains('\\')
}

fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let is_number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.contains('.') && !is_number && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
