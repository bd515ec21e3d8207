//! SQLite's one writer: a thread on which all writes follow each other, many in one COMMIT.
//!
//! Each job runs in a savepoint of its own, so that a refusal or a panic undoes that job alone; one that has the COMMIT for
//! itself needs none, for which SQLite would keep each page as it was before. Nobody is answered before the COMMIT, whose one
//! `fsync` the whole batch shares.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use diesel::Connection;
use diesel::connection::TransactionManager;

use super::connection::{Opener, begin};
use super::{Conn, transaction};
use crate::error::{Error, Result};
use crate::failure_log::FailureLog;

/// Jobs that share one COMMIT at most.
const BATCH_MAX: usize = 256;

/// Jobs that wait at most; more are turned away with 503.
const QUEUE_MAX: usize = 1024;

/// The way to the writer thread; when it is dropped, the queued jobs are finished first.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(opener: Opener) -> Result<Self> {
        let conn = opener.open().map_err(|error| Error::Unavailable(error.to_string()))?;
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let file = opener.file();
        let mut writing = Writing { opener: Opener { creates: false, ..opener }, conn: Some(conn), file };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writing.run(&receiver))
            .map_err(Error::internal)?;
        Ok(Self { queue: Some(sender), thread: Some(thread) })
    }

    /// Queues `work`; `answer` is called on the writer thread after the COMMIT.
    pub(super) fn submit<T, F, A>(&self, work: F, answer: A) -> Result<()>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        let job = Box::new(Pending { work: Some(work), result: None, answer });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(format!("{QUEUE_MAX} writes are waiting already")),
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        // A job that held the last handle drops it on this very thread, which cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            log::error!("the writer thread panicked");
        }
    }
}

fn stopped() -> Error {
    Error::Unavailable("the writer has stopped".to_owned())
}

/// A unit of work whose result type is forgotten.
trait Job: Send {
    /// Runs it in the running transaction, which it has for itself or not, and keeps its result. An error is the whole
    /// transaction's.
    fn run(&mut self, conn: &mut Conn, is_alone: bool) -> Result<()>;
    /// Tells its caller the result, or why nothing of the batch was committed.
    fn answer(self: Box<Self>, failure: Option<&Error>);
}

struct Pending<T, F, A> {
    work: Option<F>,
    result: Option<Result<T>>,
    answer: A,
}

impl<T, F, A> Job for Pending<T, F, A>
where
    T: Send,
    F: FnOnce(&mut Conn) -> Result<T> + Send,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, conn: &mut Conn, is_alone: bool) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = if is_alone { transaction::conclude(conn, work) } else { transaction::savepoint(conn, work) };
        self.result = Some(result?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&Error>) {
        let result = match (failure, self.result) {
            (None, Some(result)) => result,
            (None, None) => Err(Error::internal("a write that never ran")),
            (Some(failure), _) => Err(Error::Unavailable(format!("nothing was committed: {failure}"))),
        };
        (self.answer)(result);
    }
}

struct Writing {
    opener: Opener,
    /// None after a failure of a whole batch; the next one opens another.
    conn: Option<Conn>,
    /// Which file that connection writes to.
    file: Option<(u64, u64)>,
}

impl Writing {
    fn run(&mut self, queue: &Receiver<Box<dyn Job>>) {
        let mut failures = FailureLog::default();
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH_MAX - 1));
            let outcome = self.commit(&mut batch);
            if !failures.note("a batch of writes", &outcome) {
                self.conn = None;
            }
            let failure = outcome.err();
            for job in batch {
                job.answer(failure.as_ref());
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<()> {
        let file = self.opener.file();
        let conn = match &mut self.conn {
            // A file that was moved away or deleted takes what is written to it along.
            Some(conn) if file == self.file => conn,
            other => {
                let opened = self.opener.open().map_err(|error| Error::Unavailable(error.to_string()))?;
                self.file = file;
                other.insert(opened)
            }
        };
        begin(conn, "BEGIN", "BEGIN IMMEDIATE")?;
        if let [only] = batch {
            return only.run(conn, true);
        }
        for job in batch {
            job.run(conn, false)?;
        }
        <Conn as Connection>::TransactionManager::commit_transaction(conn)?;
        Ok(())
    }
}
