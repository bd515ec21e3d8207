//! How a manager wants to be paid: one method per currency. What a bank needs is validated when it is set, encrypted at
//! rest, and read back masked only; it never goes into an event, an audit row, a letter or a log line.
//!
//! Setting a method needs the password of the owner's login, tells all owners by mail, and holds automatic payouts of the
//! currency for 72 hours. A payout keeps a copy of the encrypted details as they were at its request: they are bound to
//! the account and the currency, not to a row.

mod bank;
mod details;
mod handlers;
mod models;
mod reach;
pub mod sealed;
mod service;

pub use bank::PlainName;
pub use details::{
    AccountType, AchDetails, MethodDetails, MethodType, PaypalDetails, SepaDetails, SwiftDetails, WiseDetails,
};
pub use handlers::routes;
pub use models::{PayoutMethod, PayoutMethodRow};
pub use service::{find, reveal, set};
