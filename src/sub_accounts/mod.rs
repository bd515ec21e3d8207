//! Sub-accounts, the "Users" section: how clients come to a manager, what it sees of them, and how they part.

mod handlers;
pub mod links;
mod models;
pub mod service;

pub use handlers::{operator_routes, routes};
pub use models::{Access, Billing, CreateSubAccount, LinkRow, LinkToManager, Origin, SubAccount};
