//! The binary as an operator meets it: messages, exit codes, logs and signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tidegate_server::audit::{Audit, Event, EventKind, Policy};

use crate::support::{WALLET, token};

pub(crate) fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).current_dir(std::env::temp_dir());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    command
}

fn output(arguments: &[&str]) -> Output {
    tidegate(arguments).output().expect("the binary runs")
}

/// Exit code and standard error of a command that fails.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = output(arguments);
    (output.status.code().expect("it exits by itself"), String::from_utf8(output.stderr).unwrap())
}

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-test-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_port_in_use_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = failure(&["serve", "--listen", &address]);
    assert_eq!(code, 1);
    let expected = format!(
        "error[TG-NET-001]: the port is in use\n  --> {address}\n  \
         fix: stop the program that uses it, or choose another: --listen ADDRESS:PORT\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn an_unknown_flag_exits_with_2_and_an_unknown_key_with_3() {
    assert_eq!(failure(&["serve", "--colour"]).0, 2);
    assert_eq!(failure(&["serve", "--symbols", "btc"]).0, 2);
    let folder = Folder::new();
    let file = folder.write("tidegate.toml", "[market]\nspead = 2\n");
    let (code, text) = failure(&["serve", "--config", &file]);
    assert_eq!(code, 3);
    assert!(text.contains(&format!("--> {file}:2")) && text.contains("unknown field `spead`"), "{text}");
    let (code, text) = failure(&["serve", "--market", "ftx"]);
    assert_eq!(code, 3);
    assert!(text.contains("unknown market `ftx`") && text.contains("replay:FILE"), "{text}");
}

#[test]
fn an_unreadable_or_malformed_candle_file_is_named_with_line_and_reason() {
    let serve = |file: &str| {
        failure(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--symbols",
            "AAUSDT",
            "--market",
            &format!("replay:{file}"),
        ])
    };
    let (code, text) = serve("no-such-file.csv");
    assert_eq!(code, 1);
    assert!(text.contains("no-such-file.csv") && text.contains("cannot read the market data"), "{text}");
    let folder = Folder::new();
    let file = folder.write("bad.csv", "1735689600000,1,2,0.5,1,5\n1735689660000,1,2,0.5,oops,5\n");
    let (code, text) = serve(&file);
    assert_eq!(code, 1);
    assert!(text.contains(&format!("{file}:2")) && text.contains("close is not a number"), "{text}");
}

#[test]
fn demo_mode_is_refused_on_a_public_address_and_a_public_address_without_a_secret() {
    assert_eq!(failure(&["serve", "--demo", "--listen", "0.0.0.0:0"]).0, 2);
    let (code, text) = failure(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, 3);
    assert!(text.contains("tidegate config init"), "{text}");
}

#[test]
fn a_written_configuration_passes_its_check_and_hides_its_secret() {
    let folder = Folder::new();
    let file = folder.0.join("new.toml").display().to_string();
    assert!(output(&["config", "init", "--config", &file]).status.success());
    assert!(output(&["config", "check", "--config", &file]).status.success());
    let shown = String::from_utf8(output(&["config", "show", "--config", &file]).stdout).unwrap();
    assert!(
        shown.contains("jwt_secret = \"(hidden)\"") && shown.contains("connections_per_user = 3"),
        "{shown}"
    );
    let (code, text) = failure(&["config", "init", "--config", &file]);
    assert_eq!(code, 1);
    assert!(text.contains("move it away first"), "{text}");
}

/// Exit code, standard output and standard error, with this on standard input.
fn fed(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = tidegate(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [out, error] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().expect("it exits by itself"), out, error)
}

