//! The application: its middleware and its features, the table of contents of the API.

use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::{Condition, from_fn};
use actix_web::{HttpResponse, web};

use crate::error::Error;
use crate::http::limit;
use crate::http::middleware::{edge, guard, no_operation, survive};
use crate::http::routes::{ServiceConfig, scope, serve};
use crate::state::App;
use crate::{
    accounts, api_keys, audit, auth, badge, billing, commissions, containers, dashboard, docs, events, health, ledger,
    metrics, operator_requests, partners, payout_methods, payout_schedules, payouts, program, referrals, statements,
    sub_accounts, test_clock,
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
        .configure(payout_methods::routes)
        .configure(payout_schedules::routes)
        .configure(payouts::routes)
        .configure(statements::routes)
        .configure(referrals::routes)
        .configure(badge::routes)
        .configure(dashboard::routes)
        .configure(events::routes)
        .configure(audit::routes)
        .configure(operator)
        .configure(health::routes)
        .configure(metrics::routes)
        .configure(docs::routes);
}

/// The operator's side of the features.
fn operator(config: &mut ServiceConfig) {
    let accounts =
        scope("/v3/operator/accounts").configure(accounts::operator::routes).configure(sub_accounts::operator_routes);
    config
        .service(accounts)
        .configure(billing::operator_routes)
        .configure(containers::operator_routes)
        .configure(operator_requests::operator_routes)
        .configure(partners::operator_routes)
        .configure(payouts::operator_routes)
        .configure(program::operator_routes)
        .configure(test_clock::routes);
}

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
        .app_data(app)
        .app_data(web::PathConfig::default().error_handler(|_, _| Error::not_found().into()))
        .configure(|actix| serve(actix, features))
        .default_service(web::to(no_operation))
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
        // The API's paths are on the other port.
        .default_service(web::to(async || Err::<HttpResponse, _>(Error::not_found())))
        .wrap(from_fn(survive))
        .wrap(from_fn(edge))
}

/// Which pages of which origins may call, and what they may see.
fn cors(origins: &[String]) -> Cors {
    let headers = |names: [&'static str; 9]| names.map(HeaderName::from_static);
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
            "content-disposition",
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
