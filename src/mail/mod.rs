//! Mails: an outbox in the database, written in the transaction of the cause, and the ways out of it.
//!
//! A letter is kept as its facts and becomes text when it is delivered; a link's secret is made then, too, so that the
//! outbox never holds one. A delivered or abandoned letter leaves no row. Delivery is at least once: whoever crashes
//! between sending and deleting sends again, under the same `Message-ID` and file name. Nothing here sends within a
//! transaction; [`crate::courier`] does it beside the requests.

mod letter;
mod mailer;
mod message;
pub mod outbox;

pub use letter::{Content, Letter, PayoutNews, TokenKind};
pub use mailer::{DeliveryError, Mailer};
pub use outbox::{Recipient, enqueue};
