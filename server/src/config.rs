//! The configuration: defaults < file < environment < flags, checked once at the start.
//!
//! One struct holds every setting with its default. Unknown keys are errors that show file, line and caret.

mod origins;
mod secret;
mod sections;
mod store;
mod table;
mod thresholds;

use std::collections::BTreeMap;
use std::path::Path;

use axum::http::Uri;
use serde::{Deserialize, Serialize};
use tidegate_protocol::Symbol;
use tidegate_strategy::Parameters;

pub use self::origins::{Origin, Origins, leaves};
pub use self::secret::{Secret, SigningKeyFile, TrustedIssuer};
pub use self::sections::{
    AuditConfig, AuthConfig, HistoryConfig, LimitsConfig, LogConfig, LogFormat, MarketConfig, ServerConfig,
    TlsConfig,
};
pub use self::store::StoreConfig;
use self::table::{apply_variable, read_file, settings_in};
pub use self::thresholds::Thresholds;
use crate::auth::origin;
use crate::auth::permission::Permissions;
use crate::auth::siwe;
use crate::failure::Failure;
use crate::market::Choice;

/// The two ways to give the secret that signs tokens.
const SECRET_VARIABLES: &str = "TIDEGATE_AUTH__JWT_SECRET";
/// Largest message that a client may be allowed to send, in bytes.
const MESSAGE_BYTES_MAX: u32 = 16 << 20;

/// Every setting of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the gateway listens.
    pub server: ServerConfig,
    /// Who may connect.
    pub auth: AuthConfig,
    /// What is kept.
    pub store: StoreConfig,
    /// The signals that are kept across restarts.
    pub history: HistoryConfig,
    /// What each role may do.
    pub permissions: Permissions,
    /// What one client may do.
    pub limits: LimitsConfig,
    /// Where market data comes from.
    pub market: MarketConfig,
    /// Settings of the strategies, for every market.
    pub strategy: Thresholds,
    /// Settings of the strategies, for one market: they win over those for every market.
    pub symbol: BTreeMap<Symbol, Thresholds>,
    /// What is written about it.
    pub log: LogConfig,
    /// What is written about who signed in, connected or was turned away.
    pub audit: AuditConfig,
}

