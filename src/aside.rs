//! Threads for work that takes long, so that those that serve requests do not: a fixed number of them, each with something of its
//! own that its work uses again. Owns the queue before them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, bounded};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::panics;

/// Work that waits at most; more is turned away with 503.
const QUEUE_MAX: usize = 1_024;
/// How long a thread without work keeps what it held for it.
const HELD_FOR: Duration = Duration::from_secs(10);

type Work<H> = Box<dyn FnOnce(&mut H) + Send>;

/// The way to the threads; when it is dropped, they finish what is queued and end. Each holds an `H` for its work, made anew
/// after a pause.
pub(crate) struct Aside<H> {
    name: &'static str,
    queue: Sender<Work<H>>,
    patience: Duration,
}

impl<H: Default + 'static> Aside<H> {
    /// Starts `threads` of this name. Work that waited longer than `patience` is not begun any more.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub(crate) fn start(name: &'static str, threads: u32, patience: Duration) -> Result<Self> {
        let (queue, waiting) = bounded(QUEUE_MAX);
        for _ in 0..threads {
            let waiting = waiting.clone();
            let serve = move || serve(&waiting, HELD_FOR);
            std::thread::Builder::new().name(name.to_owned()).spawn(serve).map_err(Error::internal)?;
        }
        Ok(Self { name, queue, patience })
    }

    /// How much work waits for a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Runs `work` on one of the threads. Work that nobody waits for any more is not begun.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Unavailable`] when too much waits.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut H) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (name, queued, patience) = (self.name, Instant::now(), self.patience);
        let job = move |held: &mut H| {
            if answer.is_closed() {
                return;
            }
            let is_late = queued.elapsed() > patience;
            let late = || Error::Unavailable(format!("{name}: no thread was free within {} s", patience.as_secs()));
            // Who has gone away needs no answer.
            answer.send(if is_late { Err(late()) } else { survive(|| work(held)) }).ok();
        };
        let full = |_| Error::Unavailable(format!("{name}: {QUEUE_MAX} requests wait already"));
        self.queue.try_send(Box::new(job)).map_err(full)?;
        answered.await.map_err(Error::internal)?
    }
}

fn serve<H: Default>(waiting: &Receiver<Work<H>>, held_for: Duration) {
    let mut held = H::default();
    loop {
        let next = waiting.recv_timeout(held_for).or_else(|reason| match reason {
            RecvTimeoutError::Timeout => {
                held = H::default();
                waiting.recv()
            }
            RecvTimeoutError::Disconnected => Err(RecvError),
        });
        let Ok(work) = next else { return };
        work(&mut held);
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
        let aside = Aside::<()>::start("test", 1, Duration::from_secs(9)).unwrap();
        let panic: Result<()> = aside.run(|()| panic!("a mistake")).await;
        assert!(panic.is_err());
        assert_eq!(aside.run(|()| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_waited_too_long_or_that_nobody_waits_for_is_not_begun() {
        let aside = Aside::<()>::start("test", 1, Duration::ZERO).unwrap();
        let late = aside.run(|()| Ok(())).await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
        let aside = Aside::<()>::start("test", 1, Duration::from_secs(9)).unwrap();
        let (release, held) = bounded::<()>(0);
        let (begun, is_begun) = bounded::<()>(1);
        let first = aside.run(move |()| Ok(held.recv().is_err()));
        let gone = aside.run(move |()| Ok(begun.send(()).is_ok()));
        let (first, ()) = tokio::join!(biased; first, async {
            assert!(tokio::time::timeout(Duration::from_millis(1), gone).await.is_err());
            drop(release);
        });
        assert!(first.unwrap());
        assert!(aside.run(|()| Ok(true)).await.unwrap() && is_begun.try_recv().is_err());
    }

    #[test]
    fn what_a_thread_holds_is_used_again_and_given_back_after_a_pause() {
        let (queue, waiting) = bounded::<Work<Vec<u8>>>(QUEUE_MAX);
        let (seen, sizes) = bounded(QUEUE_MAX);
        let add_one = || {
            let seen = seen.clone();
            let work = move |held: &mut Vec<u8>| {
                held.push(0);
                seen.send(held.len()).unwrap();
            };
            queue.send(Box::new(work)).unwrap();
            sizes.recv().unwrap()
        };
        std::thread::spawn(move || serve(&waiting, Duration::from_millis(200)));
        assert_eq!((add_one(), add_one()), (1, 2));
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(add_one(), 1);
    }
}
