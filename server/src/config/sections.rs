//! The sections of the configuration: every setting, its unit and its default.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidegate_protocol::{DEFAULT_LIMITS, Limits, Symbol};

use super::{Secret, SigningKeyFile, TrustedIssuer};
use crate::audit::Policy;
use crate::failure::Failure;
use crate::market::binance::{MARKET_WS_URL, REST_URL};
use crate::transport::Network;

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the listener for operators (`/health`, `/ready`, `/metrics`). None: 127.0.0.1:8081, or a free port
    /// where that is taken.
    pub ops_listen: Option<SocketAddr>,
    /// The address that users open, for example `https://signals.example`; it appears in what wallets sign.
    /// Empty: taken from the request on loopback, else from `listen`.
    pub public_url: String,
    /// Pages that may connect besides the gateway's own, as browsers write them: `https://app.example`.
    pub allowed_origins: Vec<String>,
    /// The names by which the gateway may be addressed, with or without port; with `server.tls`, also those that a
    /// client has to ask a certificate for. Empty: any.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses and ranges such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// Certificate and key. Without them a proxy in front encrypts, or nobody.
    pub tls: TlsConfig,
}

impl ServerConfig {
    /// How its addresses begin.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_on() { "https" } else { "http" }
    }
}

/// What TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those between it and its authority, PEM. Empty: no TLS.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

impl TlsConfig {
    /// Whether the gateway is to encrypt.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.cert_file.as_os_str().is_empty()
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: None,
            public_url: String::new(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: TlsConfig::default(),
        }
    }
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Signs access tokens (HS256), at least 32 bytes. Empty on loopback: a random one for this run.
    pub jwt_secret: Secret,
    /// A file that holds the secret, instead of the secret itself.
    pub jwt_secret_file: Option<PathBuf>,
    /// The secret before this one: its tokens are accepted until they expire.
    pub previous_jwt_secret: Secret,
    /// A file that holds it, instead.
    pub previous_jwt_secret_file: Option<PathBuf>,
    /// Keys for EdDSA and ES256, instead of the secret: the first one signs, all of them verify.
    pub signing_keys: Vec<SigningKeyFile>,
    /// Others whose tokens are accepted.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// The `iss` of access tokens.
    pub issuer: String,
    /// The `aud` of access tokens.
    pub audience: String,
    /// Whether a token may be in the URL of a handshake (`?token=`), where proxies may log it.
    pub query_tokens: bool,
    /// How long an access token lasts, 1 to 15 minutes.
    pub access_token_minutes: u32,
    /// How long a sign-in challenge can be answered, in minutes.
    pub challenge_minutes: u32,
    /// The chain id in what wallets sign.
    pub chain_id: u64,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            jwt_secret: Secret::default(),
            jwt_secret_file: None,
            previous_jwt_secret: Secret::default(),
            previous_jwt_secret_file: None,
            signing_keys: Vec::new(),
            trusted_issuers: Vec::new(),
            issuer: "tidegate".into(),
            audience: "tidegate".into(),
            query_tokens: true,
            access_token_minutes: 15,
            challenge_minutes: 5,
            chain_id: 1,
        }
    }
}

/// The signals that are kept across restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// The file of the last 512 signals of every feed; one for each gateway. Empty: a start computes them anew, as
    /// far as the market tells its past.
    pub file: PathBuf,
    /// It is written this often, if there is anything new, in seconds; and at the end.
    pub save_seconds: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { file: PathBuf::new(), save_seconds: 5 }
    }
}

/// What one client may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Client messages in any 60 seconds.
    pub messages_per_minute: u32,
    /// Feeds that a connection may follow.
    pub subscriptions_per_connection: u32,
    /// Connections that a user may hold.
    pub connections_per_user: u32,
    /// Largest client message, in bytes.
    pub max_message_bytes: u32,
    /// Time to authenticate, in seconds.
    pub auth_timeout_seconds: u32,
    /// Connections that the node holds.
    pub connections_per_node: u32,
    /// Memory that the process may take, in megabytes: new connections are refused from nine tenths of it on. 0: what
    /// the system grants.
    pub memory_megabytes: u32,
    /// Connections on which nobody has signed in that an address (a /64 of IPv6) may hold.
    pub unauthenticated_connections_per_ip: u32,
    /// Connections that it may open in a minute.
    pub new_connections_per_ip: u32,
    /// Sockets that it may hold for requests: WebSockets do not count.
    pub http_connections_per_ip: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            messages_per_minute: DEFAULT_LIMITS.messages_per_minute,
            subscriptions_per_connection: DEFAULT_LIMITS.subscriptions_per_connection,
            connections_per_user: DEFAULT_LIMITS.connections_per_user,
            max_message_bytes: DEFAULT_LIMITS.max_message_bytes,
            auth_timeout_seconds: 5,
            connections_per_node: 20_000,
            memory_megabytes: 0,
            unauthenticated_connections_per_ip: 20,
            new_connections_per_ip: 60,
            http_connections_per_ip: 500,
        }
    }
}

impl LimitsConfig {
    /// The part that is announced to clients.
    #[must_use]
    pub fn announced(&self) -> Limits {
        Limits {
            messages_per_minute: self.messages_per_minute,
            subscriptions_per_connection: self.subscriptions_per_connection,
            connections_per_user: self.connections_per_user,
            max_message_bytes: self.max_message_bytes,
        }
    }
}

/// Where market data comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// `sim`, `sim:SEED`, `replay:FILE[,FILE…]`, `binance` or `binance:URL`.
    pub source: String,
    /// How many times faster than real time the simulator or a replay runs.
    pub speed: f64,
    /// The symbols that are tracked. Empty: those of the source.
    pub symbols: Vec<Symbol>,
    /// REST interface of the exchange, for the source `binance`.
    pub rest_url: String,
    /// Its WebSocket of trades and candles.
    pub market_ws_url: String,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            source: "sim".into(),
            speed: 1.0,
            symbols: Vec::new(),
            rest_url: REST_URL.into(),
            market_ws_url: MARKET_WS_URL.into(),
        }
    }
}

/// What is written about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Levels by module, as in `info` or `info,tidegate_server::ws=debug`.
    pub filter: String,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// What is written about who signed in, connected or was turned away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// The audit log. Empty: there is only the copy in the store.
    pub file: PathBuf,
    /// Whether a sign-in is refused when it cannot be written down.
    pub policy: Policy,
    /// How long the store keeps its copy, in days; the file is never shortened.
    pub keep_days: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { file: PathBuf::new(), policy: Policy::default(), keep_days: 90 }
    }
}

impl AuditConfig {
    /// Settings that do not go together.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let (what, fix) = if self.policy == Policy::FailClosed && self.file.as_os_str().is_empty() {
            (
                "audit.policy is fail_closed, but there is no audit log that a sign-in could be written to",
                "set audit.file, or audit.policy = \"fail_open\"",
            )
        } else if self.keep_days == 0 {
            ("audit.keep_days is 0, so the store would keep nothing", "set it to at least 1, or leave it out")
        } else {
            return Ok(());
        };
        Err(Failure::configuration("TG-CFG-013", what, fix))
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
