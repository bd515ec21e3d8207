//! Billing events from the operator's billing system, and the payments that they report (domain section 5).
//!
//! The way of a batch: `event` reads elements, `world` locks and loads what they name, `apply` decides and changes it in
//! memory, `world` writes it, `ingest` answers.

mod apply;
mod event;
mod handlers;
pub mod ingest;
mod models;
pub mod payments;
mod world;

pub use event::{BillingEvent, Element, EventData};
pub use handlers::{operator_routes, routes};
pub use models::{BillingEventRow, BillingEventType, Payer, PaymentReason, PaymentRow, RefundReason, RefundRow};