#[test]
fn a_minted_token_is_inspected_and_a_foreign_one_is_refused_with_its_reason() {
    let folder = Folder::new();
    let [file, other] = ["ours.toml", "other.toml"].map(|name| folder.path(name));
    for file in [&file, &other] {
        assert!(output(&["config", "init", "--config", file]).status.success());
    }
    let lower = WALLET.to_lowercase();
    let mint = ["token", "mint", "--config", &file, "--sub", &lower, "--ttl", "5m", "--role", "admin"];
    let minted = String::from_utf8(output(&mint).stdout).unwrap();
    let inspect = |config: &str, token: &str| fed(&["token", "inspect", "--json", "--config", config], token);
    let (code, text, _) = inspect(&file, &minted);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &shown["accepted"], &shown["problem"]), (0, &true.into(), &serde_json::Value::Null));
    assert_eq!((&shown["claims"]["sub"], &shown["claims"]["roles"][0]), (&WALLET.into(), &"admin".into()));
    let left_ms = shown["expires_in_ms"].as_i64().unwrap();
    assert!((200_000..=300_000).contains(&left_ms), "{left_ms}");

    let saved = folder.write("token", &minted);
    let (code, text, _) = fed(&["token", "inspect", &saved, "--config", &file], "");
    assert!(code == 0 && text.contains("time left 4 min") && text.contains("accepted by this"), "{text}");
    let signature = minted.trim().rsplit('.').next().unwrap();
    assert!(!text.contains(signature) && !shown.to_string().contains(signature));

    let (code, text, error) = inspect(&other, &minted);
    assert_eq!(code, 5, "{error}");
    assert!(text.contains("\"accepted\": false") && error.contains("its signature is not"), "{text}{error}");
    let (code, text, error) = inspect(&file, "MARKER");
    assert!(code == 5 && text.is_empty() && !error.contains("MARKER"), "{error}");
    let (code, error) = failure(&["token", "mint", "--config", &file, "--sub", WALLET, "--ttl", "1h"]);
    assert!(code == 2 && error.contains("--ttl 15m or less"), "{error}");
    assert_eq!(failure(&["token", "mint", "--config", &file, "--sub", "0x1"]).0, 2);
    assert_eq!(failure(&["token", "mint", "--sub", WALLET]).0, 3, "no secret, no token");
}

#[test]
fn a_generated_key_is_private_is_never_overwritten_and_signs() {
    use std::os::unix::fs::PermissionsExt;
    for alg in ["EdDSA", "ES256"] {
        let folder = Folder::new();
        let key = folder.path("key.pem");
        let generate = ["keys", "generate", "--alg", alg, "--out", &key];
        let shown = String::from_utf8(output(&generate).stdout).unwrap();
        assert!(shown.contains("\"kty\"") && shown.contains(alg) && !shown.contains("\"d\""), "{shown}");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let pem = std::fs::read_to_string(&key).unwrap();
        let (code, text) = failure(&generate);
        assert!(code == 1 && text.contains("move it away first"), "{text}");
        assert_eq!(std::fs::read_to_string(&key).unwrap(), pem);

        let file =
            folder.write("tidegate.toml", &format!("[auth]\nsigning_keys = [{{ file = \"{key}\" }}]\n"));
        let minted = output(&["token", "mint", "--config", &file, "--sub", WALLET]).stdout;
        let minted = String::from_utf8(minted).unwrap();
        let (code, text, _) = fed(&["token", "inspect", "--config", &file], &minted);
        let kid = shown.lines().next().unwrap().trim_start_matches("kid").trim();
        assert!(code == 0 && text.contains(kid) && text.contains(alg), "{text}");
        let config = String::from_utf8(output(&["config", "show", "--config", &file]).stdout).unwrap();
        assert!(config.contains("key.pem") && !config.contains("PRIVATE"), "{config}");
        std::fs::write(&key, "no key").unwrap();
        let (code, text) = failure(&["serve", "--config", &file]);
        assert!(code == 3 && text.contains(&key) && text.contains("tidegate keys generate"), "{text}");
    }
}

