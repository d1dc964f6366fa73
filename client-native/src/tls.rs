//! The WebSocket handshake: over TLS for `wss://` where the feature `tls` is on, else plain.

pub(crate) use chosen::{Stream, handshake};

#[cfg(not(feature = "tls"))]
mod chosen {
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::handshake::client::Request;
    use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
    use tokio_tungstenite::{WebSocketStream, client_async_with_config};

    pub(crate) type Stream<Io> = WebSocketStream<Io>;

    pub(crate) async fn handshake<Io: AsyncRead + AsyncWrite + Unpin>(
        request: Request,
        io: Io,
        config: WebSocketConfig,
    ) -> Result<Stream<Io>, Error> {
        let (stream, _) = client_async_with_config(request, io, Some(config)).await?;
        Ok(stream)
    }
}

#[cfg(feature = "tls")]
mod chosen {
    use std::sync::{Arc, OnceLock};

    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    use tokio_tungstenite::tungstenite::Error;
    use tokio_tungstenite::tungstenite::handshake::client::Request;
    use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
    use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

    pub(crate) type Stream<Io> = WebSocketStream<MaybeTlsStream<Io>>;

    pub(crate) async fn handshake<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        request: Request,
        io: Io,
        config: WebSocketConfig,
    ) -> Result<Stream<Io>, Error> {
        let secure = request.uri().scheme_str() == Some("wss");
        let connector = if secure { Connector::Rustls(trust()) } else { Connector::Plain };
        let (stream, _) = client_async_tls_with_config(request, io, Some(config), Some(connector)).await?;
        Ok(stream)
    }

    /// Whom to trust: the roots of the operating system, so that an operator's own authority works. Read once;
    /// none is no error here, because then every handshake says so.
    fn trust() -> Arc<ClientConfig> {
        static TRUST: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let trust = TRUST.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let (added, ignored) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            tracing::debug!(added, ignored, "root certificates were read");
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider supports the default versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
            Arc::new(config)
        });
        Arc::clone(trust)
    }
}
