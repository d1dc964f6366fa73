//! TLS on the public listener: 1.2 and 1.3, with a certificate and its key from files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::{REQUEST_DEADLINE, Transport};
use crate::config::TlsConfig;
use crate::failure::Failure;

/// Makes encrypted connections of sockets.
pub(super) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Reads certificate and key.
    pub(super) fn open(config: &TlsConfig) -> Result<Self, Failure> {
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
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| {
                unusable(&config.cert_file, format!("certificate and key do not go together: {error}"))
            })?;
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
