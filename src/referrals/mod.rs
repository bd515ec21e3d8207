//! Referral links (domain section 6): what a partner puts on its website, the clicks on it, and the clients that come of it.
//!
//! `service` makes and changes links, `codes` keeps their codes unique for ever, `clicks` redirects and records visitors,
//! `attribution` links a sign-up to the manager whose code it brings, `statistics` counts, `report` shows the counts by day.
//! A click is durable before its answer leaves; no network address is ever stored.

pub mod attribution;
pub mod clicks;
pub mod codes;
mod handlers;
mod models;
mod qr;
mod report;
pub mod service;
pub mod statistics;

pub use clicks::Clicks;
pub use handlers::routes;
pub use models::{CreateReferralLink, ReferralLink, ReferralLinkRow, UpdateReferralLink};
pub use service::create_default_link;
