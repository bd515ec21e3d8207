//! What an attacker tries: each test is a row of the table of attacks that the rows of `auth`, `api_keys`, `sessions`,
//! `impersonation`, `conventions`, `clicks` and `referral_links` do not have.

mod bodies;
mod lookalikes;
mod memory;
mod secrets;
mod slow;
mod tenants;
mod timing;
mod tokens;
