//! From a listener to requests: accepts sockets, bounds what each may take and for how long, and hands its requests
//! to the router.
//!
//! It knows HTTP and nothing of tokens, sessions or signals. A request that asks for a WebSocket keeps its socket:
//! `ws::upgrade` takes it over.

mod proxies;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod vet;
mod visitors;
mod wire;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

pub use self::proxies::{Network, Proxies, network};
pub use self::socket::{Bare, Listener, Transport};
pub use self::visitors::{Crowded, Visit, Visitors};
pub use self::wire::Wire;
use crate::config::Config;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// A request's head has to be there within this time, and its body within as much again.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// Largest path and query.
pub(crate) const URI_MAX_BYTES: usize = 8 * 1_024;
/// Largest headers, names and values together.
pub(crate) const HEADERS_MAX_BYTES: usize = 16 * 1_024;
/// Most headers.
const HEADERS_MAX: usize = 64;
/// Sockets beyond the WebSocket connections of the node: for requests.
const REQUEST_SOCKETS: usize = 2_048;
/// A socket that is used for one request after another is asked to come anew after this long.
const HTTP_LIFETIME: Duration = Duration::from_secs(60);
/// And has this long to finish its last one.
const HTTP_FAREWELL: Duration = Duration::from_secs(10);
/// Sockets that are being told that there is no place for them.
const TURNED_AWAY_MAX: usize = 64;
/// A listener that cannot accept (no file descriptors) is asked again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything that stands between a listener and the router. One per gateway.
pub struct Front {
    router: TowerToHyperService<Router>,
    http: http1::Builder,
    proxies: Proxies,
    allowed_hosts: Vec<String>,
    visitors: Visitors,
    places: Arc<Semaphore>,
    places_max: u32,
    turned_away: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
    #[cfg(feature = "tls")]
    tls: Option<tls::Acceptor>,
}

impl Front {
    /// A front for this router, with the limits of the configuration.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub fn new(
        config: &Config,
        router: Router,
        visitors: Visitors,
        metrics: Arc<Metrics>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let places_max = config.limits.connections_per_node as usize + REQUEST_SOCKETS;
        Ok(Self {
            router: TowerToHyperService::new(router),
            http: http(),
            proxies: Proxies::new(&config.server.trusted_proxies),
            allowed_hosts: config.server.allowed_hosts.clone(),
            visitors,
            places: Arc::new(Semaphore::new(places_max)),
            places_max: u32::try_from(places_max).unwrap_or(u32::MAX),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            metrics,
            stopping,
            #[cfg(feature = "tls")]
            tls: config.server.tls.is_on().then(|| tls::Acceptor::open(&config.server)).transpose()?,
        })
    }

    /// Accepts until the gateway stops; the listener is closed then, and sockets without a running request end.
    pub async fn serve(self: Arc<Self>, mut listener: impl Listener) {
        listener.prepare();
        let mut stopping = self.stopping.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, address)) => self.admit(io, address),
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Completes when no socket is left.
    pub async fn emptied(&self) {
        let _ = self.places.acquire_many(self.places_max).await;
    }

    /// Gives a new socket a task of its own, if there is a place for it.
    fn admit(self: &Arc<Self>, io: impl Transport, address: SocketAddr) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.turn_away(io, "503 Service Unavailable", &Refusal::NodeFull);
        };
        let ip = address.ip().to_canonical();
        // Everybody's requests come through a proxy.
        let visit = if self.proxies.trust(ip) { None } else { Some(self.visitors.knock(ip)) };
        match visit.transpose() {
            Ok(visit) => {
                let front = Arc::clone(self);
                tokio::spawn(async move {
                    if let Some(transport) = front.secure(io).await {
                        front.converse(Wire::new(transport, place, visit), address).await;
                    }
                });
            }
            Err(Crowded { retry_after_ms }) => {
                self.turn_away(io, "429 Too Many Requests", &Refusal::Crowded { retry_after_ms });
            }
        }
    }

    /// Says no in one write. Who says so is not kept waiting, and a flood of such sockets is just closed.
    fn turn_away(&self, io: impl Transport, status: &str, refusal: &Refusal) {
        self.metrics.sockets_turned_away.inc(refusal.label());
        let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned() else { return };
        if self.encrypts() {
            return;
        }
        let mut wire = Wire::new(Box::new(io), place, None);
        let answer = curt(status, &refusal.text());
        tokio::spawn(async move {
            if timeout(REQUEST_DEADLINE, wire.write_all(answer.as_bytes())).await.is_ok() {
                let _ = wire.shutdown().await;
            }
        });
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, io: impl Transport) -> Option<Box<dyn Transport>> {
        match &self.tls {
            Some(tls) => tls.accept(io).await,
            None => Some(Box::new(io)),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "as the one that encrypts")]
    async fn secure(&self, io: impl Transport) -> Option<Box<dyn Transport>> {
        Some(Box::new(io))
    }

    fn encrypts(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Answers one request after another. A WebSocket leaves with its socket, and this ends.
    async fn converse(self: Arc<Self>, wire: Wire, address: SocketAddr) {
        let front = Arc::clone(&self);
        let service = service_fn(move |request| {
            let front = Arc::clone(&front);
            async move { Ok::<_, Infallible>(front.answer(request, address).await) }
        });
        let connection = self.http.serve_connection(TokioIo::new(wire), service).with_upgrades();
        let mut connection = pin!(connection);
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = stopping.wait_for(|stopping| *stopping) => None,
            () = sleep(HTTP_LIFETIME) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                timeout(HTTP_FAREWELL, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>, address: SocketAddr) -> Response {
        let (mut parts, body) = request.into_parts();
        let vetted = match vet::check(&parts, &self.allowed_hosts) {
            Ok(()) => vet::read_body(&parts, body).await,
            Err(fault) => Err(fault),
        };
        let body = match vetted {
            Ok(body) => body,
            Err(fault) => {
                tracing::debug!(?fault, "a request was refused");
                let mut response = fault.into_response();
                self.metrics.requests_refused.inc(response.status().as_str().to_owned());
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return response;
            }
        };
        parts.extensions.insert(ConnectInfo(self.proxies.client(address, &parts.headers)));
        match self.router.call(Request::from_parts(parts, Body::from(body))).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The listener failed. What belongs to one socket is over with it; anything else takes time to pass, and asking
    /// again at once would only burn the processor.
    async fn pause(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        let failures = self.metrics.accept_failures.inc();
        if failures.is_multiple_of(100) {
            tracing::error!(%error, failures, "connections cannot be accepted: raise the limit of open files");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("visitors", &self.visitors).finish_non_exhaustive()
    }
}

/// HTTP/1.1 with a deadline for the head of each request, which is also how long a socket may wait for its next one.
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(REQUEST_DEADLINE)
        .max_headers(HEADERS_MAX)
        // The request line, the headers, and room to tell apart which of them is too large.
        .max_buf_size(URI_MAX_BYTES + HEADERS_MAX_BYTES + 2 * 1_024);
    http
}

/// A whole answer in one write, for who gets no further.
fn curt(status: &str, text: &str) -> String {
    let length = text.len();
    format!(
        "HTTP/1.1 {status}\r\nretry-after: 5\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\n\r\n{text}"
    )
}
