//! One way out: a TCP connection, with TLS where the address asks for it. REST and WebSocket run over it.
//!
//! Proxies are not used: what arrives late through one is worth less than a clear error.

use std::fmt;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{HOST, USER_AGENT};
use axum::http::response::Parts;
use axum::http::{HeaderValue, Request, Uri};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::failure::Failure;

/// The description of every market of an exchange is below 3 MiB.
const BODY_MAX_BYTES: usize = 16 << 20;

/// A connection, encrypted or not.
pub(crate) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// Connects to other servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dialer {
    /// None where no address is encrypted: a machine without root certificates can still use a local server.
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("tls", &self.tls.is_some()).finish()
    }
}

impl Dialer {
    /// A dialer for these addresses.
    pub(crate) fn new(addresses: &[&Uri]) -> Result<Self, Failure> {
        let tls = addresses.iter().any(|address| is_encrypted(address));
        Ok(Self { tls: if tls { Some(connector()?) } else { None } })
    }

    pub(crate) async fn dial(&self, address: &Uri) -> io::Result<Box<dyn Line>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let host = address.host().ok_or_else(|| invalid("the address has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = address.port_u16().unwrap_or(if is_encrypted(address) { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if !is_encrypted(address) {
            return Ok(Box::new(stream));
        }
        let tls = self.tls.as_ref().ok_or_else(|| invalid("TLS is not set up"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid("the host is not a name"))?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }

    /// One request on a connection of its own, for requests that are minutes or hours apart. Its path is added to
    /// that of `base`.
    pub(crate) async fn ask(&self, base: &Uri, request: Request<Body>) -> Result<(Parts, Bytes), String> {
        let line = self.dial(base).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            handshake(TokioIo::new(line)).await.map_err(|error| error.to_string())?;
        let driving = tokio::spawn(connection);
        let response =
            sender.send_request(addressed(base, request)?).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), BODY_MAX_BYTES).await.map_err(|error| error.to_string())?;
        driving.abort();
        Ok((head, body))
    }
}

fn addressed(base: &Uri, mut request: Request<Body>) -> Result<Request<Body>, String> {
    let path = format!("{}{}", base.path().trim_end_matches('/'), request.uri());
    let host = base.authority().map_or("", |authority| authority.as_str());
    *request.uri_mut() = path.parse().map_err(|error| format!("`{path}` is not a path: {error}"))?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    Ok(request)
}

fn is_encrypted(address: &Uri) -> bool {
    matches!(address.scheme_str(), Some("https" | "wss"))
}

/// The operating system's roots, so that an operator's own authority and `SSL_CERT_FILE` work.
fn connector() -> Result<TlsConnector, Failure> {
    let failure = |what: String| {
        Failure::environment(
            "TG-NET-003",
            what,
            "install the system's root certificates (package ca-certificates), or set SSL_CERT_FILE",
        )
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(failure("no root certificates, so no encrypted connection can be trusted".into()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
