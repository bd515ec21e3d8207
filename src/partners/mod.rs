//! Partners: the way into the program, levels, rates, and the figures that decide them.

pub mod applications;
mod handlers;
pub mod level;
pub mod portfolio;
mod terms;

pub use handlers::{operator_routes, routes};
pub use terms::{AppliedRate, LevelRow, OverrideRow, RateSource, Terms};