#[test]
fn t_28_weak_equal_and_default_secrets_and_wildcards_stop_the_start_in_one_line() {
    let folder = Folder::new();
    let good = "0123456789abcdef0123456789abcdef";
    for (settings, problem) in [
        ("jwt_secret = \"short\"".to_owned(), "jwt secret is 5 bytes, at least 32 are required"),
        (format!("jwt_secret = \"{}\"", "a".repeat(64)), "jwt secret repeats the same few characters"),
        ("jwt_secret = \"changeme-changeme-changeme-changeme\"".into(), "begins like a well-known default"),
        (format!("jwt_secret = \"{good}\"\nprevious_jwt_secret = \"{good}\""), "are equal"),
        (format!("jwt_secret = \"{good}\"\n[store]\nrotation_key = \"{good}\""), "equal to a jwt secret"),
        (format!("jwt_secret = \"{good}\"\n[server]\nallowed_origins = [\"*\"]"), "there are no wildcards"),
        (format!("jwt_secret = \"{good}\"\n[audit]\npolicy = \"fail_closed\""), "there is no audit log"),
    ] {
        let file = folder.write("tidegate.toml", &format!("[auth]\n{settings}\n"));
        let (code, text) = failure(&["serve", "--config", &file]);
        assert!(code == 3 && text.starts_with("error[TG-CFG-0") && text.contains(problem), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("error")).count(), 1, "{text}");
        assert!(text.contains("  fix: ") && !text.contains("changeme-") && !text.contains(good), "{text}");
    }
}

