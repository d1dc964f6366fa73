//! `tidegate serve`: flags over configuration, the banner, and the signals that end it.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidegate_protocol::{Strategy, Symbol};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::usage;
use crate::Gateway;
use crate::config::{Config, LimitsConfig, LogConfig, LogFormat, Secret};
use crate::failure::{Exit, Failure};

/// These write whole frames or headers at their finest level, and tokens are in them.
const QUIET_LIBRARIES: [&str; 4] = ["tungstenite=info", "tokio_tungstenite=info", "hyper=info", "h2=info"];

/// Where operators are answered, if nothing else is said.
const OPS_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8081);

/// How long work that blocks a thread may take when everything else has ended.
const RUNTIME_DEADLINE: Duration = Duration::from_millis(500);
/// Symbols that the banner names; an exchange has hundreds.
const SYMBOLS_SHOWN: usize = 10;

/// Flags of `serve`. Each wins over the environment and the file.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// To try it out: loopback only; a secret is made for this run where none is configured, and the limits per
    /// address are lifted
    #[arg(long)]
    demo: bool,

    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Address for operators (/health, /ready, /metrics); 127.0.0.1:8081, or a free port where that is taken
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<SocketAddr>,

    /// Where market data comes from: sim, sim:SEED, replay:FILE[,FILE…] (kline CSV or recorded messages,
    /// plain or gzip), binance or binance:URL (live)
    #[arg(long, value_name = "MARKET")]
    market: Option<String>,

    /// Run the simulator or a replay N times faster than real time
    #[arg(long, value_name = "N")]
    speed: Option<f64>,

    /// Symbols to track, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,

    /// Levels of the log, for example `info` or `tidegate_server::ws=debug`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Serve {
    pub(super) fn run(self, file: Option<PathBuf>) -> Result<(), Failure> {
        let config = self.configure(super::load(file.as_deref())?)?;
        config.check()?;
        start_logging(&config.log)?;
        let runtime = Runtime::new().map_err(|error| {
            Failure::environment("TG-SYS-001", format!("no threads: {error}"), "raise the process limit")
        })?;
        run_to_end(runtime, serve(config, file))
    }

    fn configure(self, mut config: Config) -> Result<Config, Failure> {
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        if self.ops_listen.is_some() {
            config.server.ops_listen = self.ops_listen;
        }
        if let Some(market) = self.market {
            config.market.source = market;
        }
        if let Some(speed) = self.speed {
            config.market.speed = speed;
        }
        if !self.symbols.is_empty() {
            config.market.symbols = self.symbols;
        }
        if let Some(filter) = self.log {
            config.log.filter = filter;
        }
        if self.demo {
            if !config.server.listen.ip().is_loopback() {
                return Err(usage(
                    "TG-CLI-001",
                    format!("--demo on {}, which is not a loopback address", config.server.listen),
                    "use a loopback address, or configure a secret and leave --demo out",
                ));
            }
            if !config.auth.can_sign() {
                config.auth.jwt_secret = Secret::random();
            }
            lift_limits_per_ip(&mut config.limits);
        }
        Ok(config)
    }
}

/// Every page, script and test of a developer comes from one address.
fn lift_limits_per_ip(limits: &mut LimitsConfig) {
    for limit in [
        &mut limits.unauthenticated_connections_per_ip,
        &mut limits.new_connections_per_ip,
        &mut limits.http_connections_per_ip,
    ] {
        *limit = limits.connections_per_node.max(*limit);
    }
}

/// What still blocks a thread at the end, such as looking up a name, may take far longer than anybody waits.
fn run_to_end<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_DEADLINE);
    outcome
}

async fn serve(mut config: Config, file: Option<PathBuf>) -> Result<(), Failure> {
    let listener = bind(config.server.listen).await?;
    let address = listener.local_addr().unwrap_or(config.server.listen);
    // What wallets sign names the port that was found free.
    config.server.listen = address;
    let mut warnings = config.warnings();
    let ops = bind_ops(config.server.ops_listen, &mut warnings).await?;
    let addresses =
        Addresses { pages: format!("{}://{address}/", config.server.scheme()), ops: ops.local_addr().ok() };
    let limits = config.limits.clone();
    let gateway = Gateway::open(config).await?;
    // From the moment that the banner names the address, a signal has to end it in order.
    let shutdown = shutdown();
    banner(&gateway, &limits, &warnings, file, &addresses);
    gateway.with_ops(ops).serve(listener, shutdown).await
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|error| {
        let fix = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "stop the program that uses it, or choose another: --listen ADDRESS:PORT"
            }
            io::ErrorKind::PermissionDenied => "choose a port above 1023: --listen ADDRESS:PORT",
            _ => "choose an address of this machine: --listen ADDRESS:PORT",
        };
        let what = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
            _ => error.to_string(),
        };
        Failure {
            exit: Exit::Error,
            code: "TG-NET-001",
            what,
            place: Some(listen.to_string()),
            fix: fix.into(),
        }
    })
}

