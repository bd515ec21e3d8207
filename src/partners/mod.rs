//! Partners: the way into the program, levels, rates, and the figures that decide them.

pub mod applications;
mod handlers;
pub mod level;
mod operator;
pub mod portfolio;
mod standing;
mod terms;

pub use handlers::routes;
pub use terms::{AppliedRate, LevelRow, OverrideRow, RateSource, Terms};

/// Registers the operator's operations.
pub fn operator_routes(config: &mut crate::http::routes::ServiceConfig) {
    handlers::operator_routes(config);
    operator::routes(config);
}
