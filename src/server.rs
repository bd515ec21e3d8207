//! Starts and stops a server: database, clock, state, HTTP, worker, courier. Used by the command line and, many times in one process,
//! by tests. Knows no routes.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::task::JoinHandle;
use actix_web::{HttpServer, web};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::config::{SettingError, Settings};
use crate::courier::Courier;
use crate::db::{DatabaseUrl, Db, Options, migrate};
use crate::error::{Error, Result};
use crate::http::contract::Contract;
use crate::mail::Mailer;
use crate::openapi;
use crate::payout_methods::sealed;
use crate::program;
use crate::state::{App, AppState};
use crate::stored;
use crate::vault::Vault;
use crate::worker::Worker;

/// Seconds that a stop takes at most.
const SHUTDOWN_TIMEOUT_S: u64 = 30;

/// Seconds of these that running requests get; the threads get the rest.
const REQUESTS_TIMEOUT_S: u64 = 25;

/// How long a connection may be idle between two requests: longer than balancers keep theirs (60 s), so that none sends a
/// request at the moment when it is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take nothing of an answer.
#[cfg(target_os = "linux")]
const STALLED_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Anything else, most likely the database.
    #[error("{}", .0.reason())]
    Failed(#[from] Error),
}

/// What of a server did not end in time; its threads go on until the process ends.
#[derive(Debug, thiserror::Error)]
#[error("{} did not end within {SHUTDOWN_TIMEOUT_S} s", .0.join(", "))]
pub struct Unfinished(Vec<&'static str>);

/// A server that answers. Dropping it ends it at once; [`Server::stop`] lets it finish.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: App,
    handle: ServerHandle,
    /// Ends when the HTTP side has stopped.
    running: JoinHandle<std::io::Result<()>>,
    /// The port of the metrics, where it has one.
    metrics: Option<ServerHandle>,
    worker: Option<Worker>,
    courier: Option<Courier>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its handlers share.
    #[must_use]
    pub fn state(&self) -> &App {
        &self.state
    }

    /// Stops accepting, finishes what runs, ends worker and courier, flushes; within 30 seconds.
    ///
    /// # Errors
    /// Threads that did not end in time, as where they wait for a database that neither answers nor fails.
    pub async fn stop(mut self) -> Result<(), Unfinished> {
        let deadline = Instant::now() + Duration::from_secs(SHUTDOWN_TIMEOUT_S);
        self.handle.stop(true).await;
        if let Some(metrics) = &self.metrics {
            metrics.stop(false).await;
        }
        if let Err(error) = (&mut self.running).await.map_err(std::io::Error::other).flatten() {
            log::error!("the HTTP server: {error}");
        }
        let threads = [("the worker", end(self.worker.take())), ("the courier", end(self.courier.take()))];
        let late = unfinished(threads, deadline).await;
        let writers = end(self);
        let late = if late.is_empty() { unfinished([("the writers", writers)], deadline).await } else { late };
        if late.is_empty() { Ok(()) } else { Err(Unfinished(late)) }
    }
}

/// Drops `part` on a thread of its own, as that may wait for threads of the part's; answers when it is done.
fn end<T: Send + 'static>(part: T) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    let drop_it = move || {
        drop(part);
        // Who waits no longer needs no answer.
        ended.send(()).ok();
    };
    if let Err(error) = std::thread::Builder::new().name("stop".to_owned()).spawn(drop_it) {
        log::warn!("no thread for the stop: {error}");
    }
    end
}

/// The names of those that have not ended at `deadline`.
async fn unfinished(
    parts: impl IntoIterator<Item = (&'static str, oneshot::Receiver<()>)>,
    deadline: Instant,
) -> Vec<&'static str> {
    let mut late = Vec::new();
    for (name, end) in parts {
        if timeout_at(deadline, end).await.is_err() {
            late.push(name);
        }
    }
    late
}

impl Drop for Server {
    fn drop(&mut self) {
        // The command is sent at once; nobody waits for its end.
        drop(self.handle.stop(false));
        drop(self.metrics.as_ref().map(|metrics| metrics.stop(false)));
    }
}

