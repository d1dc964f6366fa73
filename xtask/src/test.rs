//! `cargo xtask test`: everything that has to hold, in the order in which it fails fastest.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::npm::npm;
use crate::shell::{self, Outcome, Steps, cargo, debug_folder, root};
use crate::toolchain::WASM_TARGET;
use crate::{chromium, dashboard, long, pictures, sdk, toolchain, wasm};

/// The only crate that is not compiled for this machine.
pub(crate) const NOT_NATIVE: [&str; 3] = ["--workspace", "--exclude", "tidegate-client-wasm"];
/// What is tested has everything in it; without the feature only `--long` looks at it.
pub(crate) const EVERYTHING: [&str; 2] = ["--features", "tidegate-server/postgres"];
pub(crate) const NO_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// Options of `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Leave out what needs a browser, and the documentation build.
    #[arg(long, conflicts_with = "long")]
    fast: bool,
    /// Afterwards also what takes many minutes or needs tools of its own, such as fuzzing.
    #[arg(long)]
    long: bool,
    /// Only what --long adds, or of that the steps whose headlines have this text in them.
    #[arg(
        long,
        value_name = "TEXT",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["fast", "long"]
    )]
    only_long: Option<String>,
}

/// Checks, builds and tests everything.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::begin();
    match &arguments.only_long {
        Some(text) => long::run(&mut steps, text)?,
        None => {
            ordinary(&mut steps, arguments.fast)?;
            if arguments.long {
                long::run(&mut steps, "")?;
            }
        }
    }
    steps.summary();
    Ok(())
}

/// Every step but the long ones.
fn ordinary(steps: &mut Steps, fast: bool) -> Result<()> {
    steps.step("toolchain", toolchain::ensure)?;
    steps.step("format", || shell::run(&mut cargo(["fmt", "--all", "--check"])))?;
    steps.step("browser SDK: build, size budget", wasm::build)?;
    steps.step("dashboard: build, types, lint", check_dashboard)?;
    steps.step("clippy", clippy)?;
    steps.step("Rust tests, generated types among them", rust_tests)?;
    if !fast {
        steps.step("documentation", documentation)?;
    }
    steps.step("browser SDK and dashboard tests", || node_tests(fast))?;
    if !fast {
        steps.step("browser SDK: delivery beside plain JavaScript", sdk::dispatch)?;
    }
    steps.step_if_possible("dependencies: licences, sources", dependencies)?;
    steps.step_if_possible("generated files are committed", generated_files)
}

fn check_dashboard() -> Result<()> {
    dashboard::build()?;
    shell::run(&mut npm(&shell::dashboard(), &["run", "check"]))?;
    shell::run(&mut npm(&shell::dashboard(), &["run", "lint"]))
}

fn clippy() -> Result<()> {
    shell::run(cargo(["clippy", "--all-targets"]).args(NOT_NATIVE).args(EVERYTHING).args(NO_WARNINGS))?;
    let wasm = ["clippy", "--package", "tidegate-client-wasm", "--target", WASM_TARGET];
    shell::run(cargo(wasm).args(NO_WARNINGS))
}

/// The server's binary is a part of its own tests, and what the tests in Node.js and in the browser start too: to
/// build it alone would compile everything once more, without the features that only tests use.
fn rust_tests() -> Result<()> {
    // Many tests mostly wait: for a deadline, a socket, the next signal.
    shell::run(cargo(["test"]).args(NOT_NATIVE).args(EVERYTHING).env("RUST_TEST_THREADS", "8"))
}

fn documentation() -> Result<()> {
    shell::run(
        cargo(["doc", "--no-deps"]).args(NOT_NATIVE).args(EVERYTHING).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// The package against the real server in Node.js and Chromium, then the dashboard in Chromium.
fn node_tests(fast: bool) -> Result<()> {
    let server = debug_folder().join("tidegate");
    let chromium = if fast { None } else { Some(chromium::ensure()?) };
    let package = root().join("npm");
    shell::run(&mut npm(&package, &["run", "check"]))?;
    shell::run(&mut vitest(&package, &server, chromium.as_deref()))?;
    shell::run(&mut vitest(&shell::dashboard(), &server, chromium.as_deref()))
}

/// Tests that need a browser are skipped where none is named.
fn vitest(folder: &Path, server: &Path, chromium: Option<&Path>) -> Command {
    let mut command = npm(folder, &["test"]);
    command.env("TIDEGATE_BIN", server);
    match chromium {
        Some(path) => command.env("CHROMIUM", path),
        None => command.env_remove("CHROMIUM"),
    };
    command
}

/// Where the tool is installed. Advisories are left to a scheduled run: they change without the project.
fn dependencies() -> Result<Outcome> {
    if shell::first_line(cargo(["deny", "--version"]).stderr(std::process::Stdio::null())).is_none() {
        return Ok(Outcome::NotRun("cargo-deny is not installed: cargo install --locked cargo-deny".into()));
    }
    shell::run(&mut cargo(["deny", "check", "bans", "licenses", "sources"]))?;
    Ok(Outcome::Done)
}

/// Only inside of a git checkout: an unpacked archive has nothing to compare with.
fn generated_files() -> Result<Outcome> {
    if !root().join(".git").exists() {
        return Ok(Outcome::NotRun("not a git checkout: there is nothing to compare with".into()));
    }
    pictures::draw()?;
    let mut git = Command::new("git");
    git.args(["diff", "--exit-code", "--stat", "--", "npm/src/generated", "docs/images", "Cargo.lock"])
        .current_dir(root());
    shell::run(&mut git)?;
    Ok(Outcome::Done)
}