/// The listener for operators. Where nobody chose its address, a gateway beside another one takes a free port.
async fn bind_ops(listen: Option<SocketAddr>, warnings: &mut Vec<String>) -> Result<TcpListener, Failure> {
    if let Some(listen) = listen {
        return bind(listen).await;
    }
    match TcpListener::bind(SocketAddr::from(OPS_LISTEN)).await {
        Ok(listener) => Ok(listener),
        Err(_) => {
            let free = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
            warnings.push(format!(
                "127.0.0.1:{} is taken: operators are answered on a free port; choose one with --ops-listen",
                OPS_LISTEN.1
            ));
            Ok(free)
        }
    }
}

/// Where a gateway can be reached.
struct Addresses {
    pages: String,
    ops: Option<SocketAddr>,
}

/// What an operator wants to know at the start, on standard output: the log goes to standard error.
fn banner(
    gateway: &Gateway,
    limits: &LimitsConfig,
    warnings: &[String],
    file: Option<PathBuf>,
    addresses: &Addresses,
) {
    let strategies = Strategy::ALL.map(Strategy::as_str).join(", ");
    let configuration = file.map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
    let mut text = format!(
        "tidegate {version}\n\
         configuration  {configuration}, environment, flags\n\
         market         {market}\n\
         feeds          {strategies} of {symbols}\n\
         limits         {connections} connections per user, {messages} messages per minute, \
         {subscriptions} subscriptions per connection\n",
        version = env!("CARGO_PKG_VERSION"),
        market = gateway.market(),
        symbols = some_of(gateway.symbols()),
        connections = limits.connections_per_user,
        messages = limits.messages_per_minute,
        subscriptions = limits.subscriptions_per_connection,
    );
    for warning in warnings {
        text += &format!("warning        {warning}\n");
    }
    let Addresses { pages, ops } = addresses;
    if let Some(ops) = ops {
        text += &format!("operators      http://{ops}/metrics\n");
    }
    text += &format!("websocket      ws{}ws\nopen           {pages}\n", pages.trim_start_matches("http"));
    // Nobody reads it when standard output is closed: that is no reason to stop.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// As many as fit into a line.
fn some_of(symbols: &[Symbol]) -> String {
    let shown: Vec<_> = symbols.iter().take(SYMBOLS_SHOWN).map(Symbol::as_str).collect();
    match symbols.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The first SIGTERM or Ctrl-C asks connections to leave, a second one ends the process at once. Signals count from the
/// call on, not only once it is awaited.
pub(super) fn shutdown() -> impl Future<Output = ()> {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be installed");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler can be installed");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(Exit::Error as i32);
        });
    }
}

pub(super) fn start_logging(config: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Failure::configuration("TG-CFG-008", format!("log filter: {error}"), "use for example info or debug")
    })?;
    let quiet = QUIET_LIBRARIES.map(|directive| directive.parse().expect("a directive"));
    let filter = quiet.into_iter().fold(filter, EnvFilter::add_directive);
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
    match config.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_banner_names_the_first_of_many_symbols() {
        let symbols: Vec<Symbol> = (0..500).map(|n| format!("S{n}USDT").parse().unwrap()).collect();
        assert_eq!(some_of(&symbols[..2]), "S0USDT, S1USDT");
        assert!(some_of(&symbols).ends_with("S9USDT and 490 more"), "{}", some_of(&symbols));
    }

    #[test]
    fn a_thread_that_is_blocked_does_not_hold_up_the_end() {
        let (release, blocked) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let outcome = run_to_end(Runtime::new().unwrap(), async move {
            tokio::task::spawn_blocking(move || {
                let _ = started.send(());
                // As a resolver that gets no answer; too long for the test to pass by waiting.
                let released = blocked.recv_timeout(Duration::from_secs(30));
                let _ = started.send(());
                released
            });
            has_started.recv().expect("it runs");
            has_started
        });
        assert!(outcome.try_recv().is_err(), "it is still blocked");
        drop(release);
    }
}
