//! The program configuration as data: levels, rates, plans, currencies, times. Figures live here and in the database, never
//! in code elsewhere. A version never changes once it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{Object, ObjectBuilder};

use crate::clock::Timestamp;
use crate::containers::{BillingPeriod, Product};
use crate::http::trimmed;
use crate::money::{Currency, Money, Rate};

/// The key of a rate that holds for every product without one of its own.
pub const DEFAULT_RATE: &str = "default";

/// What the program promises and demands (domain section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramConfig {
    /// The program currency: referral value is counted in it.
    pub currency: Currency,
    /// Every currency that payments may have.
    #[schema(min_items = 1, max_items = 50)]
    pub currencies: Vec<CurrencyTerms>,
    /// Whether an application is approved without an operator.
    pub auto_approve: bool,
    /// How long a commission stays in review, in days of 24 hours, by the payment's billing period.
    pub review_days: ReviewDays,
    /// How old a click may be to count for a sign-up, in days.
    #[schema(minimum = 0, maximum = 3650)]
    pub attribution_window_days: u32,
    /// How long after its sign-up an account can be attached, in days.
    #[schema(minimum = 0, maximum = 3650)]
    pub attach_window_days: u32,
    /// Hosts that referral links may lead to, with their subdomains.
    #[schema(min_items = 1, max_items = 100, example = json!(["stape.io"]))]
    pub allowed_referral_hosts: Vec<String>,
    /// Where a referral link leads that names no target.
    #[schema(format = "uri", max_length = 2000, example = "https://stape.io/")]
    pub default_referral_target: String,
    /// The partner levels, rising.
    #[schema(min_items = 1, max_items = 20)]
    pub levels: Vec<Level>,
    /// The plans of every product.
    #[schema(min_items = 1, max_items = 200)]
    pub plans: Vec<Plan>,
}

/// A currency of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CurrencyTerms {
    /// The currency.
    pub currency: Currency,
    /// A payout must be more than this.
    pub minimum_payout: Money,
}

/// Review times in days of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewDays {
    /// For a monthly payment.
    #[schema(minimum = 0, maximum = 3650, example = 14)]
    pub monthly: u32,
    /// For a yearly payment.
    #[schema(minimum = 0, maximum = 3650, example = 60)]
    pub yearly: u32,
}

impl ReviewDays {
    /// The days for a payment of `period`.
    #[must_use]
    pub const fn of(self, period: BillingPeriod) -> u32 {
        match period {
            BillingPeriod::Monthly => self.monthly,
            BillingPeriod::Yearly => self.yearly,
        }
    }
}

/// A partner level: reached by either figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Level {
    /// Its number, from 1.
    #[schema(minimum = 1, maximum = 20, example = 1)]
    pub level: i32,
    /// Its name.
    #[serde(deserialize_with = "trimmed")]
    #[schema(min_length = 1, max_length = 100, example = "Partner")]
    pub name: String,
    /// Paid containers that reach it.
    #[schema(minimum = 0, example = 6)]
    pub min_paid_containers: i64,
    /// Referral value that reaches it, in the program currency.
    pub min_referral_value: Money,
    /// Percent by product, and `default` for every other.
    #[schema(schema_with = rates_schema)]
    pub rates: BTreeMap<String, Rate>,
}

fn rates_schema() -> Object {
    let rate = || Ref::from_schema_name(Rate::name());
    ObjectBuilder::new()
        .description(Some("Percent by product, and `default` for every other."))
        .property(DEFAULT_RATE, rate())
        .required(DEFAULT_RATE)
        .additional_properties(Some(rate()))
        .examples([json!({DEFAULT_RATE: "30"})])
        .into()
}

impl Level {
    /// The level's own rate for `product`, and whether it is the product's or the default.
    #[must_use]
    pub fn rate(&self, product: Product) -> (Rate, bool) {
        match self.rates.get(product.as_str()) {
            Some(rate) => (*rate, true),
            None => (self.default_rate(), false),
        }
    }

    /// The level's rate for every product without one of its own.
    #[must_use]
    pub fn default_rate(&self) -> Rate {
        self.rates.get(DEFAULT_RATE).copied().unwrap_or(Rate::from_bps(0))
    }

    /// Whether the figures reach the level: either of them is enough.
    #[must_use]
    pub fn is_met(&self, paid_containers: i64, referral_value_minor: i64) -> bool {
        paid_containers >= self.min_paid_containers || referral_value_minor >= self.min_referral_value.minor
    }
}

