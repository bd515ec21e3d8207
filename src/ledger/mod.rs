//! The ledger: double entry, append-only, with one balance row per partner and currency.

pub mod balances;
pub mod entries;
mod handlers;
pub mod journal;
pub mod months;

pub use handlers::routes;
pub use journal::{Balances, EntryKind, EntryRow, Journal, LedgerAccount, Posting};
