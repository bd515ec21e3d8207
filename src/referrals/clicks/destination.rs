//! What a code leads to: looked up in the database, checked against the program's allowed hosts, and kept for half a second.
//! A request can change the source and nothing else of it.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use moka::sync::Cache;
use tokio::sync::OnceCell;
use url::{Url, form_urlencoded};

use crate::db::schema::{accounts, referral_codes, referral_links};
use crate::db::{Conn, Db};
use crate::error::{Error, Result};
use crate::id::{AccountId, ClickId, ReferralLinkId};
use crate::program::{self, ProgramConfig};
use crate::referrals::codes;

/// How long an answer of the database is kept.
const KEPT_FOR: Duration = Duration::from_millis(500);

/// Codes that are kept at most, those that do not exist among them.
const KEPT_AT_MOST: u64 = 10_000;

/// The parameters that the target gets.
const CODE: &str = "pt";
const SOURCE: &str = "rs";
const CLICK: &str = "click";

/// A link that works, and where it leads. Clones share it.
#[derive(Debug, Clone)]
pub struct Destination(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    link: LiveLink,
    /// The target without query and fragment.
    base: String,
    /// The target's own parameters as they were spelled, and whether each is the source.
    parameters: Vec<(bool, String)>,
    /// With its `#`; empty without one.
    fragment: String,
}

/// A link that works, of a manager that is not blocked.
#[derive(Debug, Clone, Queryable)]
pub struct LiveLink {
    /// The manager.
    pub account_id: AccountId,
    /// The link.
    pub link_id: ReferralLinkId,
    /// Its code.
    pub code: String,
    /// Its source.
    pub source: Option<String>,
    /// Its target; none for the program's default target.
    pub target_url: Option<String>,
}

/// The link behind a code; none for an unknown or disabled one, and for that of a blocked manager.
///
/// # Errors
/// The database's failure.
pub fn live_link(conn: &mut Conn, code: &str) -> Result<Option<LiveLink>> {
    let Some(code) = codes::normalize(code) else { return Ok(None) };
    Ok(referral_codes::table
        .inner_join(
            referral_links::table.on(referral_links::account_id
                .eq(referral_codes::account_id)
                .and(referral_links::id.eq(referral_codes::link_id))),
        )
        .inner_join(accounts::table.on(accounts::id.eq(referral_codes::account_id)))
        .filter(referral_codes::code.eq(code))
        .filter(referral_links::enabled)
        .filter(accounts::blocked_at.is_null())
        .select((
            referral_links::account_id,
            referral_links::id,
            referral_links::code,
            referral_links::source,
            referral_links::target_url,
        ))
        .get_result(conn)
        .optional()?)
}

impl Destination {
    /// Where the link leads under the program as it is; a target that is not allowed any more gives way to the default one.
    fn of(link: LiveLink, program: &ProgramConfig) -> Result<Self> {
        let own = link.target_url.as_deref().filter(|target| program.allows_target(target));
        let mut target = Url::parse(own.unwrap_or(&program.default_referral_target)).map_err(Error::internal)?;
        let fragment = target.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let parameters = target.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let parameters = parameters.filter_map(|part| match name_of(part).as_str() {
            CODE | CLICK => None,
            name => Some((name == SOURCE, part.to_owned())),
        });
        let parameters = parameters.collect();
        target.set_query(None);
        target.set_fragment(None);
        Ok(Self(Arc::new(Facts { link, base: target.into(), parameters, fragment })))
    }

    /// The link.
    #[must_use]
    pub fn link(&self) -> &LiveLink {
        &self.0.link
    }

