//! `tidegate config`: writes, checks and shows the configuration.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use zeroize::Zeroizing;

use super::{DEFAULT_FILE, create_private, load};
use crate::config::{Config, Origins, Secret, leaves};
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a commented file with a generated secret
    Init,
    /// Check file and environment strictly
    Check,
    /// Show every value that is in force, secrets hidden
    Show {
        /// And where each comes from
        #[arg(long)]
        origin: bool,
    },
}

impl Verb {
    pub(super) fn run(self, file: Option<PathBuf>) -> Result<(), Failure> {
        match self {
            Self::Init => init(&file.unwrap_or_else(|| DEFAULT_FILE.into())),
            Self::Check => {
                checked(file.as_deref())?;
                println!("the configuration is good");
                Ok(())
            }
            Self::Show { origin } => {
                let (config, origins) = Config::load_with_origins(file.as_deref(), super::environment())?;
                config.check()?;
                let table = toml::Table::try_from(&config).expect("a configuration is TOML");
                if origin {
                    print!("{}", with_origins(&table, &origins));
                } else {
                    print!("{}", toml::to_string(&config).expect("a configuration is TOML"));
                }
                Ok(())
            }
        }
    }
}

/// One setting a line, with its origin beside it.
fn with_origins(table: &toml::Table, origins: &Origins) -> String {
    let settings: Vec<_> = leaves(table)
        .into_iter()
        .map(|(path, value)| (format!("{path} = {value}"), origins.of(&path)))
        .collect();
    let width = settings.iter().map(|(text, _)| text.len()).filter(|width| *width < 60).max().unwrap_or(0);
    settings.iter().map(|(text, origin)| format!("{text:<width$}  # {origin}\n")).collect()
}

pub(super) fn checked(file: Option<&Path>) -> Result<Config, Failure> {
    let config = load(file)?;
    config.check()?;
    Ok(config)
}

/// Never overwrites: the file that is there may hold the only copy of a secret.
fn init(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let fix = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "move it away first, or name another with --config FILE",
            _ => "choose a folder that can be written, with --config FILE",
        };
        Failure::environment("TG-CFG-009", format!("cannot write the configuration: {error}"), fix)
            .at(path.display().to_string())
    };
    create_private(path, Zeroizing::new(template(&Secret::random())).as_bytes()).map_err(failed)?;
    println!("wrote {} with a generated secret: keep it private", path.display());
    Ok(())
}

