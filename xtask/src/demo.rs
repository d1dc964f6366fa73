//! `cargo xtask demo`: from a fresh clone to a running gateway with its dashboard.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{self, Steps, cargo, debug_folder};
use crate::{dashboard, toolchain, wasm};

/// Somebody waits for the first page: dependencies without optimisation compile in less than half the time, and the
/// simulator with a few visitors does not need it.
const BUILD: [&str; 5] =
    ["build", "--package", "tidegate-server", "--config", "profile.dev.package.\"*\".opt-level=0"];

/// Options of `cargo xtask demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Passed on to the server, for example `--speed 10` or `--listen 127.0.0.1:9000`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SERVER ARGUMENTS")]
    server: Vec<OsString>,
}

/// Builds what is missing, then becomes the server.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::begin();
    steps.step("toolchain", toolchain::ensure)?;
    steps.step("browser SDK", wasm::build)?;
    steps.step("dashboard", dashboard::build)?;
    steps.step("server", || shell::run(&mut cargo(BUILD)))?;
    println!("\n== tidegate serve --demo\n");
    let mut server = Command::new(debug_folder().join("tidegate"));
    server.args(["serve", "--demo"]).args(&arguments.server);
    become_the(server)
}

/// Signals, exit code and terminal then belong to the server without anybody passing them on.
#[cfg(unix)]
fn become_the(mut program: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(program.exec()).context("the server could not be started")
}

#[cfg(not(unix))]
fn become_the(mut program: Command) -> Result<()> {
    shell::run(&mut program).context("the server ended")
}
