//! Group commit: threads that gather what waits, do all of it in one transaction, and answer each after the COMMIT. While
//! one group is written the next one gathers, so that the busier it is, the more a commit carries.
//!
//! Nothing is answered that is not durable; what cannot be written is answered with 503. Dropping it writes what waits. What is
//! done, and how, is its user's affair.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::panics;

/// How items are gathered.
#[derive(Debug)]
pub struct Rules<I> {
    /// What the items are, in the plural, as threads and failures name them.
    pub name: &'static str,
    /// How much of the group an item is.
    pub weigh: fn(&I) -> usize,
    /// The weight at which a group is full; only its last item may exceed it.
    pub group_weight: usize,
    /// How long a group waits for as many items as the one before it had: whoever was answered at the same time asks again at
    /// the same time.
    pub linger: Duration,
    /// Items that wait at most; more are turned away.
    pub queue_length: usize,
    /// How long somebody waits for a database that neither commits nor fails.
    pub deadline: Duration,
}

/// The way to the threads.
#[derive(Debug)]
pub struct GroupCommit<I, A> {
    name: &'static str,
    queue_length: usize,
    deadline: Duration,
    queue: Option<Sender<Waiting<I, A>>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Waiting<I, A> {
    item: I,
    answer: oneshot::Sender<Result<A>>,
}

type Queue<I, A> = Arc<Mutex<Receiver<Waiting<I, A>>>>;
type Group<I, A> = (Vec<I>, Vec<oneshot::Sender<Result<A>>>);

impl<I: Send + 'static, A: Send + 'static> GroupCommit<I, A> {
    /// Starts a thread for each of `writers`, which does what a group asks for and answers each item, in the order given.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start<W>(rules: Rules<I>, writers: impl IntoIterator<Item = W>) -> Result<Self>
    where
        W: FnMut(Vec<I>) -> Vec<Result<A>> + Send + 'static,
    {
        let Rules { name, queue_length, deadline, .. } = rules;
        let (queue, waiting) = bounded(queue_length);
        let (waiting, rules) = (Arc::new(Mutex::new(waiting)), Arc::new(rules));
        let start = |mut writer: W| {
            let (waiting, rules) = (waiting.clone(), rules.clone());
            let work = move || {
                let mut company = 0;
                while let Some(size) = write_group(&rules, &waiting, company, &mut writer) {
                    company = size;
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::internal)
        };
        let threads = writers.into_iter().map(start).collect::<Result<_>>()?;
        Ok(Self { name, queue_length, deadline, queue: Some(queue), threads })
    }

    /// Does what `item` asks for; when this returns, it is durable.
    ///
    /// # Errors
    /// What the writer answers; 503 when too many wait, and when the answer does not come in time.
    pub async fn submit(&self, item: I) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(|| self.stopped())?;
        queue.try_send(Waiting { item, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(format!("{} {} wait already", self.queue_length, self.name)),
            TrySendError::Disconnected(_) => self.stopped(),
        })?;
        let late = |_| Error::Unavailable(format!("{} were not written in time", self.name));
        tokio::time::timeout(self.deadline, answered).await.map_err(late)?.map_err(|_| self.stopped())?
    }

    /// How many items wait.
    pub fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, Sender::len)
    }

    fn stopped(&self) -> Error {
        Error::Unavailable(format!("{} are not written any more", self.name))
    }
}

impl<I, A> Drop for GroupCommit<I, A> {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of {} panicked", self.name);
            }
        }
    }
}

/// Writes what waits and says how much that was; none when nothing will come any more.
fn write_group<I, A>(
    rules: &Rules<I>,
    queue: &Queue<I, A>,
    company: usize,
    writer: &mut impl FnMut(Vec<I>) -> Vec<Result<A>>,
) -> Option<usize> {
    let (items, answers) = gather(rules, queue, company)?;
    let size = answers.len();
    let failed = |panic: Box<dyn Any + Send>| {
        std::iter::repeat_with(|| Err(panics::caught(panic.as_ref()))).take(size).collect()
    };
    let mut results = catch_unwind(AssertUnwindSafe(|| writer(items))).unwrap_or_else(failed).into_iter();
    for answer in answers {
        let result =
            results.next().unwrap_or_else(|| Err(Error::internal(format!("no answer for one of the {}", rules.name))));
        // Who has gone away needs no answer.
        answer.send(result).ok();
    }
    Some(size)
}

/// Waits for an item and takes all others that wait with it, or come soon where `company` of them came the last time.
fn gather<I, A>(rules: &Rules<I>, queue: &Queue<I, A>, company: usize) -> Option<Group<I, A>> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = Some(queue.recv().ok()?);
    let end = Instant::now() + rules.linger;
    let (mut items, mut answers, mut weight) = (Vec::new(), Vec::new(), 0);
    while let Some(Waiting { item, answer }) = next {
        weight += (rules.weigh)(&item);
        items.push(item);
        answers.push(answer);
        next = if weight >= rules.group_weight {
            None
        } else if answers.len() < company {
            queue.recv_deadline(end).ok()
        } else {
            queue.try_recv().ok()
        };
    }
    Some((items, answers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(queue_length: usize) -> Rules<usize> {
        Rules {
            name: "numbers",
            weigh: |number| *number,
            group_weight: 10,
            linger: Duration::ZERO,
            queue_length,
            deadline: Duration::from_secs(9),
        }
    }

    fn echo(group: Vec<usize>) -> Vec<Result<(usize, usize)>> {
        let size = group.len();
        group.into_iter().map(|number| Ok((number, size))).collect()
    }

    #[tokio::test]
    async fn what_waits_is_done_together_until_the_group_is_full() {
        let (release, held) = bounded::<()>(0);
        let (taken, is_taken) = bounded::<()>(2);
        let writer = move |group: Vec<usize>| {
            taken.send(()).ok();
            held.recv().ok();
            echo(group)
        };
        let commits = GroupCommit::start(rules(8), [writer]).unwrap();
        let others = async {
            is_taken.recv().unwrap();
            let submitted = futures_util::future::join_all([4, 5, 2, 20].map(|number| commits.submit(number)));
            let released = async {
                assert_eq!(commits.waiting(), 4);
                drop(release);
            };
            tokio::join!(biased; submitted, released).0
        };
        let (first, others) = tokio::join!(biased; commits.submit(1), others);
        assert_eq!(first.unwrap(), (1, 1));
        let others: Vec<_> = others.into_iter().map(Result::unwrap).collect();
        assert_eq!(others, [(4, 3), (5, 3), (2, 3), (20, 1)]);
    }

    #[tokio::test]
    async fn too_many_are_turned_away_and_a_panic_is_told_to_its_group_alone() {
        let (release, held) = bounded::<()>(0);
        let writer = move |group: Vec<usize>| {
            held.recv().ok();
            assert_ne!(group, [13]);
            echo(group)
        };
        let commits = GroupCommit::start(rules(1), [writer]).unwrap();
        let submitted = futures_util::future::join_all((11..20).map(|number| commits.submit(number)));
        let (answers, ()) = tokio::join!(biased; submitted, async { drop(release) });
        let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Unavailable(_)))).count();
        assert!((1..9).contains(&refused), "{answers:?}");
        assert!(commits.submit(13).await.is_err());
        assert_eq!(commits.submit(14).await.unwrap(), (14, 1));
    }
}
