//! Sub-accounts, the "Users" section: how clients come to a manager, what it sees of them, and how they part.

pub mod access;
mod access_handlers;
mod attach;
mod client_handlers;
mod handlers;
pub mod links;
pub mod listing;
mod models;
pub mod requests;
pub mod service;

pub use client_handlers::{account_routes, client_routes};
pub use handlers::{operator_routes, routes};
pub use models::{Access, Billing, CreateSubAccount, LinkRow, LinkToManager, Origin, SubAccount};