/// Starts a server and returns when it accepts requests. Needs a running actix system.
///
/// # Errors
/// A setting that cannot be used; a database that cannot be reached or migrated.
pub async fn start(settings: Settings) -> Result<Server, StartError> {
    start_after(settings, |_| Ok(())).await
}

/// Starts a server after `fill` was done, before the server's own work and anybody's request.
///
/// # Errors
/// As [`start`]; what `fill` fails with.
pub async fn start_after(
    settings: Settings,
    fill: impl FnOnce(&AppState) -> Result<()> + Send + 'static,
) -> Result<Server, StartError> {
    let port = Port::take(&settings.bind, "STAPE_BIND").await?;
    let address = port.address()?;
    let metrics_port = match &settings.metrics_bind {
        Some(bind) => Some(Port::take(bind, "STAPE_METRICS_BIND").await?),
        None => None,
    };
    let workers = settings.workers;
    let mailer = Mailer::new(&settings.mail)?;
    let settled = move || open(&settings).map(|(db, clock)| (settings, db, clock));
    let (settings, db, clock) = web::block(settled).await.map_err(Error::internal)??;
    // Not before: whoever finds the ports open may write to the database, whose clock is decided now.
    let listener = port.listen()?;
    let metrics_listener = metrics_port.map(Port::listen).transpose()?;
    let ready = move || {
        let contract = Contract::of(openapi::COMMITTED)?;
        let state = AppState::new(db, clock, &settings, public_url(&settings, address), contract)?;
        fill(&state)?;
        Ok::<_, StartError>(state)
    };
    let state = web::Data::new(web::block(ready).await.map_err(Error::internal)??);
    let shared = state.clone();
    let mut http = HttpServer::new(move || crate::app::application(shared.clone()))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(REQUESTS_TIMEOUT_S)
        .disable_signals();
    if let Some(workers) = workers {
        http = http.workers(workers.get());
    }
    let http = http.listen(listener).map_err(Error::internal)?.run();
    let metrics = metrics_listener.map(|listener| serve_metrics(listener, state.clone())).transpose()?;
    let keys = state.clicks.visitor_keys();
    let worker = Some(Worker::start(state.db.clone(), state.clock.clone(), keys, state.metrics.worker())?);
    let (public_url, clock) = (state.public_url.clone(), state.clock.clone());
    let courier = Some(Courier::start(state.db.clone(), mailer, public_url, clock, state.metrics.courier())?);
    Ok(Server { address, state, handle: http.handle(), running: actix_web::rt::spawn(http), metrics, worker, courier })
}

/// Serves the metrics alone, on a port that whoever operates the server keeps to itself.
fn serve_metrics(listener: TcpListener, state: App) -> Result<ServerHandle> {
    let http = HttpServer::new(move || crate::app::metrics_application(state.clone())).workers(1).disable_signals();
    let running = http.listen(listener).map_err(Error::internal)?.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    Ok(handle)
}

/// A port that is this server's, and the setting that names it.
struct Port {
    socket: TcpSocket,
    bind: String,
    setting: &'static str,
}

impl Port {
    /// Takes the port; nobody reaches it yet.
    async fn take(bind: &str, setting: &'static str) -> Result<Self, SettingError> {
        let failed = |error| unusable(setting, bind, &error);
        let address = tokio::net::lookup_host(bind).await.map_err(failed)?.next();
        let address = address.ok_or_else(|| SettingError::new(setting, format!("{bind} has no address")))?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
        socket.set_reuseaddr(true).map_err(failed)?;
        // Connections have it from the port that they come to.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(STALLED_TIMEOUT)).map_err(failed)?;
        socket.bind(address).map_err(failed)?;
        // Until somebody listens, Linux gives a port to all whose sockets may share it.
        socket.set_reuseaddr(false).map_err(failed)?;
        Ok(Self { socket, bind: bind.to_owned(), setting })
    }

    fn address(&self) -> Result<SocketAddr, SettingError> {
        self.socket.local_addr().map_err(|error| unusable(self.setting, &self.bind, &error))
    }

