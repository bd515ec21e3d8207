//! Accounts and users: sign-up, sessions, passwords, the account's own data, its team, and the operator's look at them.

mod handlers;
pub mod models;
pub mod operator;
mod password_handlers;
pub mod password_tokens;
pub mod service;
mod session_handlers;
pub mod sessions;
mod team;
mod team_handlers;

pub use models::{AccountRow, UserRow, validate_email, validate_name};
pub use service::{lock, lock_around, lock_concerned, lock_rows};

/// Registers the operations of accounts, sessions, passwords and teams, but for the operator's.
pub fn routes(config: &mut crate::http::routes::ServiceConfig) {
    handlers::routes(config);
    session_handlers::routes(config);
    password_handlers::routes(config);
    team_handlers::routes(config);
}

crate::text_enum! {
    /// What an account is.
    pub enum AccountKind {
        /// A client: owns containers and pays for them.
        Standard = "standard",
        /// Manages sub-accounts, earns nothing.
        Agency = "agency",
        /// An agency in the partner program: earns commissions.
        Partner = "partner",
    }
}

impl AccountKind {
    /// Whether such an account has sub-accounts.
    #[must_use]
    pub const fn is_manager(self) -> bool {
        matches!(self, Self::Agency | Self::Partner)
    }
}

crate::text_enum! {
    /// A user's role in its account.
    pub enum Role {
        /// May do everything that the account may.
        Owner = "owner",
        /// May do all but payouts, payout methods, keys and the team.
        Member = "member",
    }
}
