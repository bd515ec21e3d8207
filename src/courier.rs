//! The courier: a thread of each server that delivers what is in the outbox, beside the worker, for a mail server may keep
//! it waiting. Several servers may deliver from one database at once.
//!
//! A letter becomes text here: the recipient's name and address, and the token of its link, are taken when it leaves. The
//! database knows of a token only its hash, and a letter that nobody is to get (no such user, nothing to ask) ends here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::accounts::{UserRow, password_tokens};
use crate::db::{Conn, Db};
use crate::error::{Error, Result};
use crate::mail::outbox::{self, MailRow};
use crate::mail::{Content, Letter, Mailer};
use crate::sub_accounts::requests;

/// How long the courier rests when the outbox is empty: a letter leaves at most that long after its commit.
const REST: Duration = Duration::from_millis(400);
/// Letters that are looked at between two looks for more.
const BATCH: i64 = 20;

/// The thread that delivers, until it is dropped.
#[derive(Debug)]
pub struct Courier {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts delivering; links in letters begin with `public_url`.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: Db, mailer: Mailer, public_url: String) -> Result<Self> {
        let (stop, stopped) = channel();
        let route = Route { db, mailer, public_url };
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
        loop {
            let round = AssertUnwindSafe(|| {
                while goes_on() && self.round(goes_on)? > 0 {}
                Ok(())
            });
            if let Err(error) = catch_unwind(round).unwrap_or_else(|_| Err(Error::internal("panic"))) {
                log::error!("the outbox: {error}");
            }
            match stopped.recv_timeout(REST) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
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
        let prepared = self.db.write_blocking(move |conn| prepare(conn, &copy, lease_s, &public_url));
        let outgoing = match prepared {
            Ok(Prepared::Ready(outgoing)) => outgoing,
            Ok(Prepared::Taken | Prepared::Dropped) => return Ok(()),
            // A letter that cannot be read must not keep the others waiting.
            Err(Error::Internal(cause)) => return self.postpone_unclaimed(row, &cause, lease_s),
            Err(other) => return Err(other),
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
        self.db.write_blocking(move |conn| outbox::claim(conn, &copy, lease_s))?;
        self.postpone(row, cause)
    }

    fn postpone(&self, row: &MailRow, cause: &dyn std::fmt::Display) -> Result<()> {
        let copy = row.clone();
        let id = row.id;
        if self.db.write_blocking(move |conn| outbox::postpone(conn, &copy))? {
            log::warn!("{id} was not delivered, to be tried again: {cause}");
        } else {
            log::error!("{id} was not delivered and is abandoned: {cause}");
        }
        Ok(())
    }
}

/// Claims a letter and turns it into what is sent.
fn prepare(conn: &mut Conn, row: &MailRow, lease_s: i64, public_url: &str) -> Result<Prepared> {
    if !outbox::claim(conn, row, lease_s)? {
        return Ok(Prepared::Taken);
    }
    let letter = row.letter()?;
    let user = match (row.user_id, row.email.as_deref()) {
        (Some(id), _) => crate::accounts::service::user(conn, id)?,
        (None, Some(email)) => crate::accounts::service::user_by_email(conn, email)?,
        (None, None) => None,
    };
    let request_id = match &letter {
        Letter::LinkRequested { request_id, .. } => Some(*request_id),
        _ => None,
    };
    if let Some(request_id) = request_id
        && !requests::is_to_be_told(conn, request_id)?
    {
        outbox::remove(conn, row.id)?;
        return Ok(Prepared::Dropped);
    }
    let Some(to) = user else {
        outbox::remove(conn, row.id)?;
        return Ok(Prepared::Dropped);
    };
    let issue = |kind| password_tokens::issue(conn, row.created_at, to.id, kind);
    let token = letter.token_kind().map(issue).transpose()?;
    let content = letter.content(public_url, token.as_deref());
    Ok(Prepared::Ready(Box::new(Outgoing { to, content })))
}
