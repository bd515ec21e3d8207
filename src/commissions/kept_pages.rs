//! Pages of commissions that are asked for more than once within a second: by scripts that poll, by frontends with many viewers.
//! Owns no rules, and nothing that cannot be read again.
//!
//! Whatever changes a commission appends to the feed of its account in the same transaction. A page that was read when the feed
//! stood at a number is therefore what the database would answer as long as the feed stands there, whichever server writes. A
//! kept page is never answered without a look at that number, a small part of the work that the page itself is.

use std::time::Duration;

use moka::sync::Cache;

use crate::db::{Conn, Db};
use crate::error::Result;
use crate::events;
use crate::http::Listing;
use crate::id::AccountId;

/// How long a page is kept: what somebody writes into the database by hand, past the feed, shows after this time.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Bytes that are kept at most.
const KEPT_BYTES_MAX: u64 = 8 << 20;

/// Bytes that an entry takes besides its page, about.
const ENTRY_BYTES: usize = 256;

/// What one server keeps, by accounts and the digests of their pages. Clones share it.
#[derive(Debug, Clone)]
pub struct KeptPages(Cache<PageKey, Asked>);

type PageKey = (AccountId, [u8; 32]);

#[derive(Debug, Clone)]
enum Asked {
    /// For the first time: most pages are asked for once, and are not worth their memory.
    Once,
    /// Again; read when the feed stood at `feed_at`.
    Again { feed_at: i64, listing: Listing },
}

impl Asked {
    fn bytes(&self) -> usize {
        match self {
            Self::Once => ENTRY_BYTES,
            Self::Again { listing, .. } => ENTRY_BYTES + listing.bytes(),
        }
    }
}

impl Default for KeptPages {
    fn default() -> Self {
        let weigh = |_: &PageKey, asked: &Asked| u32::try_from(asked.bytes()).unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(weigh).max_capacity(KEPT_BYTES_MAX).time_to_live(KEPT_FOR).build())
    }
}

impl KeptPages {
    /// The page with this digest: as it was kept, if nothing has happened to the account since; else as `read` makes it.
    ///
    /// # Errors
    /// Those of `read`, and the database's own failure.
    pub async fn listing<F>(&self, db: &Db, account_id: AccountId, digest: [u8; 32], read: F) -> Result<Listing>
    where
        F: FnOnce(&mut Conn) -> Result<Listing> + Send + 'static,
    {
        let asked = self.0.get(&(account_id, digest));
        // Before the page is read: what happens in between makes a page newer than its number, never older.
        let stands_at = match asked {
            Some(_) => Some(db.look_up(move |conn| events::last_number(conn, account_id)).await?),
            None => None,
        };
        if let Some(Asked::Again { feed_at, listing }) = asked
            && stands_at == Some(feed_at)
        {
            return Ok(listing);
        }
        let pages = self.0.clone();
        db.read(move |conn| {
            let listing = read(conn)?;
            let again = |feed_at| Asked::Again { feed_at, listing: listing.compact() };
            pages.insert((account_id, digest), stands_at.map_or(Asked::Once, again));
            Ok(listing)
        })
        .await
    }
}
