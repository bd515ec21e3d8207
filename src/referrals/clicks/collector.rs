//! Records clicks in groups, and tells what codes lead to. A click that is answered is durable.

use std::time::Duration;

use super::destination::{Destination, Directory};
use super::record::{ClickRow, record};
use super::visitors::VisitorKeys;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::group_commit::{GroupCommit, Rules};
use crate::id::{AccountId, ClickId, ReferralLinkId};

/// Clicks of one transaction at most: far below the engines' limits on bound values, 7 each.
const GROUP_MAX: usize = 500;

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
    keys: VisitorKeys,
    commits: GroupCommit<Click, ()>,
}

impl Clicks {
    /// Starts the thread.
    ///
    /// # Errors
    /// A machine that has no thread to give.
    pub fn start(db: Db) -> Result<Self> {
        let rules = Rules {
            name: "clicks",
            weigh: |_| 1,
            group_weight: GROUP_MAX,
            linger: Duration::ZERO,
            queue_length: QUEUE_MAX,
            deadline: DEADLINE,
        };
        let directory = Directory::new(db.clone());
        let keys = VisitorKeys::default();
        let keys_of_writer = keys.clone();
        let writer = move |clicks: Vec<Click>| {
            let count = clicks.len();
            let written = write(&db, &keys_of_writer, clicks);
            if let Err(error) = &written {
                log::error!("{count} clicks were not recorded: {error}");
            }
            let answer = || written.as_ref().map_err(of_click).copied();
            std::iter::repeat_with(answer).take(count).collect()
        };
        Ok(Self { directory, keys, commits: GroupCommit::start(rules, [writer])? })
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

    /// The keys that hash visitors, for whoever forgets them by the clock.
    #[must_use]
    pub fn visitor_keys(&self) -> VisitorKeys {
        self.keys.clone()
    }

    /// How many clicks wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.commits.waiting()
    }

    /// Records a click; when this returns, it is durable.
    ///
    /// # Errors
    /// 503 when too many wait, and when the database is away; any other failure to write it.
    pub async fn record(&self, click: Click) -> Result<()> {
        self.commits.submit(click).await
    }
}

/// A group's failure as each of its clicks is told it.
fn of_click(error: &Error) -> Error {
    match error {
        Error::Unavailable(_) => Error::Unavailable(format!("click: {error}")),
        _ => Error::internal(format!("click: {error}")),
    }
}

fn write(db: &Db, keys: &VisitorKeys, clicks: Vec<Click>) -> Result<()> {
    let row = |click: Click| {
        Ok(ClickRow {
            visitor_hash: keys.hash(db, &click)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_is_not_a_database_that_is_away() {
        assert!(matches!(of_click(&Error::Unavailable("away".to_owned())), Error::Unavailable(_)));
        assert!(matches!(of_click(&Error::internal("unreadable")), Error::Internal(_)));
    }
}
