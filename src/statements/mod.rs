//! Monthly statements: papers that add up and chain (domain section 7). Reads only.
//!
//! A statement goes by the time of posting, in UTC months: opening balance + earned − reversed + adjusted − paid out = closing
//! balance, which is the next month's opening balance, and a month that is over never changes again. A payment of an earlier
//! month whose event came late is earned in the month in which it came. Balances are the signed sum of what is in review,
//! ready and in payouts, so a payout leaves the balance when it is paid.

mod handlers;
mod models;
mod service;

pub use handlers::routes;
