//! The program configuration and its versions: which figures are in force, and which were at a time.
//!
//! Version 1 is in force since ever; a later one from its own time on, half-open. Nothing made under an older version is
//! rated again.

mod config;
pub mod currencies;
mod handlers;
mod operator;
mod rules;
pub mod service;
mod update;

pub use config::{CurrencyTerms, DEFAULT_RATE, Level, Plan, PlanPrice, Program, ProgramConfig, ReviewDays};
pub use handlers::routes;
pub use operator::operator_routes;
pub use rules::is_rate_key;
