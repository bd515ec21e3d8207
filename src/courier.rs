//! The courier: a thread of each server that delivers what is in the outbox, beside the worker, for a mail server may keep
//! it waiting. Several servers may deliver from one database at once.
//!
//! A letter becomes text here: the recipient's name and address, and the token of its link, are taken when it leaves. The
//! database knows of a token only its hash, and a letter that nobody is to get ends here: no such user, nothing to ask, or a
//! link that would not work, or would end the one of a newer letter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::accounts::{UserRow, password_tokens};
use crate::clock::{Clock, Timestamp};
use crate::db::{Conn, Db};
use crate::error::{Error, Result};
use crate::failure_log::FailureLog;
use crate::mail::outbox::{self, MailRow, Postponed};
use crate::mail::{Content, Letter, Mailer, TokenKind};
use crate::metrics::CourierMetrics;
use crate::panics;
use crate::sub_accounts::requests;

/// How long the courier rests when the outbox is empty: a letter leaves at most that long after its commit.
const REST: Duration = Duration::from_millis(400);
/// How long it rests when the outbox cannot be read.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Letters that are looked at between two looks for more.
const BATCH: i64 = 20;
/// Between two counts of the letters that wait, which may be many.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// The thread that delivers, until it is dropped.
#[derive(Debug)]
pub struct Courier {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts delivering; links in letters begin with `public_url`, and are over by `clock`.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: Db, mailer: Mailer, public_url: String, clock: Clock, metrics: CourierMetrics) -> Result<Self> {
        let (stop, stopped) = channel();
        let route = Route { db, mailer, public_url, clock, metrics };
        let thread = std::thread::Builder::new()
            .name("courier".to_owned())
            .spawn(move || route.rounds(&stopped))
            .map_err(Error::internal)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Courier {
    /// Lets the present delivery end; what is left waits for the next start, or for another server.
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the courier panicked");
        }
    }
}

struct Route {
    db: Db,
    mailer: Mailer,
    public_url: String,
    clock: Clock,
    metrics: CourierMetrics,
}

/// A letter on its way.
struct Outgoing {
    to: UserRow,
    content: Content,
}

/// What a look at a letter brought.
enum Prepared {
    /// It is this server's to deliver.
    Ready(Box<Outgoing>),
    /// Another server has it.
    Taken,
    /// Nobody is to get it.
    Dropped,
}