    /// The address to redirect to: the target with `pt`, `rs` and `click` in place of any that it has itself.
    #[must_use]
    pub fn address(&self, source: Option<&str>, click_id: Option<ClickId>) -> String {
        let Facts { link, base, parameters, fragment } = self.0.as_ref();
        let kept = parameters.iter().filter(|(is_source, _)| !is_source || source.is_none());
        let mut query: String = kept.flat_map(|(_, part)| [part.as_str(), "&"]).collect();
        let mut added = form_urlencoded::Serializer::new(String::new());
        added.append_pair(CODE, &link.code);
        if let Some(source) = source {
            added.append_pair(SOURCE, source);
        }
        if let Some(click_id) = click_id {
            added.append_pair(CLICK, &click_id.to_string());
        }
        query.push_str(&added.finish());
        format!("{base}?{query}{fragment}")
    }
}

fn name_of(parameter: &str) -> String {
    form_urlencoded::parse(parameter.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// Destinations by code, each asked of the database once by all who want it at the same time.
#[derive(Debug)]
pub(super) struct Directory {
    db: Db,
    destinations: Cache<String, Arc<OnceCell<Option<Destination>>>>,
    program: Cache<(), Arc<OnceCell<Arc<ProgramConfig>>>>,
}

impl Directory {
    pub(super) fn new(db: Db) -> Self {
        Self {
            db,
            destinations: Cache::builder().max_capacity(KEPT_AT_MOST).time_to_live(KEPT_FOR).build(),
            program: Cache::builder().max_capacity(1).time_to_live(KEPT_FOR).build(),
        }
    }

    pub(super) async fn destination(&self, code: &str) -> Result<Option<Destination>> {
        let Some(code) = codes::normalize(code) else { return Ok(None) };
        let cell = self.destinations.get_with(code.clone(), Arc::default);
        let found = cell.get_or_try_init(|| async {
            let program = self.program().await?;
            let link = self.db.read(move |conn| live_link(conn, &code)).await?;
            link.map(|link| Destination::of(link, &program)).transpose()
        });
        found.await.cloned()
    }

    async fn program(&self) -> Result<Arc<ProgramConfig>> {
        let cell = self.program.get_with((), Arc::default);
        let read = || async { Ok(Arc::new(self.db.read(program::service::current).await?.config)) };
        cell.get_or_try_init(read).await.cloned()
    }

    pub(super) fn forget(&self) {
        self.destinations.invalidate_all();
        self.program.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn destination(target: Option<&str>) -> Destination {
        let link = LiveLink {
            account_id: AccountId::new(Timestamp::from_unix_micros(0)),
            link_id: ReferralLinkId::new(Timestamp::from_unix_micros(0)),
            code: "ann-2026".to_owned(),
            source: None,
            target_url: target.map(str::to_owned),
        };
        Destination::of(link, &ProgramConfig::first()).unwrap()
    }

    #[test]
    fn what_the_target_has_of_its_own_stays_but_for_our_parameters() {
        let address = |target, source| destination(Some(target)).address(source, None);
        assert_eq!(address("https://stape.io", None), "https://stape.io/?pt=ann-2026");
        assert_eq!(
            address("https://app.stape.io/a%20b?x=%C3%A4+1&pt=evil&click=evil&rs=own&%70t=evil#top", None),
            "https://app.stape.io/a%20b?x=%C3%A4+1&rs=own&pt=ann-2026#top"
        );
        assert_eq!(address("https://stape.io/?rs=own", Some("news")), "https://stape.io/?pt=ann-2026&rs=news");
    }

    #[test]
    fn a_source_cannot_leave_its_parameter() {
        let address = destination(None).address(Some("a&click=x#\r\nLocation: //evil ä"), None);
        assert_eq!(address, "https://stape.io/?pt=ann-2026&rs=a%26click%3Dx%23%0D%0ALocation%3A+%2F%2Fevil+%C3%A4");
    }

    #[test]
    fn a_target_that_is_not_allowed_any_more_gives_way_to_the_default_one() {
        for target in ["https://evil.example/", "http://stape.io/", "https://stape.io@evil.example/", "nonsense"] {
            assert_eq!(destination(Some(target)).address(None, None), "https://stape.io/?pt=ann-2026", "{target}");
        }
    }
}
