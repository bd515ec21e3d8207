//! Payouts (domain section 7): money leaves once, to the right place, with papers that add up.
//!
//! A payout's amount is the sum of its lines, always; its rows are in no other payout at the same time, and it keeps the
//! method as it was at the request. Every change is under the partner's account lock.

pub mod adjustments;
mod bank_file;
pub mod batches;
mod handlers;
pub mod lines;
mod models;
pub mod operator;
pub mod request;
pub mod service;
pub mod steps;

pub use handlers::routes;
pub use models::{Payout, PayoutRow, PayoutStatus, RequestedBy};
pub use operator::routes as operator_routes;
