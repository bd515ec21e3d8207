//! Commissions: what partners earned and what was taken back.

pub mod accrual;
pub mod by_container;
pub mod calendar;
pub mod explanation;
mod handlers;
mod kept_pages;
pub mod maturity;
mod models;
mod resource;
pub mod service;
pub mod summary;
pub mod time_series;

pub use handlers::routes;
pub use kept_pages::KeptPages;
pub use models::{CommissionRow, CommissionStatus, LineId, LineKind, NoCommissionReason};
pub use resource::{Commission, ContainerReference, PaymentReference, SubAccountReference};