/// A plan of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The product.
    pub product: Product,
    /// The plan's name, unique within the product.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,50}$", example = "pro")]
    pub plan: String,
    /// What people call it.
    #[serde(deserialize_with = "trimmed")]
    #[schema(min_length = 1, max_length = 100, example = "Pro")]
    pub label: String,
    /// Requests a month; null is without limit.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, minimum = 1, example = 500_000)]
    pub request_limit: Option<i64>,
    /// List prices in the program currency, without tax; null is by agreement.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub price: Option<PlanPrice>,
}

/// List prices of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanPrice {
    /// Per month.
    pub monthly: Money,
    /// Per year.
    pub yearly: Money,
}

impl ProgramConfig {
    /// The first version (domain sections 2 and 4, api: Program). What Stape does not publish is our default: levels 2 and
    /// 3; the gateways other than Meta's have its plans and prices; every product starts on `free`.
    #[must_use]
    pub fn first() -> Self {
        let usd = |minor| Money::new(minor, Currency::USD);
        let level = |level, name: &str, min_paid_containers, value, percent| Level {
            level,
            name: name.to_owned(),
            min_paid_containers,
            min_referral_value: usd(value),
            rates: BTreeMap::from([(DEFAULT_RATE.to_owned(), Rate::from_bps(percent * 100))]),
        };
        let currencies = ["USD", "EUR", "GBP"].iter().filter_map(|code| code.parse::<Currency>().ok());
        Self {
            currency: Currency::USD,
            currencies: currencies
                .map(|currency| CurrencyTerms { currency, minimum_payout: Money::new(10_000, currency) })
                .collect(),
            auto_approve: false,
            review_days: ReviewDays { monthly: 14, yearly: 60 },
            attribution_window_days: 90,
            attach_window_days: 7,
            allowed_referral_hosts: vec!["stape.io".to_owned()],
            default_referral_target: "https://stape.io/".to_owned(),
            levels: vec![
                level(1, "Partner", 6, 5_000, 30),
                level(2, "Advanced", 25, 25_000, 35),
                level(3, "Elite", 75, 100_000, 40),
            ],
            plans: Product::ALL.iter().flat_map(|product| first_plans(*product)).collect(),
        }
    }

    /// The plan called `plan` of `product`.
    #[must_use]
    pub fn plan(&self, product: Product, plan: &str) -> Option<&Plan> {
        self.plans.iter().find(|candidate| candidate.product == product && candidate.plan == plan)
    }

    /// The currency's terms; `None` where the program does not list it.
    #[must_use]
    pub fn currency_terms(&self, currency: Currency) -> Option<&CurrencyTerms> {
        self.currencies.iter().find(|terms| terms.currency == currency)
    }

    /// The row of `level`.
    #[must_use]
    pub fn level(&self, level: i32) -> Option<&Level> {
        self.levels.iter().find(|row| row.level == level)
    }

    /// The lowest level: agencies are valued at its rates, and its row opens the program to them.
    #[must_use]
    pub fn first_level(&self) -> Option<&Level> {
        self.levels.first()
    }

    /// The highest level whose row the figures reach.
    #[must_use]
    pub fn highest_met(&self, paid_containers: i64, referral_value_minor: i64) -> Option<&Level> {
        self.levels.iter().rev().find(|level| level.is_met(paid_containers, referral_value_minor))
    }
}

fn first_plans(product: Product) -> Vec<Plan> {
    let plan = |name: &str, label: &str, request_limit, price: Option<(i64, i64)>| Plan {
        product,
        plan: name.to_owned(),
        label: label.to_owned(),
        request_limit,
        price: price.map(|(monthly, yearly)| PlanPrice {
            monthly: Money::new(monthly, Currency::USD),
            yearly: Money::new(yearly, Currency::USD),
        }),
    };
    let free = plan("free", "Free", Some(10_000), Some((0, 0)));
    if product == Product::SgtmContainer {
        vec![
            free,
            plan("pro", "Pro", Some(500_000), Some((2_000, 20_000))),
            plan("business", "Business", Some(5_000_000), Some((10_000, 100_000))),
            plan("enterprise", "Enterprise", Some(20_000_000), Some((20_000, 200_000))),
            plan("custom", "Custom", None, None),
        ]
    } else {
        vec![
            free,
            plan("ultimate", "Ultimate", None, Some((1_000, 10_000))),
            plan("unlimited", "Unlimited", None, Some((10_000, 100_000))),
        ]
    }
}

/// A version of the program, as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// The configuration.
    #[serde(flatten)]
    pub config: ProgramConfig,
    /// Its number, from 1.
    #[schema(minimum = 1, example = 1)]
    pub version: i32,
    /// Who made it.
    #[schema(example = "system")]
    pub author: String,
    /// When it came into force; version 1 is in force since ever.
    pub created_at: Timestamp,
}
