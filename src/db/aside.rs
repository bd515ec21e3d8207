//! Threads that wait for the database so that nobody else has to: as many as there are connections, so that none of them waits
//! for a connection that another one has. Owns the queue before them, and no connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::panics;

/// Work that waits at most; more is turned away with 503.
const QUEUE_MAX: usize = 1_024;

type Work = Box<dyn FnOnce() + Send>;

/// The way to the threads; when it is dropped, they finish what is queued and end.
pub(super) struct Aside {
    queue: Sender<Work>,
    patience: Duration,
}

impl Aside {
    /// Starts `threads`. Work that waited longer than `patience` is not begun any more.
    pub(super) fn start(threads: u32, patience: Duration) -> Result<Self> {
        let (queue, waiting) = bounded(QUEUE_MAX);
        for _ in 0..threads {
            let waiting = waiting.clone();
            let serve = move || serve(&waiting);
            std::thread::Builder::new().name("database".to_owned()).spawn(serve).map_err(Error::internal)?;
        }
        Ok(Self { queue, patience })
    }

    /// How much work waits for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Runs `work` on one of the threads. Work that nobody waits for any more is not begun.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (queued, patience) = (Instant::now(), self.patience);
        let job = move || {
            if answer.is_closed() {
                return;
            }
            let is_late = queued.elapsed() > patience;
            let late = || Error::Unavailable(format!("no connection was free within {} s", patience.as_secs()));
            // Who has gone away needs no answer.
            answer.send(if is_late { Err(late()) } else { survive(work) }).ok();
        };
        let full = |_| Error::Unavailable(format!("{QUEUE_MAX} requests wait for the database already"));
        self.queue.try_send(Box::new(job)).map_err(full)?;
        answered.await.map_err(Error::internal)?
    }
}

fn serve(waiting: &Receiver<Work>) {
    while let Ok(work) = waiting.recv() {
        work();
    }
}

/// A panic is told to the caller; the thread goes on.
fn survive<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panics::caught(panic.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_to_its_caller_and_the_thread_goes_on() {
        let aside = Aside::start(1, Duration::from_secs(9)).unwrap();
        let panic: Result<()> = aside.run(|| panic!("a mistake")).await;
        assert!(matches!(panic, Err(Error::Internal(cause)) if cause == "panic: a mistake"));
        assert_eq!(aside.run(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_waited_too_long_or_that_nobody_waits_for_is_not_begun() {
        let aside = Aside::start(1, Duration::ZERO).unwrap();
        let late = aside.run(|| Ok(())).await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
        let aside = Aside::start(1, Duration::from_secs(9)).unwrap();
        let (release, held) = bounded::<()>(0);
        let (begun, is_begun) = bounded::<()>(1);
        let first = aside.run(move || Ok(held.recv().is_err()));
        let gone = aside.run(move || Ok(begun.send(()).is_ok()));
        let (first, ()) = tokio::join!(biased; first, async {
            assert!(tokio::time::timeout(Duration::from_millis(1), gone).await.is_err());
            drop(release);
        });
        assert!(first.unwrap());
        assert!(aside.run(|| Ok(true)).await.unwrap() && is_begun.try_recv().is_err());
    }
}
