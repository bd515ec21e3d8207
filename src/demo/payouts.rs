//! The payouts of the demonstration: each partner says how it is paid and requests what is ready about once a month, and the
//! operator carries it out. Some come to nothing, and the newest are still open, so that payouts of every state are there.

use super::story::{self, Fate, MANAGERS};
use crate::accounts::sessions;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::{Conn, Db};
use crate::error::{Code, Error, Result};
use crate::id::{AccountId, PayoutId};
use crate::mail;
use crate::money::Currency;
use crate::payout_methods;
use crate::payouts::steps::{self, Step};
use crate::payouts::{RequestedBy, request};
use crate::vault::Vault;

/// Days from a request to the end of what is paid.
const LAST_STEP_DAYS: i64 = 4;

/// The payouts that are on their way.
pub struct Payouts<'a> {
    db: &'a Db,
    vault: &'a Vault,
    /// The partners that said how they are paid.
    known: Vec<AccountId>,
    open: Vec<OpenPayout>,
    requested: usize,
}

#[derive(Clone, Copy)]
struct OpenPayout {
    id: PayoutId,
    account_id: AccountId,
    requested_on: i64,
    fate: Fate,
    number: usize,
}

impl<'a> Payouts<'a> {
    /// Before the first.
    #[must_use]
    pub const fn new(db: &'a Db, vault: &'a Vault) -> Self {
        Self { db, vault, known: Vec::new(), open: Vec::new(), requested: 0 }
    }

    /// What happens on a day: steps of those on their way, then new requests.
    ///
    /// # Errors
    /// The database's own failure; a refusal, which the story does not mean.
    pub fn of_day(&mut self, day: i64, now: Timestamp, partners: &[(usize, AccountId)]) -> Result<()> {
        for payout in std::mem::take(&mut self.open) {
            if self.go_on(day, now, payout)? {
                self.open.push(payout);
            }
        }
        for (place, account_id) in partners {
            if !self.known.contains(account_id) {
                self.set_methods(now, *place)?;
                self.known.push(*account_id);
            }
            if story::requests_payout(*place, day) {
                self.request(day, now, *place, *account_id)?;
            }
        }
        Ok(())
    }

    /// The day's step of a payout; whether it is still on its way.
    fn go_on(&self, day: i64, now: Timestamp, payout: OpenPayout) -> Result<bool> {
        let OpenPayout { id, account_id, requested_on, fate, number } = payout;
        let days = day - requested_on;
        let context = Context::system(now);
        let take = move |conn: &mut Conn| {
            let reference = format!("TRF-{number:06}");
            if let Some(step) = step_of(fate, days, &reference) {
                let partner = matches!(step, Step::Cancel).then_some(account_id);
                steps::take(conn, &context, partner, id, step)?;
            }
            // The people of the story have no mailboxes.
            mail::outbox::clear(conn)
        };
        self.db.write_blocking(take)?;
        Ok(days < LAST_STEP_DAYS)
    }

    fn set_methods(&self, now: Timestamp, place: usize) -> Result<()> {
        let Some(manager) = MANAGERS.get(place) else { return Ok(()) };
        let (context, vault) = (Context::system(now), self.vault.clone());
        let set = move |conn: &mut Conn| {
            let owner = sessions::candidate(conn, manager.email)?.ok_or_else(|| Error::internal("no such owner"))?;
            for (currency, details) in story::payout_methods(manager) {
                let currency: Currency = currency.parse().map_err(Error::internal)?;
                payout_methods::set(conn, &context, &vault, &owner, (currency, &details))?;
            }
            mail::outbox::clear(conn)
        };
        self.db.write_blocking(set)
    }

    /// Requests what is ready in every currency with a method, if it is enough.
    fn request(&mut self, day: i64, now: Timestamp, place: usize, account_id: AccountId) -> Result<()> {
        let currencies = MANAGERS.get(place).map(story::payout_methods).unwrap_or_default();
        for (currency, _) in currencies {
            let (context, currency) = (Context::system(now), currency.parse::<Currency>().map_err(Error::internal)?);
            let request = move |conn: &mut Conn| {
                request::request(conn, &context, account_id, currency, RequestedBy::Partner).map(|row| row.id)
            };
            match self.db.write_blocking(request) {
                Ok(id) => {
                    self.requested += 1;
                    let (number, fate) = (self.requested, story::fate(place, day, self.requested));
                    self.open.push(OpenPayout { id, account_id, requested_on: day, fate, number });
                }
                Err(error) if error.problem().code == Code::BelowMinimum => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The step that a payout takes so many days after its request.
const fn step_of(fate: Fate, days: i64, reference: &str) -> Option<Step<'_>> {
    match (fate, days) {
        (Fate::Canceled, 1) => Some(Step::Cancel),
        (Fate::Rejected, 1) => Some(Step::Reject("The name of the account holder is not the company's")),
        (Fate::Approved | Fate::Processing | Fate::Failed | Fate::Paid, 1) => Some(Step::Approve),
        (Fate::Processing | Fate::Failed | Fate::Paid, 2) => Some(Step::Start),
        (Fate::Failed, LAST_STEP_DAYS) => Some(Step::Fail("The bank does not know the account")),
        (Fate::Paid, LAST_STEP_DAYS) => Some(Step::Confirm(reference)),
        _ => None,
    }
}