#[test]
fn other_systems_names_are_taken_and_shown_with_where_each_setting_comes_from() {
    let folder = Folder::new();
    let file = folder.write("tidegate.toml", "[limits]\nmessages_per_minute = 40\n");
    let shown = tidegate(&["config", "show", "--origin", "--config", &file])
        .env("JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .env("CORS_ORIGIN", "https://a.example,https://b.example")
        .env("MAX_WEBSOCKET_CONNECTIONS", "9")
        .env("MAX_SYMBOLS_PER_WEBSOCKET", "7")
        .env("TIDEGATE_LIMITS__SUBSCRIPTIONS_PER_CONNECTION", "8")
        .output()
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    for (setting, origin) in [
        ("auth.jwt_secret = \"(hidden)\"", "environment JWT_SECRET"),
        (r#"server.allowed_origins = ["https://a.example", "https://b.example"]"#, "environment CORS_ORIGIN"),
        ("limits.connections_per_user = 9", "environment MAX_WEBSOCKET_CONNECTIONS"),
        // Our own name wins.
        (
            "limits.subscriptions_per_connection = 8",
            "environment TIDEGATE_LIMITS__SUBSCRIPTIONS_PER_CONNECTION",
        ),
        ("limits.messages_per_minute = 40", "file"),
        ("auth.chain_id = 1", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("{setting} is not in\n{text}"));
        assert!(line.ends_with(&format!("# {origin}")), "{line}");
    }
    assert!(!text.contains("0123456789abcdef"), "{text}");
}

fn fixture(name: &str) -> String {
    format!("{}/../strategy/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Standard output of `tidegate signals` over the synthetic days, as JSON lines.
fn signals(strategy: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let file = fixture("synth-seed1-7200.csv.gz");
    let mut arguments = vec!["signals", &file, "--strategy", strategy, "--symbol", "TESTUSDT"];
    arguments.extend(more);
    let output = output(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}

#[test]
fn the_signals_of_a_candle_file_are_printed_as_the_reference_has_them() {
    for (strategy, count) in [("scalp", 14_400), ("momentum", 7_200), ("range_trading", 7_200)] {
        let golden = std::fs::File::open(fixture(&format!("synth-seed1-7200.{strategy}.jsonl.gz"))).unwrap();
        let golden = std::io::read_to_string(flate2::read::GzDecoder::new(golden)).unwrap();
        let printed = signals(strategy, &["--tick", "0.1"]);
        assert_eq!((printed.len(), golden.lines().count()), (count, count));
        for (printed, golden) in printed.iter().zip(golden.lines()) {
            let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
            assert_eq!(printed["strategy"], strategy);
            for field in ["type", "symbol"] {
                assert_eq!(printed[field], golden[field]);
            }
            let (ours, theirs) = if strategy == "range_trading" {
                (&printed["payload"]["summary"]["entry"], &golden["payload"]["summary"]["entry"])
            } else {
                (&printed["data"], &golden["data"])
            };
            assert_eq!((&ours["side"], &ours["reasoning"]), (&theirs["side"], &theirs["reasoning"]));
        }
    }
}

#[test]
fn a_backtest_shows_the_hit_rate_beside_the_rate_that_it_must_beat() {
    let file = fixture("synth-seed1-7200.csv.gz");
    let backtest = ["backtest", &file, "--strategy", "scalp", "--fee", "0.02", "--symbols", "TESTUSDT"];
    let table = String::from_utf8(output(&backtest).stdout).unwrap();
    let lines: Vec<_> = table.lines().collect();
    let hit = lines.iter().position(|line| line.contains("hit rate")).expect("a hit rate");
    assert!(lines[hit + 1].contains("break-even at") && lines[hit + 1].contains("56.0 %"), "{table}");
    assert!(table.contains("not advice"), "{table}");
    let json = output(&[&backtest[..], &["--json"]].concat()).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json[0]["symbol"], &json[0]["candles"]), (&"TESTUSDT".into(), &7_200.into()));
    assert!(table.contains(&format!("{} expired", json[0]["expired"])), "{table} {json}");
    assert_eq!(failure(&["backtest", &file, "--strategy", "scalp", "--fee", "40"]).0, 2);
    assert_eq!(failure(&["backtest", &file, "--strategy", "hold"]).0, 2);
}

#[test]
fn what_would_be_sent_is_printed_with_its_place_in_the_sequence() {
    let sent = signals("range_trading", &["--sent"]);
    assert!(sent.len() > 100 && sent.len() < 2_000, "{}", sent.len());
    assert_eq!(sent[0]["prev"], 0);
    for pair in sent.windows(2) {
        assert_eq!(pair[1]["prev"], pair[0]["seq"]);
    }
}

/// A running `tidegate serve`.
struct Server {
    child: Child,
    address: SocketAddr,
}

fn serve(arguments: &[&str]) -> Server {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--log", "trace"];
    all.extend(arguments);
    let mut child = tidegate(&all)
        .env("TIDEGATE_AUTH__JWT_SECRET", "a secret of these tests, long enough for HS256")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let banner = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = banner
        .filter_map(|line| line.strip_prefix("open           http://").map(str::to_owned))
        .find_map(|rest| rest.trim_end_matches('/').parse().ok())
        .expect("the banner names the address");
    Server { child, address }
}

impl Server {
    fn request(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; 4_096];
        let length = socket.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Sends SIGTERM and gives the exit code and the log.
    fn terminate(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

#[test]
fn sigterm_ends_the_gateway_in_time_with_exit_code_0() {
    let server = serve(&["--demo"]);
    assert!(server.request("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
    // An idle connection must not hold it up.
    let idle = TcpStream::connect(server.address).unwrap();
    let started = Instant::now();
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(log.contains("stopping") && log.contains("stopped"), "{log}");
    drop(idle);
}

/// A text frame as a client sends it: masked, here with zeros.
fn text_frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short text");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// The JSON body of an answer.
fn body_of(answer: &str) -> serde_json::Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).expect("JSON")
}

fn post(server: &Server, path: &str, extra: &str, body: &str) -> String {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n{extra}\r\n",
        server.address
    );
    server.request(&format!("{head}{body}"))
}

/// Signs in and exchanges the refresh token once: everything secret that came out of it.
fn secrets_of_a_sign_in(server: &Server) -> Vec<String> {
    let wallet = crate::support::wallet::Wallet::new(40);
    let address = wallet.address().to_checksum(None);
    let asked = format!("{{\"wallet_address\":\"{address}\"}}");
    let challenge = body_of(&post(server, "/api/auth/challenge", "", &asked));
    let message = challenge["message"].as_str().unwrap();
    let signature = wallet.sign(message);
    let answer = serde_json::json!({"wallet_address": address, "message": message, "signature": signature});
    let first = body_of(&post(server, "/api/auth/verify", "", &answer.to_string()));
    let exchanged = serde_json::json!({"refresh_token": first["refresh_token"]}).to_string();
    let second = body_of(&post(server, "/api/auth/refresh", "", &exchanged));
    let mut secrets = vec![signature];
    for tokens in [&first, &second] {
        let of = |name: &str| tokens[name].as_str().unwrap().to_owned();
        secrets.push(of("token").rsplit('.').next().unwrap().to_owned());
        secrets.push(of("refresh_token").trim_start_matches("tgr_").to_owned());
    }
    secrets
}

/// T-83: a marker in every source, then every sink searched: answers, the log at its finest level, the audit log, the
/// store and its key, and what `/ws/stats`, `/metrics` and the administrator's search say.
#[test]
fn t_83_no_token_that_is_shown_in_any_way_reaches_a_log_a_file_or_an_answer() {
    let folder = Folder::new();
    let file = folder.write(
        "tidegate.toml",
        &format!(
            "[store]\nfile = \"{}\"\n[audit]\nfile = \"{}\"\n",
            folder.path("tidegate.db"),
            folder.path("audit.jsonl")
        ),
    );
    let server = serve(&["--demo", "--speed", "60", "--config", &file]);
    let good = token(WALLET);
    let marker = "marker-of-a-bad-token";
    let upgrade = |path: &str, extra: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n",
            server.address
        )
    };
    assert!(server.request(&upgrade(&format!("/ws?token={good}"), "")).starts_with("HTTP/1.1 101"));
    let cookie = format!("Origin: http://{}\r\nCookie: access_token={marker}\r\n", server.address);
    let bearer = format!("Authorization: Bearer {marker}\r\n");
    let mut answers = Vec::new();
    for (path, extra, status) in [
        (format!("/ws?token={marker}"), String::new(), 401),
        ("/ws".into(), bearer.clone(), 401),
        ("/ws".into(), format!("Authorization: Basic {marker}\r\n"), 401),
        (format!("/ws?token={marker}"), bearer.clone(), 400),
        ("/ws".into(), cookie.clone(), 401),
        ("/ws".into(), format!("Origin: http://evil.example\r\nCookie: access_token={marker}\r\n"), 403),
        ("/ws".into(), format!("Sec-WebSocket-Protocol: tidegate.v1, tidegate.bearer.{marker}\r\n"), 101),
        (format!("/ws?session={marker}"), bearer.clone(), 401),
        (format!("/ws/{WALLET}?token={marker}"), String::new(), 401),
        ("/ws/stats".into(), bearer.clone(), 401),
        ("/api/admin/audit".into(), bearer.clone(), 401),
        (format!("/api/perps/klines?symbol=BTCUSDT&token={marker}"), bearer.clone(), 200),
        (format!("/{marker}?token={marker}"), String::new(), 404),
    ] {
        let answer = server.request(&upgrade(&path, &extra));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {extra}: {answer}");
        answers.push(answer);
    }
    let refused = format!("{{\"wallet_address\":\"{WALLET}\",\"message\":\"m\",\"signature\":\"{marker}\"}}");
    for (path, body, status) in [
        ("/api/auth/verify", refused.as_str(), 401),
        ("/api/auth/refresh", &format!("{{\"refresh_token\":\"{marker}\"}}"), 401),
        ("/api/auth/refresh", &format!("{{\"refresh_token\":[\"{marker}\"]}}"), 400),
        ("/api/auth/logout", &format!("{{\"refresh_token\":\"tgr_{marker}\"}}"), 204),
        ("/api/admin/sessions/x/revoke", "{}", 401),
    ] {
        let answer = post(&server, path, &bearer, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        answers.push(answer);
    }
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(upgrade("/ws", "").as_bytes()).unwrap();
    socket.write_all(&text_frame(&format!("{{\"type\":\"authenticate\",\"token\":\"{marker}\"}}"))).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answers.push(String::from_utf8_lossy(&answer).into_owned());
    assert!(answers.last().unwrap().contains("auth_error"), "{answers:?}");

    let mut secrets = secrets_of_a_sign_in(&server);
    secrets.extend([
        marker.into(),
        good.rsplit('.').next().unwrap().into(),
        "a secret of these tests".into(),
    ]);
    let admin = crate::support::token_of(WALLET, &["admin"], tidegate_server::clock::wall_ms());
    for path in ["/ws/stats", "/api/admin/audit", "/metrics"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", server.address);
        answers.push(server.request(&format!("{head}Authorization: Bearer {admin}\r\n\r\n")));
    }
    let (_, log) = server.terminate();
    assert!(log.contains("authenticated") && log.contains("a sign-in was refused"), "{log}");
    let mut sinks = vec![("the log".to_owned(), log.clone()), ("answers".into(), answers.concat())];
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        sinks.push((path.display().to_string(), text));
    }
    assert!(sinks.len() >= 6, "answers, log, configuration, store, its key, audit log");
    assert!(sinks.iter().any(|(name, text)| name.ends_with("audit.jsonl") && text.contains("token_refused")));
    for (name, text) in &sinks {
        for secret in &secrets {
            let at = text.find(secret.as_str());
            assert!(
                at.is_none(),
                "{secret} is in {name}: {:?}",
                at.and_then(|at| text.get(at.saturating_sub(200)..at))
            );
        }
    }
    println!("figure: {} secrets, each looked for in {} places: 0 found", secrets.len(), sinks.len());
    assert!(!log.contains(WALLET), "whole addresses are in the audit log alone");
}

#[test]
fn thresholds_can_be_set_for_one_run_and_are_checked() {
    let count = |more: &[&str]| {
        let said = signals("scalp", more);
        said.iter().filter(|line| line["data"]["side"] != "NEUTRAL").count()
    };
    let (usual, strict) = (count(&[]), count(&["--set", "scalp.threshold_percent=0.2"]));
    assert!(strict > 0 && strict < usual / 2, "{strict} of {usual}");
    let file = fixture("synth-seed1-7200.csv.gz");
    let set = |setting: &str| {
        let arguments = ["signals", &file, "--strategy", "scalp", "--symbol", "TESTUSDT", "--set", setting];
        failure(&arguments)
    };
    let (code, text) = set("scalp.threshold=1");
    assert_eq!(code, 2);
    assert!(
        text.contains("there is no setting scalp.threshold") && text.contains("docs/strategies.md"),
        "{text}"
    );
    assert!(set("scalp.stop_percent=0.01").1.contains("must be between 0.020001 and 50"));
    assert_eq!(set("scalp.ema_period").0, 2);
}

#[test]
fn the_audit_log_is_shown_and_a_changed_line_is_found() {
    let folder = Folder::new();
    let log = folder.path("audit.jsonl");
    let audit = Audit::open(log.as_ref(), Policy::FailOpen).unwrap();
    audit.record(Event::new(EventKind::SignIn).user(WALLET));
    audit.record(Event::new(EventKind::RefreshReused).user(WALLET));
    drop(audit);
    let file = folder.write("tidegate.toml", &format!("[audit]\nfile = \"{log}\"\n"));

    let shown = output(&["audit", "--config", &file, "--user", WALLET, "--level", "alert"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.lines().count() == 1 && text.contains("refresh_reused") && text.contains(WALLET), "{text}");
    let good = output(&["audit", "verify", "--config", &file]);
    assert!(good.status.success() && good.stdout.starts_with(b"3 lines are good"), "{good:?}");

    let changed = std::fs::read_to_string(&log).unwrap().replacen("\"sign_in\"", "\"logout\"", 1);
    folder.write("audit.jsonl", &changed);
    let (code, text) = failure(&["audit", "verify", &log]);
    assert_eq!(code, 7);
    assert!(text.contains("line 2 breaks the chain") && text.contains("1 line before it is good"), "{text}");
    assert!(text.contains("audit.jsonl:2"), "{text}");
    let (code, text) = failure(&["audit"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("no audit log is configured"), "{text}");
}
