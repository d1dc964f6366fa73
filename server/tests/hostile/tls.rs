//! TLS without a proxy in front.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tidegate_server::config::TlsConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::command_line::Folder;
use crate::support::late::Late;
use crate::support::raw::{Raw, handshake};
use crate::support::{Gateway, config};

/// What a client needs to trust the gateway of this test.
struct Trust(RootCertStore);

impl Trust {
    async fn connect(
        &self,
        gateway: &Gateway,
        name: &ServerName<'static>,
        version: &'static SupportedProtocolVersion,
        request: &str,
    ) -> String {
        self.try_connect(gateway, name, version, request).await.expect("a handshake")
    }

    /// What is answered, or how the TLS handshake fails.
    async fn try_connect(
        &self,
        gateway: &Gateway,
        name: &ServerName<'static>,
        version: &'static SupportedProtocolVersion,
        request: &str,
    ) -> std::io::Result<String> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        let tcp = TcpStream::connect(gateway.address).await.unwrap();
        let mut stream = TlsConnector::from(Arc::new(tls)).connect(name.clone(), tcp).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 4_096];
        let read = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
    }
}

/// A gateway with a certificate that was made a moment ago, and these names; none means any.
async fn encrypted(folder: &Folder, names: &[&str]) -> (Gateway, Trust) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.path("chain.pem"), folder.path("key.pem"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let mut config = config();
    config.server.tls = TlsConfig { cert_file: cert_file.into(), key_file: key_file.into() };
    config.server.allowed_hosts = names.iter().map(|&name| name.to_owned()).collect();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    (Gateway::encrypted(config).await, Trust(roots))
}

#[tokio::test]
async fn requests_and_websockets_are_served_over_tls_1_2_and_1_3_with_or_without_a_server_name() {
    let folder = Folder::new();
    let (gateway, trust) = encrypted(&folder, &[]).await;
    let localhost = ServerName::try_from("localhost").unwrap();
    let nameless = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for version in [&TLS12, &TLS13] {
        for name in [&localhost, &nameless] {
            let answer =
                trust.connect(&gateway, name, version, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            let answer = trust.connect(&gateway, name, version, &handshake("/ws", "")).await;
            assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_16_a_gateway_that_knows_its_names_answers_to_no_other_and_to_nobody_without_one() {
    let folder = Folder::new();
    let (gateway, trust) = encrypted(&folder, &["localhost"]).await;
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let localhost = ServerName::try_from("localhost").unwrap();
    let other = ServerName::try_from("other.example").unwrap();
    let nameless = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for version in [&TLS12, &TLS13] {
        let answer = trust.connect(&gateway, &localhost, version, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for name in [&other, &nameless] {
            let refused = trust.try_connect(&gateway, name, version, request).await.unwrap_err();
            assert!(refused.to_string().contains("AccessDenied"), "{name:?}: {refused}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_16_old_versions_plain_http_and_slow_handshakes_are_refused() {
    let late = Late::watch();
    let folder = Folder::new();
    let (gateway, _trust) = encrypted(&folder, &[]).await;
    let plain = async {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
        raw.end().await;
        assert!(!raw.rest().starts_with(b"HTTP"), "{:?}", raw.rest());
        raw.opened.elapsed()
    };
    let old = async {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(client_hello_of_tls_1_1()).await;
        raw.end().await;
        assert_eq!(raw.rest().first(), Some(&0x15), "an alert: {:?}", raw.rest());
    };
    let slow = async |bytes: &'static [u8]| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(bytes).await;
        raw.end().await;
        let lived = raw.opened.elapsed();
        assert!(
            lived >= Duration::from_millis(4_900) && lived < Duration::from_secs(7) + late.by(),
            "{lived:?}"
        );
        lived
    };
    let (plain, (), silent, slow) = tokio::join!(plain, old, slow(b""), slow(b"\x16\x03\x01\x02\x00\x01"));
    assert!(plain < Duration::from_secs(4) + late.by(), "{plain:?}");
    assert!(plain < silent.min(slow), "at once, not at the deadline: {plain:?}");
    gateway.stop().await;
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_and_is_named() {
    let folder = Folder::new();
    let [cert, key] = ["chain.pem", "key.pem"].map(|name| folder.path(name));
    std::fs::write(&cert, "not a certificate").unwrap();
    let output = crate::command_line::tidegate(&["serve", "--demo", "--listen", "127.0.0.1:0"])
        .env("TIDEGATE_SERVER__TLS__CERT_FILE", &cert)
        .env("TIDEGATE_SERVER__TLS__KEY_FILE", &key)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("TG-TLS-001") && said.contains(&key), "{said}");
}

/// A client that offers no more than TLS 1.1 and a cipher of its time.
fn client_hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0x00, 0x2f, 0x00, 0x35, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01, 0, length + 4, 0x01, 0, 0, length];
    record.extend(hello);
    record
}