impl Route {
    fn rounds(&self, stopped: &Receiver<()>) {
        let goes_on = || matches!(stopped.try_recv(), Err(TryRecvError::Empty));
        let (mut failures, mut count_at) = (FailureLog::default(), Instant::now());
        loop {
            let round = AssertUnwindSafe(|| {
                while goes_on() && self.round(goes_on)? > 0 {}
                Ok(())
            });
            let outcome = catch_unwind(round).unwrap_or_else(|panic| Err(panics::caught(panic.as_ref())));
            let rest = if failures.note("the outbox", &outcome) { REST } else { REST_AFTER_FAILURE };
            if count_at <= Instant::now() {
                count_at = Instant::now() + COUNT_EVERY;
                self.count();
            }
            match stopped.recv_timeout(rest) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Measures the outbox. Nobody waits for that, and a database that fails has been told of by then.
    fn count(&self) {
        if let Ok((waiting, oldest)) = self.db.read_blocking(outbox::waiting) {
            let age_s = oldest.map_or(0, |oldest| self.clock.now().unix_seconds() - oldest.unix_seconds());
            self.metrics.counted(waiting, age_s);
        }
    }

    /// Delivers some letters and says how many it looked at. None of them is due any more then.
    fn round(&self, goes_on: impl Fn() -> bool) -> Result<usize> {
        let due = self.db.read_blocking(|conn| outbox::due(conn, BATCH))?;
        for row in due.iter().take_while(|_| goes_on()) {
            self.deliver(row)?;
        }
        Ok(due.len())
    }

    fn deliver(&self, row: &MailRow) -> Result<()> {
        let (id, copy, lease_s, public_url) = (row.id, row.clone(), self.mailer.lease_s(), self.public_url.clone());
        let now = self.clock.now();
        let prepared = self.db.write_blocking(move |conn| prepare(conn, &copy, lease_s, &public_url, now));
        let outgoing = match prepared {
            Ok(Prepared::Ready(outgoing)) => outgoing,
            Ok(Prepared::Taken | Prepared::Dropped) => return Ok(()),
            Err(error @ Error::Unavailable(_)) => return Err(error),
            // A letter or a recipient that cannot be read must not keep the others waiting.
            Err(cause) => return self.postpone_unclaimed(row, &cause, lease_s),
        };
        let name = format!("{} {}", outgoing.to.first_name, outgoing.to.last_name);
        let delivered = self.mailer.deliver(id, row.created_at, (&name, &outgoing.to.email), &outgoing.content);
        match delivered {
            Ok(()) => self.db.write_blocking(move |conn| outbox::remove(conn, id)),
            Err(failure) => self.postpone(row, &failure),
        }
    }

    fn postpone_unclaimed(&self, row: &MailRow, cause: &dyn std::fmt::Display, lease_s: i64) -> Result<()> {
        let copy = row.clone();
        if self.db.write_blocking(move |conn| outbox::claim(conn, &copy, lease_s))? {
            self.postpone(row, cause)?;
        }
        Ok(())
    }

    fn postpone(&self, row: &MailRow, cause: &dyn std::fmt::Display) -> Result<()> {
        let copy = row.clone();
        let id = row.id;
        self.metrics.failed();
        match self.db.write_blocking(move |conn| outbox::postpone(conn, &copy))? {
            Postponed::Waits => log::warn!("{id} was not delivered, to be tried again: {cause}"),
            Postponed::Gone => log::warn!("{id} was not delivered, and nobody is to get it any more: {cause}"),
            Postponed::Abandoned => {
                self.metrics.abandoned();
                log::error!("{id} was not delivered and is abandoned: {cause}");
            }
        }
        Ok(())
    }
}

/// Claims a letter and turns it into what is sent.
fn prepare(conn: &mut Conn, row: &MailRow, lease_s: i64, public_url: &str, now: Timestamp) -> Result<Prepared> {
    if !outbox::claim(conn, row, lease_s)? {
        return Ok(Prepared::Taken);
    }
    let letter = row.letter()?;
    let Some(to) = recipient(conn, row, &letter)? else { return dropped(conn, row) };
    let token = match letter.token_kind() {
        None => None,
        Some(kind) => match token(conn, row, &to, kind, now)? {
            Some(token) => Some(token),
            None => return dropped(conn, row),
        },
    };
    let content = letter.content(public_url, token.as_deref());
    Ok(Prepared::Ready(Box::new(Outgoing { to, content })))
}

/// Who is to get a letter; nobody, perhaps.
fn recipient(conn: &mut Conn, row: &MailRow, letter: &Letter) -> Result<Option<UserRow>> {
    if let Letter::LinkRequested { request_id, .. } = letter
        && !requests::is_to_be_told(conn, *request_id)?
    {
        return Ok(None);
    }
    match (row.user_id, row.email.as_deref()) {
        (Some(id), _) => crate::accounts::service::user(conn, id),
        (None, Some(email)) => crate::accounts::service::user_by_email(conn, email),
        (None, None) => Ok(None),
    }
}

/// The token of a letter's link, which takes the place of those of older letters; none where it would not work any more, or
/// the user has a newer one.
fn token(conn: &mut Conn, row: &MailRow, to: &UserRow, kind: TokenKind, now: Timestamp) -> Result<Option<String>> {
    let is_over = password_tokens::expiry(row.created_at, kind) <= now;
    if is_over || (kind == TokenKind::Invitation && to.password_hash.is_some()) {
        return Ok(None);
    }
    // Tried again later, an older letter would end this one's token.
    outbox::withdraw_links(conn, to.id, &to.email, Some(row.id))?;
    password_tokens::issue(conn, row.created_at, to.id, kind)
}

fn dropped(conn: &mut Conn, row: &MailRow) -> Result<Prepared> {
    outbox::remove(conn, row.id)?;
    Ok(Prepared::Dropped)
}
