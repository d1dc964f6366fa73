//! `tidegate token`: makes a token for development, and says what is wrong with one.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::Address;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::usage;
use crate::auth::token::{TokenProblem, Tokens, Unverified};
use crate::auth::wallet::parse_address;
use crate::clock::{iso, wall_ms};
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// No token is nearly as long.
const INPUT_MAX_BYTES: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print a token that a gateway with this configuration accepts
    Mint {
        /// The wallet address that the token is for
        #[arg(long, value_name = "0x…", value_parser = wallet)]
        sub: Address,

        /// How long it lasts, for example 90s or 15m; auth.access_token_minutes when left out
        #[arg(long, value_name = "TIME", value_parser = super::record::duration)]
        ttl: Option<Duration>,

        /// A role of the token, as often as needed; user when left out
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Show what a token says and whether it is accepted; read from standard input, where no history keeps it
    Inspect {
        /// A file that holds the token, instead of standard input
        file: Option<PathBuf>,

        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Verb {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let tokens = Tokens::open(&config.auth)?;
        match self {
            Self::Mint { sub, ttl, roles } => mint(config, &tokens, sub, ttl, roles),
            Self::Inspect { file, json } => inspect(&tokens, &read(file.as_deref())?, json),
        }
    }
}

fn mint(
    config: &Config,
    tokens: &Tokens,
    wallet: Address,
    ttl: Option<Duration>,
    mut roles: Vec<String>,
) -> Result<(), Failure> {
    let longest = u64::from(config.auth.access_token_minutes) * 60;
    let seconds = ttl.map_or(longest, |ttl| ttl.as_secs());
    if seconds > longest {
        return Err(usage(
            "TG-CLI-014",
            format!("a token of {seconds} s would be refused: tokens last {longest} s at most"),
            format!("use --ttl {}m or less", config.auth.access_token_minutes),
        ));
    }
    if roles.is_empty() {
        roles.push("user".into());
    }
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let [sid, jti] = [(); 2].map(|()| Uuid::now_v7().to_string());
    let now_ms = wall_ms();
    let minted = tokens.mint_lasting(seconds, &wallet.to_checksum(None), &roles, &sid, &jti, now_ms);
    tokens.examine(&minted.token, now_ms).map_err(|problem| {
        usage(
            "TG-CLI-014",
            format!("the token would be refused: {problem}"),
            "give it fewer or shorter roles",
        )
    })?;
    println!("{}", minted.token);
    eprintln!("valid until {}; nobody can take it back before", iso(minted.expires_at_ms));
    Ok(())
}

fn inspect(tokens: &Tokens, token: &str, as_json: bool) -> Result<(), Failure> {
    let said = Tokens::read(token).map_err(refused)?;
    fetch_keys(tokens, token)?;
    let now_ms = wall_ms();
    let problem = tokens.examine(token, now_ms).err();
    let text = if as_json { as_object(&said, problem, now_ms) } else { as_text(&said, problem, now_ms) };
    println!("{text}");
    problem.map_or(Ok(()), |problem| Err(refused(problem)))
}

fn fetch_keys(tokens: &Tokens, token: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::environment("TG-SYS-001", format!("no threads: {error}"), "raise the process limit")
    })?;
    runtime.block_on(tokens.fetch_missing_key(token));
    Ok(())
}

fn refused(problem: TokenProblem) -> Failure {
    let fix = match problem {
        TokenProblem::Expired => "ask for a new one: tidegate token mint --sub 0x…, or sign in again",
        TokenProblem::Issuer | TokenProblem::Audience => {
            "use a token of this gateway, or name its issuer in auth.trusted_issuers"
        }
        TokenProblem::Key | TokenProblem::Signature | TokenProblem::Algorithm => {
            "check that this configuration has the key that the token was signed with"
        }
        _ => "ask whoever made it for an access token (docs/protocol.md)",
    };
    Failure {
        exit: Exit::Authentication,
        code: "TG-CLI-015",
        what: format!("the token is not accepted: {problem}"),
        place: None,
        fix: fix.into(),
    }
}

fn as_object(said: &Unverified, problem: Option<TokenProblem>, now_ms: i64) -> String {
    let expires_at_ms = time_ms(&said.claims, "exp");
    let object = json!({
        "header": said.header,
        "claims": said.claims,
        "expires_at": expires_at_ms.map(iso),
        "expires_in_ms": expires_at_ms.map(|expires_at_ms| expires_at_ms - now_ms),
        "accepted": problem.is_none(),
        "problem": problem.map(|problem| problem.to_string()),
    });
    shown(&serde_json::to_string_pretty(&object).expect("values are JSON"))
}

fn as_text(said: &Unverified, problem: Option<TokenProblem>, now_ms: i64) -> String {
    let mut text = String::new();
    for (title, fields) in [("header", &said.header), ("claims", &said.claims)] {
        let _ = writeln!(text, "{title}");
        for (name, value) in fields {
            let time = time_ms(fields, name).filter(|_| ["iat", "nbf", "exp"].contains(&name.as_str()));
            let time = time.map(|time_ms| format!("   {}", iso(time_ms))).unwrap_or_default();
            let _ = writeln!(text, "  {name:<6} {value}{time}");
        }
    }
    if let Some(expires_at_ms) = time_ms(&said.claims, "exp") {
        let left = (expires_at_ms - now_ms).div_euclid(1_000);
        let (what, seconds) = if left < 0 { ("expired", left.abs()) } else { ("time left", left) };
        let _ = writeln!(text, "{what} {} min {} s", seconds / 60, seconds % 60);
    }
    let _ = match problem {
        None => write!(text, "accepted by this configuration"),
        Some(problem) => write!(text, "not accepted: {problem}"),
    };
    shown(&text)
}

/// A time in seconds, if it is one that can be written.
fn time_ms(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    let seconds = fields.get(name)?.as_i64()?;
    seconds.checked_mul(1_000).filter(|time_ms| jiff::Timestamp::from_millisecond(*time_ms).is_ok())
}

/// Whoever made the token wrote these texts: they must not steer the terminal.
fn shown(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control() && letter != '\n'
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect()
}

fn read(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let result = match file {
        Some(path) if path != Path::new("-") => {
            std::fs::File::open(path).and_then(|file| file.take(INPUT_MAX_BYTES).read_to_string(&mut text))
        }
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("paste the token, then press Enter and Ctrl-D");
            }
            io::stdin().lock().take(INPUT_MAX_BYTES).read_to_string(&mut text)
        }
    };
    result.map_err(|error| {
        Failure::environment("TG-CLI-016", format!("cannot read the token: {error}"), "check the file")
            .at(file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string()))
    })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn wallet(text: &str) -> Result<Address, String> {
    parse_address(text).map_err(|_| "write `0x` and 40 hexadecimal digits".to_owned())
}
