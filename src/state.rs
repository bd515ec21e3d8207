//! What handlers share: the database, the clock, who stands behind a credential. Knows no feature.

use actix_web::{HttpResponse, web};

use crate::auth::token::TokenKeys;
use crate::auth::{Authenticator, Principal};
use crate::billing::ingest::Ingest;
use crate::clock::Clock;
use crate::commissions::KeptPages;
use crate::config::{Settings, TrustedProxies};
use crate::context::{Actor, Context};
use crate::db::{Conn, Db};
use crate::error::Result;
use crate::http::contract::Contract;
use crate::http::{Body, Command, CommandRule, Reply};
use crate::idempotency::{self, Claim, FirstAnswer, Key, Outcome};
use crate::metrics::Metrics;
use crate::rate_limit::Limits;
use crate::referrals::Clicks;
use crate::vault::Vault;

/// Everything that handlers share; immutable but for caches and limits inside its parts.
#[derive(Debug)]
pub struct AppState {
    /// The database.
    pub db: Db,
    /// The domain's time.
    pub clock: Clock,
    /// Who stands behind a credential.
    pub authenticator: Authenticator,
    /// Seals and opens what is encrypted at rest.
    pub vault: Vault,
    /// The way in for billing events.
    pub billing: Ingest,
    /// Pages of commissions that were asked for a moment ago.
    pub commission_pages: KeptPages,
    /// Where referral links lead, and who follows them.
    pub clicks: Clicks,
    /// Under which address clients reach the server, without a slash at the end.
    pub public_url: String,
    /// How often something may be done.
    pub limits: Limits,
    /// What the server measures of itself.
    pub metrics: Metrics,
    /// The paths and parameters that there are.
    pub contract: Contract,
    /// Origins whose pages may call this server.
    pub cors_origins: Vec<String>,
    /// Proxies that are believed when they name their clients.
    pub trusted_proxies: TrustedProxies,
    /// Whether the metrics have a port of their own, and are not on the main one.
    pub has_metrics_port: bool,
}

/// The state as handlers take it.
pub type App = web::Data<AppState>;

impl AppState {
    /// The state of a server that clients reach at `public_url`.
    ///
    /// # Errors
    /// A metric that cannot be registered; a machine that has no thread to give.
    pub fn new(db: Db, clock: Clock, settings: &Settings, public_url: String, contract: Contract) -> Result<Self> {
        let secrets = &settings.secrets;
        let previous = secrets.jwt_previous.as_ref().map(|secret| secret.reveal().as_bytes());
        let tokens = TokenKeys::new(secrets.jwt.reveal().as_bytes(), previous);
        let authenticator = Authenticator::new(db.clone(), clock.clone(), tokens);
        let clicks = Clicks::start(db.clone())?;
        let billing = Ingest::start(&db, &clock)?;
        Ok(Self {
            db,
            clock,
            authenticator,
            vault: Vault::of(secrets),
            billing,
            commission_pages: KeptPages::default(),
            clicks,
            public_url,
            limits: Limits::new(settings.rate_limit.into()),
            metrics: Metrics::new()?,
            contract,
            cors_origins: settings.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
            trusted_proxies: settings.trusted_proxies.clone(),
            has_metrics_port: settings.metrics_bind.is_some(),
        })
    }

    /// Runs an authenticated POST in one transaction, once per idempotency key, and answers it.
    ///
    /// # Errors
    /// What `effect` refuses; the refusals of idempotency (api: Conventions).
    pub async fn execute<T, R, F>(&self, who: &Principal, command: Command<T, R>, effect: F) -> Result<HttpResponse>
    where
        T: Send + Sync + 'static,
        R: CommandRule,
        F: Fn(&mut Conn, &Context, &T) -> Result<Reply> + Send + Sync + 'static,
    {
        self.execute_while(who, command, |_, _| Ok(()), effect).await
    }

    /// [`AppState::execute`] for a right that credential and kind of account do not tell, and that others can take away: the first
    /// answer is given again only to who still `may`. The effect sees to it by itself.
    ///
    /// # Errors
    /// As [`AppState::execute`]; what `may` refuses.
    pub async fn execute_while<T, R, M, F>(
        &self,
        who: &Principal,
        command: Command<T, R>,
        may: M,
        effect: F,
    ) -> Result<HttpResponse>
    where
        T: Send + Sync + 'static,
        R: CommandRule,
        M: Fn(&mut Conn, &T) -> Result<()> + Send + Sync + 'static,
        F: Fn(&mut Conn, &Context, &T) -> Result<Reply> + Send + Sync + 'static,
    {
        let (actor, clock) = (who.actor(), self.clock.clone());
        let Command { input, key, request_id, .. } = command;
        let claim = key.map(|key| Claim::new(who, key));
        let work = move |conn: &mut Conn| {
            let context = Context::new(&clock, actor.clone(), request_id.clone());
            match &claim {
                Some(claim) => {
                    idempotency::once(conn, claim, |conn| may(conn, &input), |conn| effect(conn, &context, &input))
                }
                None => effect(conn, &context, &input).map(|reply| Outcome { reply, replayed: false }),
            }
        };
        let Outcome { reply, replayed } = self.db.write(work).await?;
        reply.into_response(replayed)
    }

    /// What a request with this key was answered already, for operations that cannot leave the look at it to
    /// [`AppState::execute`]; none where nothing was done with it.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn first_answer(&self, who: &Principal, key: &Key) -> Result<Option<FirstAnswer>> {
        let claim = Claim::new(who, key.clone());
        self.db.read(move |conn| idempotency::first_answer(conn, &claim)).await
    }

    /// Runs a PATCH, PUT, DELETE or public POST in one transaction.
    ///
    /// # Errors
    /// What `effect` refuses.
    pub async fn write<T, A, F>(&self, who: impl Into<Actor>, body: Body<T>, effect: F) -> Result<A>
    where
        T: Send + Sync + 'static,
        A: Send + 'static,
        F: Fn(&mut Conn, &Context, &T) -> Result<A> + Send + Sync + 'static,
    {
        let (actor, clock) = (who.into(), self.clock.clone());
        let Body { input, request_id } = body;
        let work = move |conn: &mut Conn| {
            let context = Context::new(&clock, actor.clone(), request_id.clone());
            effect(conn, &context, &input)
        };
        self.db.write(work).await
    }
}
