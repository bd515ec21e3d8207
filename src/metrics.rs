//! What the server measures of itself, in the text format of Prometheus. Labels come from routes and statuses, never from
//! what a client sends, so that their number is bounded.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, get};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::auth::passwords;
use crate::auth::principal::{AnyScope, Operator};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::routes::ServiceConfig;
use crate::state::{App, AppState};

/// Upper bounds of the latency histogram, in seconds.
const LATENCY_BUCKETS_S: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The content type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    in_flight: IntGauge,
    pool_connections: IntGauge,
    pool_idle: IntGauge,
    pool_max: IntGauge,
    waiting: IntGaugeVec,
    worker: WorkerMetrics,
    courier: CourierMetrics,
}

/// What the worker tells of its rounds. Alert on a duty whose last success is long ago, and on any difference.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    last_success: IntGaugeVec,
    failures: IntCounterVec,
    ledger_differences: IntGauge,
    ledger_checked_at: IntGauge,
}

impl WorkerMetrics {
    fn registered(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            last_success: IntGaugeVec::new(
                Opts::new(
                    "stape_worker_last_success_timestamp_seconds",
                    "When a duty was last done, at first when the server started, by the machine.",
                ),
                &["duty"],
            )?,
            failures: IntCounterVec::new(Opts::new("stape_worker_failures_total", "Duties that failed."), &["duty"])?,
            ledger_differences: IntGauge::new(
                "stape_ledger_differences",
                "Balances that do not follow from their entries: in the last look at all accounts or, if more, the present one.",
            )?,
            ledger_checked_at: IntGauge::new(
                "stape_ledger_check_timestamp_seconds",
                "When the check had last seen every account; 0 before.",
            )?,
        };
        registry.register(Box::new(metrics.last_success.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.ledger_differences.clone()))?;
        registry.register(Box::new(metrics.ledger_checked_at.clone()))?;
        Ok(metrics)
    }

    /// The worker starts with these duties, each as if it were done now: one that never is grows old as well.
    pub fn start<'a>(&self, duties: impl IntoIterator<Item = &'a str>) {
        duties.into_iter().for_each(|duty| self.done(duty, true));
    }

    /// A duty was done, or failed.
    pub fn done(&self, duty: &str, has_succeeded: bool) {
        let failures = self.failures.with_label_values(&[duty]);
        if has_succeeded {
            self.last_success.with_label_values(&[duty]).set(Timestamp::machine().unix_micros() / 1_000_000);
        } else {
            failures.inc();
        }
    }

    /// The check of the ledgers knows of so many differences; whether every account was seen.
    pub fn checked(&self, differences: usize, is_whole: bool) {
        self.ledger_differences.set(i64::try_from(differences).unwrap_or(i64::MAX));
        if is_whole {
            self.ledger_checked_at.set(Timestamp::machine().unix_micros() / 1_000_000);
        }
    }
}

/// What the courier tells of the outbox. Alert on an oldest letter that is older than your mail server is ever away.
#[derive(Debug, Clone)]
pub struct CourierMetrics {
    waiting: IntGauge,
    oldest_age_s: IntGauge,
    failures: IntCounter,
    abandoned: IntCounter,
}

impl CourierMetrics {
    fn registered(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            waiting: IntGauge::new("stape_mails_waiting", "Letters in the outbox, of all servers.")?,
            oldest_age_s: IntGauge::new(
                "stape_mails_oldest_seconds",
                "Age of the oldest letter in the outbox; 0: none.",
            )?,
            failures: IntCounter::new(
                "stape_mail_failures_total",
                "Tries of this server to deliver a letter that failed.",
            )?,
            abandoned: IntCounter::new("stape_mails_abandoned_total", "Letters that this server has given up.")?,
        };
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.oldest_age_s.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.abandoned.clone()))?;
        Ok(metrics)
    }

    /// So many letters wait, the oldest for so many seconds.
    pub fn counted(&self, waiting: i64, oldest_age_s: i64) {
        self.waiting.set(waiting);
        self.oldest_age_s.set(oldest_age_s.max(0));
    }

    /// A letter could not be delivered, this time.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// A letter was given up.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }
}

