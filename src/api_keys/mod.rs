//! API keys of accounts, made and revoked by an owner's login; and, apart from them, the operator's keys, made on the
//! command line. The text of a key is in the answer that makes it and nowhere else.

mod handlers;
pub mod models;
pub mod operator_keys;
pub mod secret;
pub mod service;

pub use handlers::routes;
pub use models::{ApiKey, ApiKeyRow};