/// Every setting with its default; what is commented out has that value anyway.
fn template(secret: &Secret) -> String {
    let secret = String::from_utf8_lossy(secret.expose());
    format!(
        r#"# Tidegate. Environment variables win over this file: TIDEGATE_LIMITS__CONNECTIONS_PER_USER=3

[server]
# listen = "127.0.0.1:8080"
# For operators: /health, /ready and /metrics. Left out: this address, or a free port where it is taken.
# ops_listen = "127.0.0.1:8081"
# The address that users open; it appears in what wallets sign.
# public_url = "https://signals.example"
# Other pages that may connect. There are no wildcards.
# allowed_origins = ["https://app.example"]
# The names by which the gateway may be addressed; empty: any.
# allowed_hosts = []                            (["signals.example"])
# Proxies whose X-Forwarded-For is believed. Behind a proxy that is not named here, all users share the limits of
# one address.
# trusted_proxies = []                          (["127.0.0.1", "10.0.0.0/8"])
# To encrypt without a proxy: the certificate chain and its key, PEM.
# tls = {{ cert_file = "", key_file = "" }}

[auth]
# Signs access tokens (HS256). Whoever knows it can be anybody.
jwt_secret = "{secret}"
# jwt_secret_file = "/run/secrets/tidegate"     (instead of jwt_secret)
# issuer = "tidegate"
# audience = "tidegate"
# Whether a token may be in the URL, where proxies may log it.
# query_tokens = true
# access_token_minutes = 15
# challenge_minutes = 5
# chain_id = 1
# The secret before this one: its tokens are accepted until they expire.
# previous_jwt_secret = ""
# Keys instead of the secret (tidegate keys generate): the first one signs, all of them verify.
# signing_keys = []                             ([{{ file = "/run/secrets/2026-11.pem" }}, …])
# Others whose tokens are accepted; their keys from jwks_url, or from public_key_file in PEM.
# trusted_issuers = []                          ([{{ issuer = "…", audience = "…", jwks_url = "https://…" }}])

# Users and their sessions, an SQLite file; empty: they end with the run.
[store]
# file = ""                                     (for example /var/lib/tidegate/tidegate.db)
# A PostgreSQL database instead, for several gateways; all of them need the same rotation_key of at least 32 bytes.
# postgres = ""                                 (postgres://user:password@host/name)
# rotation_key = ""                             (openssl rand -hex 32)

# The last signals of every feed, kept across restarts: who comes back misses nothing. Empty: a start computes them
# anew, as far as the market tells its past.
[history]
# file = ""                                     (for example /var/lib/tidegate/history)
# save_seconds = 5

# What each role may do. Everybody who signs in is a user.
[permissions]
# user = ["signals.read", "market.read", "conversation.read", "wallet.read"]
# moderator = ["signals.read", "market.read", "conversation.read", "wallet.read", "system.monitor"]
# admin = ["signals.read", "market.read", "conversation.read", "wallet.read", "system.monitor", "system.admin"]
# service = ["signals.read", "market.read"]

[limits]
# messages_per_minute = 30
# subscriptions_per_connection = 10
# connections_per_user = 3
# max_message_bytes = 102400
# auth_timeout_seconds = 5
# connections_per_node = 20000
# New connections are refused from nine tenths of this memory on; 0 is what the system grants:
# memory_megabytes = 0
# By address, or /64 of IPv6; in a minute; sockets that are not WebSockets:
# unauthenticated_connections_per_ip = 20
# new_connections_per_ip = 60
# http_connections_per_ip = 500

[market]
# source = "sim"                                (sim, sim:SEED, replay:FILE[,FILE…], binance or binance:URL)
# speed = 1.0
# symbols = ["BTCUSDT"]
# The exchange of the source binance; Aster: https://fapi.asterdex.com and wss://fstream.asterdex.com
# rest_url = "https://fapi.binance.com"
# market_ws_url = "wss://fstream.binance.com/market"

# Thresholds of the strategies, by the names in docs/strategies.md: for every market, and for one of them.
[strategy]
# scalp.ema_period = 5

[symbol]
# BTCUSDT.scalp.threshold_percent = 0.02

[log]
# filter = "info"
# format = "text"                               (text or json)

# Who signed in, connected or was turned away: read it with tidegate audit, check it with tidegate audit verify.
[audit]
# file = ""                                     (none; for example /var/log/tidegate/audit.jsonl)
# policy = "fail_open"                          (fail_closed: no sign-in that cannot be written down)
# The store keeps a copy to search in; the file itself is never shortened.
# keep_days = 90
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_file_names_every_setting_with_its_default() {
        let text = template(&Secret::random());
        let read: Config = toml::from_str(&text).unwrap();
        assert!(read.check().is_ok());
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for (section, settings) in defaults {
            assert!(text.contains(&format!("[{section}]")), "{section}");
            for (name, value) in settings.as_table().unwrap() {
                let starts = format!("{name} = ");
                let of_setting = |line: &&str| line.trim_start_matches("# ").starts_with(&starts);
                let line = text.lines().find(of_setting).unwrap_or_else(|| {
                    panic!("{section}.{name} is missing");
                });
                let skip =
                    ["jwt_secret", "public_url", "symbols", "allowed_origins"].contains(&name.as_str());
                assert!(skip || line.contains(&value.to_string()), "{line} should show {value}");
            }
        }
    }
}
