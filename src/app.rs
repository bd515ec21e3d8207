//! The application: its state, its middleware, its features.

use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::{Condition, from_fn};
use actix_web::{HttpResponse, web};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::auth::token::TokenKeys;
use crate::auth::{Authenticator, Principal};
use crate::clock::Clock;
use crate::config::Settings;
use crate::context::{Actor, Context};
use crate::db::{Conn, Db};
use crate::error::{Error, Result};
use crate::http::contract::Contract;
use crate::http::middleware::{edge, guard, no_operation};
use crate::http::{Body, Command, CommandRule, Reply, limit};
use crate::idempotency::{self, Claim, Outcome};
use crate::metrics::Metrics;
use crate::rate_limit::Limits;
use crate::{
    accounts, api_keys, audit, auth, billing, commissions, containers, docs, events, health, ledger, metrics, openapi,
    operator_requests, partners, program, sub_accounts, test_clock,
};

/// The features, each with its routes: registering a route here documents it.
pub fn features(config: &mut ServiceConfig) {
    config
        .configure(accounts::routes)
        .configure(api_keys::routes)
        .configure(program::routes)
        .configure(partners::routes)
        .configure(sub_accounts::routes)
        .configure(sub_accounts::client_routes)
        .configure(containers::routes)
        .configure(billing::routes)
        .configure(commissions::routes)
        .configure(ledger::routes)
        .configure(events::routes)
        .configure(audit::routes)
        .configure(operator)
        .configure(health::routes)
        .configure(metrics::routes)
        .configure(docs::routes);
}

/// The operator's side of the features.
fn operator(config: &mut ServiceConfig) {
    let accounts = utoipa_actix_web::scope("/v3/operator/accounts")
        .configure(accounts::operator::routes)
        .configure(sub_accounts::operator_routes);
    config
        .service(accounts)
        .configure(billing::operator_routes)
        .configure(containers::operator_routes)
        .configure(operator_requests::operator_routes)
        .configure(partners::operator_routes)
        .configure(program::operator_routes)
        .configure(test_clock::routes);
}

/// Everything that handlers share; immutable but for caches and limits inside its parts.
#[derive(Debug)]
pub struct AppState {
    /// The database.
    pub db: Db,
    /// The domain's time.
    pub clock: Clock,
    /// Who stands behind a credential.
    pub authenticator: Authenticator,
    /// Under which address clients reach the server, without a slash at the end.
    pub public_url: String,
    /// How often something may be done.
    pub limits: Limits,
    /// What the server measures of itself.
    pub metrics: Metrics,
    /// The paths and parameters that there are.
    pub contract: Contract,
    /// The OpenAPI document, as JSON.
    pub document: web::Bytes,
    /// Origins whose pages may call this server.
    pub cors_origins: Vec<String>,
    /// Whether the metrics have a port of their own, and are not on the main one.
    pub has_metrics_port: bool,
}

/// The state as handlers take it.
pub type App = web::Data<AppState>;

/// The application that a worker serves.
pub fn application(
    app: App,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let (cors, has_cors) = (cors(&app.cors_origins), !app.cors_origins.is_empty());
    actix_web::App::new()
        .into_utoipa_app()
        .app_data(app)
        .app_data(web::PathConfig::default().error_handler(|_, _| Error::not_found().into()))
        .configure(features)
        .default_service(web::to(no_operation))
        .into_app()
        .wrap(from_fn(limit::limit))
        .wrap(from_fn(auth::middleware))
        .wrap(from_fn(guard))
        .wrap(Condition::new(has_cors, cors))
        .wrap(from_fn(edge))
}

/// The application on the port of the metrics.
pub fn metrics_application(
    app: App,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    actix_web::App::new()
        .app_data(app)
        .route("/metrics", web::get().to(metrics::read_freely))
        .default_service(web::to(no_operation))
        .wrap(from_fn(guard))
        .wrap(from_fn(edge))
}

/// Which pages of which origins may call, and what they may see.
fn cors(origins: &[String]) -> Cors {
    let headers = |names: [&'static str; 8]| names.map(HeaderName::from_static);
    origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin))
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .allowed_headers(["x-auth-token", "idempotency-key", "x-request-id"].map(HeaderName::from_static))
        .expose_headers(headers([
            "etag",
            "link",
            "location",
            "retry-after",
            "x-request-id",
            "ratelimit",
            "ratelimit-policy",
            "idempotent-replayed",
        ]))
        .max_age(3600)
}

impl AppState {
    /// The state of a server that clients reach at `public_url`; builds the document that it serves.
    ///
    /// # Errors
    /// A document that cannot be serialised.
    pub fn new(db: Db, clock: Clock, settings: &Settings, public_url: String) -> Result<Self> {
        let secrets = &settings.secrets;
        let previous = secrets.jwt_previous.as_ref().map(|secret| secret.reveal().as_bytes());
        let tokens = TokenKeys::new(secrets.jwt.reveal().as_bytes(), previous);
        let authenticator = Authenticator::new(db.clone(), clock.clone(), tokens);
        let document = openapi::document();
        Ok(Self {
            db,
            clock,
            authenticator,
            public_url,
            limits: Limits::new(settings.rate_limit.into()),
            metrics: Metrics::new()?,
            contract: Contract::of(&document),
            document: openapi::json(&document)?.to_string().into(),
            cors_origins: settings.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
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
        let (actor, clock) = (who.actor(), self.clock.clone());
        let Command { input, key, request_id, .. } = command;
        let claim = key.map(|key| Claim::new(who, key));
        let work = move |conn: &mut Conn| {
            let context = Context { now: clock.now(), actor: actor.clone(), request_id: request_id.clone() };
            match &claim {
                Some(claim) => idempotency::once(conn, claim, |conn| effect(conn, &context, &input)),
                None => effect(conn, &context, &input).map(|reply| Outcome { reply, replayed: false }),
            }
        };
        let Outcome { reply, replayed } = self.db.write(work).await?;
        reply.into_response(replayed)
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
            let context = Context { now: clock.now(), actor: actor.clone(), request_id: request_id.clone() };
            effect(conn, &context, &input)
        };
        self.db.write(work).await
    }
}
