//! What the tests stand on: databases of both engines, the server, a client, and builders of believable situations.

mod app;
mod builders;
mod client;
mod document;
mod engine;
mod event;
mod mail;
mod plans;
mod postgres;
mod process;
mod smtp;
mod statements;

pub use app::{START, TestApp};
pub use builders::{Account, PASSWORD, feed, id, new_email};
pub use client::{Answer, Client, new_key, places};
pub use document::{Callers, Operation, document, operations};
pub use engine::{Database, Engine, run};
pub use event::{Event, money, payment, refund, subscription, usd};
pub use mail::Mail;
pub use postgres::programs as postgres_programs;
pub use process::{ENCRYPTION_KEY, JWT_SECRET, Process, beside, binary, on, operator_key, run as run_command, text};
pub use smtp::SmtpServer;
pub use statements::breach;

/// Makes two tests of each named function, one per engine. Each takes `&TestApp`.
macro_rules! both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::support::run($crate::support::Engine::Sqlite, super::$name);
            }

            #[test]
            fn postgres() {
                $crate::support::run($crate::support::Engine::Postgres, super::$name);
            }
        }
    )+};
}
pub(crate) use both_engines;
