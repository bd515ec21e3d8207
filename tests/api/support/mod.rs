//! What the tests stand on: databases of both engines, the server, a client, and builders of believable situations.

mod app;
mod builders;
mod client;
mod engine;
mod event;
mod mail;
mod postgres;
mod smtp;

pub use app::{START, TestApp};
pub use builders::{Account, PASSWORD, feed, new_email};
pub use client::{Answer, Client, places};
pub use engine::{Database, Engine, run};
pub use event::{Event, money, payment, refund, subscription, usd};
pub use mail::Mail;
pub use smtp::SmtpServer;

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
