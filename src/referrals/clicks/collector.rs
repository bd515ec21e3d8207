//! Group commit of clicks: a thread gathers all clicks that wait, writes them in one transaction, and answers each after the
//! COMMIT. While one group is written the next one gathers, so that the busier it is, the more a commit carries.
//!
//! Nothing is answered that is not durable; what cannot be written is answered with 503. Dropping it writes what waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::destination::{Destination, Directory};
use super::record::{ClickRow, record};
use super::visitors::Visitors;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::id::{AccountId, ClickId, ReferralLinkId};

/// Clicks of one transaction at most: far below the engines' limits on bound values, 7 each.
const BATCH_MAX: usize = 500;

/// Clicks that wait at most; more are turned away with 503.
const QUEUE_MAX: usize = 4_096;

/// How long a visitor waits for a database that neither commits nor fails.
const DEADLINE: Duration = Duration::from_secs(10);

/// Somebody who follows a link.
#[derive(Debug)]
pub struct Click {
    /// The manager.
    pub account_id: AccountId,
    /// The link.
    pub link_id: ReferralLinkId,
    /// Its id.
    pub id: ClickId,
    /// The source that the target gets.
    pub source: Option<String>,
    /// The network address; it stays in memory, until the hash is made.
    pub peer: String,
    /// The user agent; as the address.
    pub user_agent: String,
    /// When.
    pub created_at: Timestamp,
}

/// What codes lead to, and the way to the thread that records clicks.
#[derive(Debug)]
pub struct Clicks {
    directory: Directory,
    queue: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Waiting {
    click: Click,
    answer: oneshot::Sender<Result<()>>,
}

impl Clicks {
    /// Starts the thread.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: Db) -> Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let directory = Directory::new(db.clone());
        let thread = std::thread::Builder::new()
            .name("clicks".to_owned())
            .spawn(move || gather(&db, &waiting))
            .map_err(Error::internal)?;
        Ok(Self { directory, queue: Some(queue), thread: Some(thread) })
    }

    /// What a code leads to; none for an unknown or disabled one, and for that of a blocked manager. What it says was true
    /// within the last half second.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn destination(&self, code: &str) -> Result<Option<Destination>> {
        self.directory.destination(code).await
    }

    /// Forgets what codes lead to, so that a change takes effect at once on this server.
    pub fn forget(&self) {
        self.directory.forget();
    }

    /// Records a click; when this returns, it is durable.
    ///
    /// # Errors
    /// 503 when too many wait, and when it could not be written.
    pub async fn record(&self, click: Click) -> Result<()> {
        let (answer, recorded) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(Waiting { click, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(format!("{QUEUE_MAX} clicks are waiting already")),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        let late = |_| Error::Unavailable("a click was not written in time".to_owned());
        tokio::time::timeout(DEADLINE, recorded).await.map_err(late)?.map_err(|_| stopped())?
    }
}

impl Drop for Clicks {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread of clicks panicked");
        }
    }
}

fn stopped() -> Error {
    Error::Unavailable("clicks are not recorded any more".to_owned())
}

fn gather(db: &Db, queue: &Receiver<Waiting>) {
    let mut visitors = Visitors::default();
    while let Ok(first) = queue.recv() {
        let (mut clicks, mut answers) = (vec![first.click], vec![first.answer]);
        for waiting in queue.try_iter().take(BATCH_MAX - 1) {
            clicks.push(waiting.click);
            answers.push(waiting.answer);
        }
        let written = catch_unwind(AssertUnwindSafe(|| write(db, &mut visitors, clicks)))
            .unwrap_or_else(|_| Err(Error::internal("panic")));
        if let Err(error) = &written {
            log::error!("{} clicks were not recorded: {error}", answers.len());
        }
        for answer in answers {
            let result = written.as_ref().map_err(|error| Error::Unavailable(format!("click: {error}")));
            // Who has gone away needs no answer.
            answer.send(result.copied()).ok();
        }
    }
}

fn write(db: &Db, visitors: &mut Visitors, clicks: Vec<Click>) -> Result<()> {
    let row = |click: Click| {
        Ok(ClickRow {
            visitor_hash: visitors.hash(db, &click)?,
            account_id: click.account_id,
            id: click.id,
            link_id: click.link_id,
            source: click.source,
            created_at: click.created_at,
        })
    };
    let rows = clicks.into_iter().map(row).collect::<Result<Vec<_>>>()?;
    db.write_blocking(move |conn| record(conn, &rows))
}
