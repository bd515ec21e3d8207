//! `GET /r/{code}`: finds the link, records the click durably, redirects.
//!
//! Clicks are committed in groups: `collector` gathers those that wait into one transaction, which `record` writes with a
//! handful of statements. `destination` keeps what a code leads to for half a second. `visitors` makes a visitor's address and
//! user agent a hash under the key of the day, and nothing else of them is ever written down.

mod bots;
mod collector;
mod destination;
mod record;
mod redirect;
mod visitors;

pub use collector::{Click, Clicks};
pub use destination::{Destination, LiveLink, live_link};
pub use record::{ClickRow, forget_old, kept_days, record};
pub use redirect::routes;
pub use visitors::{VisitorKeys, forget_past_days};
