//! The API as its users see it: a real server over HTTP, on SQLite and on PostgreSQL.
//!
//! One file per feature; each test is a sentence and runs on both engines. Every test ends with a look by `verify` at the
//! database it leaves. No test waits for a time to come: the clock is set. What other threads do is looked for
//! until it is there, or cut off in its midst.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it shall do then; helpers of tests are no #[test] functions"
)]

mod support;

mod access;
mod accounts;
mod adjustments;
mod api_keys;
mod attach;
mod attacks;
mod attribution;
mod audit;
mod auth;
mod backup;
mod badge;
mod billing;
mod billing_refusals;
mod clicks;
mod clocks;
mod command_line;
mod commissions;
mod compatibility;
mod containers;
mod conventions;
mod conversion;
mod crowds;
mod dashboard;
mod database;
mod demonstration;
mod events;
mod faults;
mod health;
mod idempotency;
mod impersonation;
mod kept_pages;
mod levels;
mod limits;
mod logs;
mod mail;
mod members;
mod model;
mod openapi;
mod operator_requests;
mod overtaken;
mod partners;
mod passwords;
mod payout_batches;
mod payout_method_secrets;
mod payout_methods;
mod payout_schedules;
mod payout_steps;
mod payouts;
mod permissions;
mod plans;
mod program;
mod properties;
mod races;
mod rate_limit;
mod referral_links;
mod required;
mod schema;
mod secrets;
mod sessions;
mod starting;
mod statements;
mod sub_account_lists;
mod sub_accounts;
mod usage;
mod verify;
