//! TLS on the public listener: 1.2 and 1.3, with a certificate and its key from files. Where the gateway knows its own
//! names, a client that asks for another one, or for none, gets no further.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::uri::Authority;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use super::{REQUEST_DEADLINE, Transport};
use crate::config::ServerConfig as Settings;
use crate::failure::Failure;

/// Makes encrypted connections of sockets.
pub(super) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Reads certificate and key.
    pub(super) fn open(server: &Settings) -> Result<Self, Failure> {
        let config = &server.tls;
        let unusable = |path: &Path, problem: String| {
            let fix = "give server.tls.cert_file the chain and server.tls.key_file its key, both as PEM";
            Failure::configuration("TG-TLS-001", problem, fix).at(path.display().to_string())
        };
        let read =
            CertificateDer::pem_file_iter(&config.cert_file).and_then(Iterator::collect::<Result<_, _>>);
        let chain: Vec<_> =
            read.map_err(|error| unusable(&config.cert_file, format!("no certificate: {error}")))?;
        let key = PrivateKeyDer::from_pem_file(&config.key_file)
            .map_err(|error| unusable(&config.key_file, format!("no private key: {error}")))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            unusable(&config.cert_file, format!("certificate and key do not go together: {error}"))
        })?;
        let own = Own { certified: Arc::new(certified), names: Names::new(&server.allowed_hosts) };
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(own));
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(tls))))
    }

    /// The handshake, if it succeeds in time.
    pub(super) async fn accept(&self, io: impl Transport) -> Option<Box<dyn Transport>> {
        match timeout(REQUEST_DEADLINE, self.0.accept(io)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }
}

/// The one certificate, for those who ask for this gateway.
#[derive(Debug)]
struct Own {
    certified: Arc<CertifiedKey>,
    names: Names,
}

impl ResolvesServerCert for Own {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.names.allow(hello.server_name()).then(|| Arc::clone(&self.certified))
    }
}

/// What this gateway is called.
#[derive(Debug)]
struct Names {
    names: Vec<String>,
    /// Who connects to an address cannot name one: names are all that TLS can say.
    may_be_none: bool,
}

impl Names {
    /// Those of `server.allowed_hosts`, where an empty list means any.
    fn new(allowed_hosts: &[String]) -> Self {
        let host = |allowed: &String| match allowed.parse::<Authority>() {
            Ok(authority) => authority.host().to_owned(),
            Err(_) => allowed.clone(),
        };
        let is_address = |host: &String| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let (addresses, names): (Vec<_>, Vec<_>) = allowed_hosts.iter().map(host).partition(is_address);
        Self { may_be_none: names.is_empty() || !addresses.is_empty(), names }
    }

    fn allow(&self, name: Option<&str>) -> bool {
        match name {
            None => self.may_be_none,
            Some(name) => {
                self.names.is_empty() || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
        }
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn make_room(&self) {
        self.get_ref().0.make_room();
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_16_who_asks_for_somebody_else_or_for_nobody_is_not_answered() {
        let allow = |hosts: &[&str], name| {
            let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
            Names::new(&hosts).allow(name)
        };
        for (hosts, name, expected) in [
            (&[][..], None, true),
            (&[], Some("any.example"), true),
            (&["gate.example:8443"], Some("Gate.example"), true),
            (&["gate.example"], Some("other.example"), false),
            (&["gate.example"], None, false),
            (&["gate.example", "192.0.2.1:443"], None, true),
            (&["[::1]:8443"], None, true),
        ] {
            assert_eq!(allow(hosts, name), expected, "{hosts:?} {name:?}");
        }
    }
}