impl Config {
    /// Reads the file (if there is one) and then the environment over the defaults.
    ///
    /// # Errors
    /// The first setting that cannot be used, with its place and what to do.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Failure> {
        Self::load_with_origins(file, environment).map(|(config, _)| config)
    }

    /// The same, and where each setting comes from.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with_origins(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Origins), Failure> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        let mut origins = Origins::default();
        origins.file(&table);
        let variables = settings_in(environment);
        if variables.iter().any(|variable| variable.setting.starts_with(SECRET_VARIABLES))
            && let Some(auth) = table.get_mut("auth").and_then(toml::Value::as_table_mut)
        {
            // The secret and the file of it are two ways to say one thing: the environment wins as a whole.
            auth.retain(|key, _| !key.starts_with("jwt_secret"));
            origins.forget("auth.jwt_secret");
        }
        for variable in variables {
            if let Some(path) = apply_variable(&mut table, &variable)? {
                origins.variable(&path, &variable.name);
            }
        }
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| {
            Failure::configuration("TG-CFG-001", error.message().to_owned(), "see tidegate.toml and --help")
        })?;
        config.auth.read_secret_files()?;
        config.store.read_secret_files()?;
        Ok((config, origins))
    }

    /// Checks what types cannot: lengths, ranges, and settings that do not go together.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Failure> {
        self.check_public_address()?;
        if self.server.tls.is_on() && cfg!(not(feature = "tls")) {
            return Err(Failure::configuration(
                "TG-TLS-003",
                "this build of the gateway cannot encrypt",
                "build it with the feature `tls`, or leave server.tls out and put a proxy in front",
            ));
        }
        let tls = &self.server.tls;
        if tls.is_on() == tls.key_file.as_os_str().is_empty() {
            return Err(Failure::configuration(
                "TG-TLS-002",
                "server.tls needs a certificate and its key",
                "set both server.tls.cert_file and server.tls.key_file, or neither",
            ));
        }
        self.auth.check_secrets()?;
        self.auth.check_keys()?;
        self.store.check(&self.auth)?;
        self.audit.check()?;
        if !(1..=15).contains(&self.auth.access_token_minutes) {
            return Err(Failure::configuration(
                "TG-CFG-003",
                format!("access tokens of {} minutes; 1 to 15 are allowed", self.auth.access_token_minutes),
                "set auth.access_token_minutes = 15",
            ));
        }
        self.check_market()?;
        self.check_sign_in()?;
        tracing_subscriber::EnvFilter::try_new(&self.log.filter).map_err(|error| {
            Failure::configuration(
                "TG-CFG-008",
                format!("log.filter: {error}"),
                "use for example info or debug",
            )
        })?;
        if self.limits.max_message_bytes > MESSAGE_BYTES_MAX {
            return Err(Failure::configuration(
                "TG-CFG-005",
                format!(
                    "limits.max_message_bytes is {}; at most {MESSAGE_BYTES_MAX} are allowed",
                    self.limits.max_message_bytes
                ),
                "set it to 102400, or leave it out",
            ));
        }
        if self.history.save_seconds == 0 {
            return Err(Failure::configuration(
                "TG-CFG-005",
                "history.save_seconds is 0, so it would be saved all the time",
                "set it to 5, or leave it out; to save nothing, leave history.file empty",
            ));
        }
        self.symbol.keys().try_for_each(|symbol| self.parameters(Some(*symbol)).map(drop))?;
        self.parameters(None)?;
        let limits = [
            ("messages_per_minute", self.limits.messages_per_minute),
            ("subscriptions_per_connection", self.limits.subscriptions_per_connection),
            ("connections_per_user", self.limits.connections_per_user),
            ("max_message_bytes", self.limits.max_message_bytes),
            ("auth_timeout_seconds", self.limits.auth_timeout_seconds),
            ("connections_per_node", self.limits.connections_per_node),
            ("unauthenticated_connections_per_ip", self.limits.unauthenticated_connections_per_ip),
            ("new_connections_per_ip", self.limits.new_connections_per_ip),
            ("http_connections_per_ip", self.limits.http_connections_per_ip),
        ];
        match limits.into_iter().find(|(_, value)| *value == 0) {
            None => Ok(()),
            Some((name, _)) => Err(Failure::configuration(
                "TG-CFG-005",
                format!("limits.{name} is 0, so nobody could use the gateway"),
                format!("set limits.{name} to at least 1, or leave it out"),
            )),
        }
    }

    /// The settings of the strategies, for one market or for those that have none of their own.
    ///
    /// # Errors
    /// A setting with which no strategy can run.
    pub fn parameters(&self, symbol: Option<Symbol>) -> Result<Parameters, Failure> {
        let own = symbol.and_then(|symbol| self.symbol.get(&symbol).map(|own| (symbol, own)));
        let common = self.strategy.settings();
        let settings: Vec<_> = common.chain(own.into_iter().flat_map(|(_, own)| own.settings())).collect();
        let mut parameters = Parameters::default();
        parameters.set_all(settings.iter().map(|(name, value)| (name.as_str(), *value))).map_err(
            |error| {
                let place = own
                    .map_or("[strategy]".to_owned(), |(symbol, _)| format!("[strategy], [symbol.{symbol}]"));
                Failure::configuration(
                    "TG-CFG-007",
                    error.to_string(),
                    "correct the setting, or leave it out",
                )
                .at(place)
            },
        )?;
        Ok(parameters)
    }

    /// What an operator should know although it is allowed.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.auth.can_sign() {
            warnings.push(
                "no jwt secret is configured: tokens are signed with a random one and end with this run"
                    .into(),
            );
        }
        let listen = self.server.listen;
        if !listen.ip().is_loopback() && self.server.public_url.is_empty() {
            warnings.push(format!(
                "server.public_url is not set: wallets are shown {}://{listen} as the page that they sign in to",
                self.server.scheme()
            ));
        }
        warnings
    }

    fn check_market(&self) -> Result<(), Failure> {
        let MarketConfig { source, speed, symbols, .. } = &self.market;
        Choice::parse(source)?;
        if !(speed.is_finite() && (0.01..=10_000.0).contains(speed)) {
            return Err(Failure::configuration(
                "TG-CFG-004",
                format!("a market speed of {speed}; 0.01 to 10000 are allowed"),
                "set market.speed = 1, or --speed 1",
            ));
        }
        match symbols.iter().enumerate().find(|(index, symbol)| symbols[..*index].contains(symbol)) {
            None => Ok(()),
            Some((_, symbol)) => Err(Failure::configuration(
                "TG-CFG-010",
                format!("{symbol} is named twice"),
                "name every market once, in --symbols or market.symbols",
            )),
        }
    }

    fn check_sign_in(&self) -> Result<(), Failure> {
        if !(1..=60).contains(&self.auth.challenge_minutes) {
            return Err(Failure::configuration(
                "TG-CFG-003",
                format!("a challenge of {} minutes; 1 to 60 are allowed", self.auth.challenge_minutes),
                "set auth.challenge_minutes = 5",
            ));
        }
        for origin in &self.server.allowed_origins {
            origin::check(origin).map_err(|problem| {
                Failure::configuration(
                    "TG-CFG-012",
                    format!("server.allowed_origins: `{origin}` is no origin; {problem}"),
                    "write for example https://app.example",
                )
            })?;
        }
        let url = &self.server.public_url;
        let uri: Option<Uri> = url.parse().ok();
        let is_page = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none();
        let named = uri.filter(is_page).and_then(|uri| Some(uri.authority()?.as_str().to_owned()));
        // It becomes the domain and the URI of what wallets sign, and neither may have a user name in it.
        if url.is_empty() || (named.is_some_and(|name| !name.contains('@')) && siwe::is_uri(url)) {
            return Ok(());
        }
        Err(Failure::configuration(
            "TG-CFG-011",
            format!("server.public_url, `{url}`, is not the address of a page"),
            "write for example https://signals.example",
        ))
    }

    fn check_public_address(&self) -> Result<(), Failure> {
        let listen = self.server.listen;
        if self.auth.can_sign() || listen.ip().is_loopback() {
            return Ok(());
        }
        Err(Failure::configuration(
            "TG-CFG-002",
            format!("no jwt secret, and {listen} is not a loopback address"),
            "tidegate config init      (writes a file with a generated secret)",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Failure> {
        let folder = std::env::temp_dir().join(format!("tidegate-config-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("tidegate.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(Some(&path), variables);
        std::fs::remove_dir_all(&folder).unwrap();
        config
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "[limits]\nconnections_per_user = 5\nmessages_per_minute = 7\n";
        let variables = [
            ("TIDEGATE_LIMITS__CONNECTIONS_PER_USER", "9"),
            ("TIDEGATE_AUTH__JWT_SECRET", "12345678901234567890123456789012"),
            ("TIDEGATE_MARKET__SYMBOLS", "BTCUSDT,ETHUSDT"),
            ("TIDEGATE_MARKET__SPEED", "2.5"),
        ];
        let config = load(file, &variables).unwrap();
        assert_eq!(config.limits.connections_per_user, 9);
        assert_eq!(config.limits.messages_per_minute, 7);
        assert_eq!(config.limits.subscriptions_per_connection, 10);
        assert_eq!(config.auth.jwt_secret.expose().len(), 32);
        assert_eq!(config.market.symbols.len(), 2);
        assert!((config.market.speed - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_line_and_caret() {
        let failure = load("[limits]\n\nconnection_per_user = 5\n", &[]).unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.exit, crate::failure::Exit::Configuration);
        assert!(text.contains("tidegate.toml:3"), "{text}");
        assert!(text.contains("^^^") && text.contains("unknown field `connection_per_user`"), "{text}");
        assert!(text.contains("connections_per_user"), "names what is valid: {text}");
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let failure = load("", &[("TIDEGATE_LIMITS__CONNECTIONS_PER_USER", "many")]).unwrap_err();
        assert!(failure.to_string().contains("TIDEGATE_LIMITS__CONNECTIONS_PER_USER"), "{failure}");
        let failure = load("", &[("TIDEGATE_LIMITS__CONECTIONS", "3")]).unwrap_err();
        assert!(failure.to_string().contains("unknown field `conections`"), "{failure}");
    }

    #[test]
    fn a_short_secret_and_a_public_address_without_one_are_refused() {
        let short = load("[auth]\njwt_secret = \"too short\"\n", &[]).unwrap();
        assert!(short.check().unwrap_err().to_string().contains("jwt secret is 9 bytes"));
        let public = load("[server]\nlisten = \"0.0.0.0:8080\"\n", &[]).unwrap();
        assert!(public.check().unwrap_err().to_string().contains("not a loopback address"));
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn thresholds_are_set_for_every_market_and_for_one() {
        let file = "[strategy]\nscalp.ema_period = 9\n[symbol]\nBTCUSDT.scalp.threshold_percent = 0.05\n";
        let variables =
            [("TIDEGATE_STRATEGY__RANGE__ZONE", "0.1"), ("TIDEGATE_SYMBOL__BTCUSDT__SCALP__EMA_PERIOD", "7")];
        let config = load(file, &variables).unwrap();
        config.check().unwrap();
        let [all, bitcoin] =
            [None, Some("BTCUSDT".parse().unwrap())].map(|symbol| config.parameters(symbol).unwrap());
        assert_eq!((all.scalp.ema_period, bitcoin.scalp.ema_period), (9, 7));
        assert_eq!((all.range.zone, bitcoin.range.zone), (0.1, 0.1));
        assert_eq!((all.scalp.threshold_percent, bitcoin.scalp.threshold_percent), (0.02, 0.05));
    }

    #[test]
    fn a_threshold_that_cannot_be_is_named_with_its_place() {
        let unknown = load("[log]\nfilter = \"info\"\n[strategy]\nscalp.ema_perod = 9\n", &[]).unwrap_err();
        let text = unknown.to_string();
        assert!(text.contains("tidegate.toml:4") && text.contains('^'), "{text}");
        assert!(text.contains("there is no setting scalp.ema_perod"), "{text}");
        let bounds = load("[symbol.BTCUSDT.scalp]\nstop_percent = 0.01\n", &[]).unwrap();
        let text = bounds.check().unwrap_err().to_string();
        assert!(text.contains("TG-CFG-007") && text.contains("[symbol.BTCUSDT]"), "{text}");
        assert!(text.contains("scalp.stop_percent is 0.01, but must be between 0.020001 and 50"), "{text}");
        let variable = load("", &[("TIDEGATE_STRATEGY__SCALP__EMA_PERIOD", "many")]).unwrap_err();
        assert!(variable.to_string().contains("TIDEGATE_STRATEGY__SCALP__EMA_PERIOD"), "{variable}");
    }

    #[test]
    fn the_environment_wins_over_the_file_whichever_way_it_gives_the_secret() {
        let folder = std::env::temp_dir().join(format!("tidegate-secret-{}", uuid::Uuid::now_v7()));
        std::fs::write(&folder, "a secret in a file of its own, 32 bytes and more\n").unwrap();
        let path = folder.display().to_string();
        let file = "[auth]\njwt_secret = \"0123456789abcdef0123456789abcdef\"\n";
        let config = load(file, &[("TIDEGATE_AUTH__JWT_SECRET_FILE", path.as_str())]).unwrap();
        assert!(config.auth.jwt_secret.expose().starts_with(b"a secret in a file"));
        std::fs::write(&folder, "\n").unwrap();
        let empty = load("", &[("TIDEGATE_AUTH__JWT_SECRET_FILE", path.as_str())]).unwrap_err();
        assert!(empty.to_string().contains("the secret file is empty"), "{empty}");
        std::fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn a_variable_that_is_no_setting_is_refused_and_those_of_others_are_left_alone() {
        let failure = load("", &[("TIDEGATE_LIMITS_CONNECTIONS_PER_USER", "1")]).unwrap_err().to_string();
        assert!(failure.contains("two underscores") && failure.contains("TIDEGATE_LIMITS_"), "{failure}");
        assert!(load("", &[("TIDEGATE_CONFIG", "x"), ("TIDEGATE_TOKEN", "x"), ("HOME", "x")]).is_ok());
    }

    #[test]
    fn names_of_other_gateways_are_understood_and_ours_win() {
        let variables = [
            ("TIDEGATE_LIMITS__CONNECTIONS_PER_USER", "4"),
            ("MAX_WEBSOCKET_CONNECTIONS", "9"),
            ("MAX_SYMBOLS_PER_WEBSOCKET", "20"),
            ("CORS_ORIGIN", "https://a.example,https://b.example"),
            ("JWT_SECRET", "12345678901234567890123456789012"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (config, origins) = Config::load_with_origins(None, variables).unwrap();
        assert_eq!(config.limits.connections_per_user, 4);
        assert_eq!(config.limits.subscriptions_per_connection, 20);
        assert_eq!(config.server.allowed_origins.len(), 2);
        assert_eq!(config.auth.jwt_secret.expose().len(), 32);
        for (path, origin) in [
            ("limits.connections_per_user", "environment TIDEGATE_LIMITS__CONNECTIONS_PER_USER"),
            ("limits.subscriptions_per_connection", "environment MAX_SYMBOLS_PER_WEBSOCKET"),
            ("auth.jwt_secret", "environment JWT_SECRET"),
            ("limits.messages_per_minute", "default"),
        ] {
            assert_eq!(origins.of(path).to_string(), origin);
        }
        let failure = load("", &[("MAX_WEBSOCKET_CONNECTIONS", "many")]).unwrap_err().to_string();
        assert!(failure.contains("MAX_WEBSOCKET_CONNECTIONS (environment)"), "{failure}");
    }

    #[test]
    fn what_serve_would_stumble_over_is_found_by_the_check() {
        for (text, problem) in [
            ("[auth]\nchallenge_minutes = 0\n", "a challenge of 0 minutes"),
            ("[market]\nsource = \"foo\"\n", "unknown market `foo`"),
            ("[market]\nsymbols = [\"BTCUSDT\", \"BTCUSDT\"]\n", "BTCUSDT is named twice"),
            ("[log]\nfilter = \"foo=bar=baz\"\n", "log.filter"),
            ("[server]\npublic_url = \"not a url\"\n", "`not a url`, is not the address of a page"),
            ("[server]\nallowed_origins = [\"*\"]\n", "there are no wildcards"),
            ("[limits]\nmax_message_bytes = 99999999\n", "limits.max_message_bytes is 99999999"),
        ] {
            let failure = load(text, &[]).unwrap().check().unwrap_err().to_string();
            assert!(failure.contains(problem), "{failure}");
        }
    }

    #[test]
    fn a_misspelt_secret_is_not_shown() {
        let failure = load("[auth]\njwt_secert = \"MARKER\"\n", &[]).unwrap_err().to_string();
        assert!(failure.contains("unknown field `jwt_secert`") && !failure.contains("MARKER"), "{failure}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let config = load("[auth]\njwt_secret = \"0123456789abcdef0123456789abcdef\"\n", &[]).unwrap();
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
}
