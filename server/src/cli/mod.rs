//! The command line: verbs, flags and exit codes.

mod audit;
mod backtest;
mod config;
mod keys;
mod record;
mod serve;
mod sign_in;
mod signals;
mod tail;
mod token;
mod tuning;
mod user;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::failure::{Exit, Failure};

/// Read when no other file is named.
const DEFAULT_FILE: &str = "tidegate.toml";

/// An authenticated real-time gateway for trading signals.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Configuration file; `tidegate.toml` here is read when it exists
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway, with the dashboard built in
    Serve(serve::Serve),
    /// Work out what a strategy's signals would have come to over candle files
    Backtest(backtest::Backtest),
    /// Print every signal of a candle file, one JSON line each
    Signals(signals::Signals),
    /// Follow a feed of a gateway, with reconnection and resume
    Tail(tail::Tail),
    /// Write down what an exchange says, to be played again with `serve --market replay:FILE`
    Record(record::Record),
    /// Show who signed in, connected or was turned away; check that nobody changed the record
    Audit(audit::Audit),
    /// Write, check or show the configuration
    #[command(subcommand)]
    Config(config::Verb),
    /// Make a token for development, or say what is wrong with one
    #[command(subcommand)]
    Token(token::Verb),
    /// Make keys that sign access tokens
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Give a user roles, keep one out, or end its sessions
    #[command(subcommand)]
    User(user::Verb),
}

/// Runs the command line and says how it went. Bad usage ends in the parser, with exit code 2.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

impl Cli {
    fn run(self) -> Result<(), Failure> {
        let file = self.config.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
        match self.verb {
            Verb::Serve(serve) => serve.run(file),
            Verb::Backtest(backtest) => backtest.run(&load(file.as_deref())?),
            Verb::Signals(signals) => signals.run(&load(file.as_deref())?),
            Verb::Tail(tail) => tail.run(),
            Verb::Record(record) => record.run(&load(file.as_deref())?),
            Verb::Audit(audit) => audit.run(|| Ok(load(file.as_deref())?.audit.file)),
            Verb::Config(verb) => verb.run(file),
            Verb::Token(verb) => verb.run(&config::checked(file.as_deref())?),
            Verb::Keys(verb) => verb.run(),
            Verb::User(verb) => verb.run(&config::checked(file.as_deref())?),
        }
    }
}

/// The configuration before flags.
fn load(file: Option<&Path>) -> Result<Config, Failure> {
    Config::load(file, environment())
}

/// The environment, as far as it is text: other programs may have variables that are not, and ours are.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text)
}

/// Writes a file that only its owner can read, and never over another.
fn create_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

/// A flag that makes no sense together with others.
fn usage(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure { exit: Exit::Usage, code, what: what.into(), place: None, fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_readme_is_one() {
        let readme = include_str!("../../../README.md");
        let commands: Vec<_> = readme.lines().filter(|line| line.starts_with("tidegate ")).collect();
        assert!(commands.len() >= 6, "{commands:?}");
        for command in commands {
            let words = command.split('#').next().unwrap_or_default().split_whitespace();
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{command}: {error}");
            }
        }
    }
}
