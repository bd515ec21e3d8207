//! SQLite's one writing connection, on which all writes follow each other, many in one COMMIT.
//!
//! Whoever has the connection writes all that waits. That is a thread of its own for those who must not wait; a thread that may
//! wait takes the connection itself, which costs it no change to another thread and back.
//!
//! Each job runs in a savepoint of its own, so that a refusal or a panic undoes that job alone; one that has the COMMIT for
//! itself needs none, for which SQLite would keep each page as it was before. Nobody is answered before the COMMIT, whose one
//! `fsync` the whole batch shares.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use diesel::Connection;
use diesel::connection::TransactionManager;

use super::connection::{Opener, begin};
use super::{Conn, transaction};
use crate::error::{Error, Result};
use crate::failure_log::FailureLog;
use crate::panics;

/// Jobs that share one COMMIT at most.
const BATCH_MAX: usize = 256;

/// Jobs that wait at most; more are turned away with 503.
const QUEUE_MAX: usize = 1024;

/// The way to the connection; when it is dropped, the queued jobs are finished first.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(opener: Opener) -> Result<Self> {
        let conn = opener.open().map_err(|error| Error::Unavailable(error.to_string()))?;
        let (sender, receiver) = bounded(QUEUE_MAX);
        let file = opener.file();
        let opener = Opener { creates: false, ..opener };
        let writing = Writing { opener, conn: Some(conn), file, failures: FailureLog::default() };
        let turns = Arc::new(Turns { queue: receiver, next: Mutex::default(), writing: Mutex::new(writing) });
        let serving = turns.clone();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serving.serve())
            .map_err(Error::internal)?;
        Ok(Self { queue: Some(sender), turns, thread: Some(thread) })
    }

    /// Queues `work` for the thread; `answer` is called after the COMMIT, on whichever thread wrote it.
    pub(super) fn submit<T, F, A>(&self, work: F, answer: A) -> Result<()>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
        A: FnOnce(Result<T>) + Send + 'static,
    {
        let job = Box::new(Pending { work: Some(work), result: None, answer });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|_| Error::Unavailable(format!("{QUEUE_MAX} writes are waiting already")))
    }

    /// How many jobs wait for the thread.
    pub(super) fn waiting(&self) -> usize {
        self.turns.queue.len()
    }

    /// Runs `work` as soon as the connection is free, on this thread or on that which writes before.
    pub(super) fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = bounded(1);
        let answer = move |result| {
            sender.send(result).ok();
        };
        self.turns.take(Box::new(Pending { work: Some(work), result: None, answer }));
        receiver.recv().map_err(Error::internal)?
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

/// What waits for the connection, and the connection.
struct Turns {
    queue: Receiver<Box<dyn Job>>,
    /// Jobs of threads that wait for the connection; whoever has it before them does them, too.
    next: Mutex<Vec<Box<dyn Job>>>,
    writing: Mutex<Writing>,
}

impl Turns {
    fn serve(&self) {
        while let Ok(job) = self.queue.recv() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(job))) {
                log::error!("a batch of writes: {}", panics::caught(panic.as_ref()));
            }
        }
    }

    /// Waits for the connection and writes `job` with all that waits, unless who had the connection before did so.
    fn take(&self, job: Box<dyn Job>) {
        held(&self.next).push(job);
        let mut writing = held(&self.writing);
        let mut batch = std::mem::take(&mut *held(&self.next));
        batch.extend(self.queue.try_iter().take(BATCH_MAX.saturating_sub(batch.len())));
        if batch.is_empty() {
            return;
        }
        let failure = writing.write(&mut batch).err();
        drop(writing);
        for job in batch {
            job.answer(failure.as_ref());
        }
    }
}

/// What a panic leaves half done is a transaction, on which the next batch fails and is given another connection.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writing {
    opener: Opener,
    /// None after a failure of a whole batch; the next one opens another.
    conn: Option<Conn>,
    /// Which file that connection writes to.
    file: Option<(u64, u64)>,
    failures: FailureLog,
}

impl Writing {
    fn write(&mut self, batch: &mut [Box<dyn Job>]) -> Result<()> {
        let outcome = self.commit(batch);
        if !self.failures.note("a batch of writes", &outcome) {
            self.conn = None;
        }
        outcome
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
