//! The API as its users see it: a real server over HTTP, on SQLite and on PostgreSQL.
//!
//! One file per feature; each test is a sentence and runs on both engines. Every test ends with a look by `verify` at the
//! database it leaves. No test sleeps: the clock is set.

mod support;

mod access;
mod accounts;
mod api_keys;
mod attach;
mod audit;
mod auth;
mod billing;
mod command_line;
mod commissions;
mod containers;
mod conventions;
mod conversion;
mod database;
mod events;
mod health;
mod idempotency;
mod impersonation;
mod levels;
mod mail;
mod members;
mod openapi;
mod operator_requests;
mod partners;
mod passwords;
mod program;
mod rate_limit;
mod schema;
mod sessions;
mod sub_account_lists;
mod sub_accounts;
mod usage;
