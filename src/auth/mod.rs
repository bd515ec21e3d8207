//! Who calls, and what they may do: credentials become principals ([`Authenticator`]), the middleware leaves the request's
//! principal in its extensions, and the extractors in [`principal`] authorise it. Nothing outside checks credentials.

pub mod authenticator;
mod lookup;
mod middleware;
pub mod passwords;
pub mod principal;
pub mod scope;
pub mod token;

pub use authenticator::Authenticator;
pub use middleware::middleware;
pub use principal::{Caller, Credential, Principal, PrincipalKind};
pub use scope::{Scope, Scopes};
pub use token::TokenKeys;
