//! The Stape API: the headless backend of a partner program for a hosting company.
//!
//! Agencies bring clients; the clients pay for containers; at every payment the agency, once a partner, earns a
//! commission; it watches its income and asks for payouts. Everything is a public REST API with an OpenAPI document.
//!
//! The rules of the program are in `docs/domain.md`; comments that name a domain section mean that file's.
//!
//! # Where things are
//!
//! One folder per thing that a partner would name, with everything of that thing in it: `handlers` (the HTTP operations),
//! `models` (rows and resources), `service` or a file named after the rule (what is allowed, and what it changes).
//!
//! | look here | for |
//! |---|---|
//! | [`accounts`], [`api_keys`], [`auth`] | sign-up, sessions, keys, who may do what |
//! | [`program`] | levels, rates, plans, minimums: the figures, versioned |
//! | [`partners`] | the way into the program, levels, rate precedence (`terms`), counters and values (`portfolio`) |
//! | [`sub_accounts`] | how clients come to a manager and leave it (`links`) |
//! | [`containers`] | what clients pay for, and how it counts (`slots`) |
//! | [`billing`] | billing events: `event` reads, `world` loads and writes, `apply` decides, `ingest` answers |
//! | [`commissions`] | what a payment earns and a refund takes back (`accrual`), when it is ready (`maturity`) |
//! | [`ledger`], [`statements`] | double entry: the only way money moves (`journal`), its monthly sums (`months`), the papers |
//! | [`payouts`] | what a request takes (`request`), the steps (`steps`), bank files (`batches`), the operator's `adjustments` |
//! | [`payout_methods`], [`payout_schedules`], [`vault`] | where money goes, encrypted at rest, and when by itself |
//! | [`dashboard`] | the partner's home page in one call |
//! | [`operator_requests`] | what clients and managers want, and only the operator's billing system can carry out |
//! | [`referrals`], [`badge`] | links, clicks in groups (`clicks`), whose client a sign-up becomes (`attribution`); the picture |
//! | [`events`], [`audit`] | what happened, for machines and for people; written with their cause |
//! | [`mail`], [`courier`] | letters, kept as facts until they leave (`outbox`), and the thread that delivers them |
//! | [`verify`] | recomputes everything that is stored twice |
//! | [`worker`], [`demo`], [`command_line`], [`server`] | what runs by itself, the demonstration, start and stop |
//! | [`config`], [`stored`], [`test_clock`] | settings and secrets; what a database remembers of its servers, and its own time |
//! | [`health`], [`metrics`], [`telemetry`], [`failure_log`], [`panics`] | how a server does: for load balancers, in figures, in log lines |
//! | [`backup`], [`progress`] | a copy of a SQLite database that is being served; how far long work is |
//! | [`app`], [`state`], [`context`] | all features together; what handlers share; what a service knows of its caller |
//! | [`http`], [`openapi`], [`idempotency`], [`rate_limit`], [`batch`] | what all operations share, and the operator's batches |
//! | [`docs`], [`html`] | the pages that the server shows of itself, and text in them |
//! | [`error`] | every refusal, with its status: one table |
//! | [`money`], [`id`], [`clock`], [`short_text`] | amounts, ids and moments, and how they are written |
//! | [`mod@text_enum`] | closed vocabularies: the same words in JSON, in the document and in the database |
//! | [`crypto`] | random values, digests, comparisons in constant time |
//! | [`db`], [`group_commit`] | connections, transactions, the two engines; many effects in one transaction |
//! | [`aside`] | threads for what takes long: the database's and the hashes of passwords |
//!
//! # The way of a request
//!
//! Middleware gives it an id, catches panics, authenticates it and counts it. Extractors follow: first the caller, with kind
//! and right in the type (`Partner<CommissionsRead>`), then typed ids and a valid body. The handler opens one transaction
//! ([`state::AppState::execute`]), in which a service loads, decides and writes once; events, audit rows and ledger entries
//! are part of it, and so is the idempotency key. The answer is built from the rows in hand.
//!
//! # What always holds
//!
//! - Money is in minor units with its currency beside it, calculated as decimals, rounded half to even; no binary floating
//!   point, and no sum over two currencies.
//! - Every change of a commission posts ledger entries that sum to zero. Entries are never updated or deleted.
//! - Every change of a commission appends to its account's feed, in the same transaction; pages that a server keeps rely on it.
//! - There is no finder without its tenant: another account's row looks like a missing one.
//! - Whoever changes what belongs to accounts locks their rows first, all of them, in the order of their ids
//!   ([`accounts::lock`]), and goes on at the time that it gets with them. That lock guards an account's balances, counters,
//!   links, containers and feed.
//! - What is answered is durable. An error leaves nothing behind.
//! - The domain's time comes from outside a service ([`context::Context`]); nothing but [`clock`] asks the system for the
//!   time of day.
//!
//! # What is not there
//!
//! Nothing outside [`db`] knows the pool; no rule of the program knows actix or a status code: handlers and [`http`] do, and
//! which status a refusal has is said in [`error`] alone. There are no sequences, triggers, advisory locks, `LISTEN` or
//! temporary tables in the database, no mocks, and no unsafe code. There is no state in a server that it could not lose:
//! limits, caches of at most a second, the latest time that its clock and its ids told, which keys' uses it noted within
//! the last minute, and the visitors' keys of the day and, around midnight, of the day before, which are in the database, too.

pub mod accounts;
pub mod api_keys;
pub mod app;
pub mod aside;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod badge;
pub mod batch;
pub mod billing;
pub mod clock;
pub mod command_line;
pub mod commissions;
pub mod config;
pub mod containers;
pub mod context;
pub mod courier;
pub mod crypto;
pub mod dashboard;
pub mod db;
pub mod demo;
pub mod docs;
pub mod error;
pub mod events;
pub mod failure_log;
pub mod group_commit;
pub mod health;
pub mod html;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod ledger;
pub mod mail;
pub mod metrics;
pub mod money;
pub mod openapi;
pub mod operator_requests;
pub mod panics;
pub mod partners;
pub mod payout_methods;
pub mod payout_schedules;
pub mod payouts;
pub mod program;
pub mod progress;
pub mod rate_limit;
pub mod referrals;
pub mod server;
pub mod short_text;
pub mod state;
pub mod statements;
pub mod stored;
pub mod sub_accounts;
pub mod telemetry;
pub mod test_clock;
pub mod text_enum;
pub mod vault;
pub mod verify;
pub mod worker;

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_names_every_module() {
        let lines = || include_str!("lib.rs").lines();
        let table: String = lines().filter(|line| line.starts_with("//! | ")).collect();
        let modules = lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let is_named =
            |name: &str| table.contains(&format!("[`{name}`]")) || table.contains(&format!("[`mod@{name}`]"));
        let missing: Vec<&str> = modules.filter(|name| !is_named(name)).collect();
        assert!(missing.is_empty(), "the table of modules does not tell where to look for {missing:?}");
    }
}
