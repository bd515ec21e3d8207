//! Payouts that request themselves: an account's schedule, the next date of each of its currencies, and what a due date
//! does.
//!
//! A date is taken once, under the lock of its account, however many servers run. After an outage only the latest missed
//! date counts. A date that the method's hold keeps back waits for its end; where there is nothing to request, or it is
//! refused, the next date comes.

mod calendar;
pub mod dates;
mod due;
mod handlers;
mod models;
mod service;

pub use calendar::{Rhythm, ScheduleType};
pub use due::request_due;
pub use handlers::routes;
pub use models::{PayoutSchedule, ScheduleRow, ScheduledRow};