    /// Opens the port; requests wait there until they are accepted.
    fn listen(self) -> Result<TcpListener, SettingError> {
        let Self { socket, bind, setting } = self;
        let shared = socket.set_reuseaddr(true);
        let listener = shared.and_then(|()| socket.listen(BACKLOG)).and_then(tokio::net::TcpListener::into_std);
        listener.map_err(|error| unusable(setting, &bind, &error))
    }
}

fn unusable(setting: &'static str, bind: &str, error: &std::io::Error) -> SettingError {
    let reason = match error.kind() {
        ErrorKind::InvalidInput => "must be an address and a port, such as 127.0.0.1:8080".to_owned(),
        _ => error.to_string(),
    };
    SettingError::new(setting, format!("{bind}: {reason}"))
}

/// The database with every migration, and how many were missing.
///
/// # Errors
/// No connection, or a migration that cannot be applied.
pub fn migrated(url: &DatabaseUrl, options: Options) -> Result<(Db, usize), StartError> {
    let applied = migrate::run_pending(url)?;
    let db = Db::connect(url, options)?;
    Ok((db, applied))
}

/// The database, which is migrated before unless that is switched off, and its clock.
fn open(settings: &Settings) -> Result<(Db, Clock), StartError> {
    let db = if settings.migrate {
        let (db, applied) = migrated(&settings.database_url, Options::server())?;
        if applied > 0 {
            log::info!("applied {applied} migrations");
        }
        db
    } else {
        Db::connect(&settings.database_url, Options::server())?
    };
    let clock = if db.read_blocking(migrate::is_current)? {
        settle(&db, settings)?
    } else if settings.test_clock.is_some() {
        return Err(SettingError::new("STAPE_TEST_CLOCK", "needs a migrated database").into());
    } else {
        log::warn!("the database lacks migrations, so the server is not ready; run `stape-api migrate`");
        Clock::Machine
    };
    Ok((db, clock))
}

/// What every serving of a database begins with: whether its secrets can be read, its clock, the ids that there are, the
/// first version of the program.
fn settle(db: &Db, settings: &Settings) -> Result<Clock, StartError> {
    let (wanted, vault) = (settings.test_clock, Vault::of(&settings.secrets));
    db.read_blocking(move |conn| sealed::ensure_openable(conn, &vault))??;
    db.write_blocking(stored::load_id_floor)?;
    let clock = db.write_blocking(move |conn| stored::settle_clock(conn, wanted))??;
    let now = clock.now();
    db.write_blocking(move |conn| program::service::ensure_first_version(conn, now))?;
    Ok(clock)
}

/// Where clients reach the server: as configured, or where it listens.
fn public_url(settings: &Settings, address: SocketAddr) -> String {
    match &settings.public_url {
        Some(url) => url.as_str().to_owned(),
        None if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        None => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends when it may.
    struct Slow(std::sync::mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv().ok();
        }
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_named() {
        let (release, held) = std::sync::mpsc::channel();
        let parts = [("the quick one", end(())), ("the slow one", end(Slow(held)))];
        let late = unfinished(parts, Instant::now() + Duration::from_secs(1)).await;
        assert_eq!(Unfinished(late).to_string(), "the slow one did not end within 30 s");
        drop(release);
    }

    #[tokio::test]
    async fn a_port_is_taken_once() {
        let first = Port::take("127.0.0.1:0", "STAPE_BIND").await.unwrap();
        let address = first.address().unwrap().to_string();
        let refused = Port::take(&address, "STAPE_METRICS_BIND").await.err().unwrap().to_string();
        assert!(refused.contains("STAPE_METRICS_BIND") && refused.contains(&address), "{refused}");
        drop(first.listen().unwrap());
        assert!(Port::take(&address, "STAPE_BIND").await.unwrap().listen().is_ok());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_whose_client_takes_nothing_is_given_up() {
        let port = Port::take("127.0.0.1:0", "STAPE_BIND").await.unwrap().listen().unwrap();
        port.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(port.local_addr().unwrap()).unwrap();
        let (connection, _) = port.accept().unwrap();
        assert_eq!(socket2::SockRef::from(&connection).tcp_user_timeout().unwrap(), Some(STALLED_TIMEOUT));
    }
}