/// Counts a request as running until it is dropped.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Two metrics of one name, which the constants exclude.
    pub fn new() -> Result<Self> {
        Self::registered().map_err(Error::internal)
    }

    fn registered() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let registry = Registry::new();
        let metrics = Self {
            worker: WorkerMetrics::registered(&registry)?,
            courier: CourierMetrics::registered(&registry)?,
            registry,
            requests: IntCounterVec::new(
                Opts::new("stape_http_requests_total", "Requests answered."),
                &["method", "route", "status"],
            )?,
            latency: HistogramVec::new(
                HistogramOpts::new("stape_http_request_duration_seconds", "Time until the head of the answer.")
                    .buckets(LATENCY_BUCKETS_S.to_vec()),
                &["method", "route"],
            )?,
            in_flight: gauge("stape_http_requests_in_flight", "Requests that run now.")?,
            pool_connections: gauge("stape_db_pool_connections", "Database connections that are open.")?,
            pool_idle: gauge("stape_db_pool_idle_connections", "Open database connections that nobody uses.")?,
            pool_max: gauge("stape_db_pool_max_connections", "Database connections at most.")?,
            waiting: IntGaugeVec::new(
                Opts::new(
                    "stape_queue_waiting",
                    "What waits now, of what is turned away with 503 where too much waits.",
                ),
                &["queue"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.latency.clone()))?;
        metrics.registry.register(Box::new(metrics.waiting.clone()))?;
        for gauge in [&metrics.in_flight, &metrics.pool_connections, &metrics.pool_idle, &metrics.pool_max] {
            metrics.registry.register(Box::new(gauge.clone()))?;
        }
        Ok(metrics)
    }

    /// Counts a request as running until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// For the worker, who keeps them.
    #[must_use]
    pub fn worker(&self) -> WorkerMetrics {
        self.worker.clone()
    }

    /// For the courier, who keeps them.
    #[must_use]
    pub fn courier(&self) -> CourierMetrics {
        self.courier.clone()
    }

    /// Counts an answered request.
    pub fn observe(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
        let method = known(method);
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.latency.with_label_values(&[method, route]).observe(elapsed.as_secs_f64());
    }

    fn render(&self, app: &AppState) -> Result<String> {
        let pool = app.db.pool_state();
        self.pool_connections.set(pool.connections.into());
        self.pool_idle.set(pool.idle.into());
        self.pool_max.set(pool.max.into());
        let queues = [
            ("database", pool.waiting),
            ("SQLite writes", pool.writes_waiting),
            ("billing events", app.billing.waiting()),
            ("clicks", app.clicks.waiting()),
            ("passwords", passwords::waiting()),
        ];
        for (queue, waiting) in queues {
            self.waiting.with_label_values(&[queue]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
        self.encoded()
    }

    fn encoded(&self) -> Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::internal)
    }
}

/// The method as a label: a client can make up any word.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// `/metrics` on the main port.
pub fn routes(config: &mut ServiceConfig) {
    config.service(read);
}

/// Read the server's metrics.
///
/// Prometheus' text format: requests by route and status, latency, requests in flight, state of the connection pool, what waits,
/// when the worker last did each of its duties, whether balances follow from the ledger's entries, and the letters that wait for delivery.
/// Any operator's key may read them. With `STAPE_METRICS_BIND` they are on a port of their own instead, without a credential.
#[utoipa::path(
    tag = "Service",
    operation_id = "getMetrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain",
        example = json!("stape_http_requests_in_flight 1")),
        (status = 404, description = "The metrics are on a port of their own")),
    extensions(("x-refusals" = json!(["notFound"]))),
    security(("apiKey" = []))
)]
#[get("/metrics")]
async fn read(_who: Operator<AnyScope>, app: App) -> Result<HttpResponse> {
    if app.has_metrics_port {
        return Err(Error::not_found());
    }
    answer(&app)
}

/// The metrics without a credential, for the port of their own.
///
/// # Errors
/// What cannot be encoded.
pub async fn read_freely(app: App) -> Result<HttpResponse> {
    answer(&app)
}

fn answer(app: &AppState) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok().content_type(TEXT_FORMAT).body(app.metrics.render(app)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::db::{DatabaseUrl, Db, Options};
    use crate::referrals::clicks::VisitorKeys;
    use crate::worker::Worker;

    #[test]
    fn a_duty_that_never_succeeds_was_last_done_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("without tables.db"));
        let (db, metrics) = (Db::connect(&url, Options::command()).unwrap(), Metrics::new().unwrap());
        let start = Timestamp::machine().unix_seconds();
        drop(Worker::start(db, Clock::Machine, VisitorKeys::default(), metrics.worker()).unwrap());
        let told = metrics.encoded().unwrap();
        for duty in ["commissions out of review", "scheduled payouts", "id floor", "old clicks", "ledger check"] {
            let series = format!("stape_worker_last_success_timestamp_seconds{{duty=\"{duty}\"}} ");
            let value = told.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or_else(|| panic!("{told}"));
            assert!(value.parse::<i64>().unwrap() >= start, "{duty}: {value}");
        }
    }
}
