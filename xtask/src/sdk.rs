//! What `cargo xtask test` asks of the browser SDK beyond its tests: how fast it delivers, and with `--long` more
//! bundlers, storms, a second build.

use anyhow::Result;

use crate::npm::{install, npm};
use crate::shell::{self, Outcome, cargo, debug_folder, root};
use crate::{chromium, wasm};

/// Applications that take long to build, with the package as it is published.
pub(crate) fn bundlers() -> Result<Outcome> {
    wasm::build()?;
    let mut tests = npm(&root().join("npm"), &["test", "--", "packed-long"]);
    tests.env("TIDEGATE_LONG", "1").env("CHROMIUM", chromium::ensure()?).env("TIDEGATE_BIN", gateway()?);
    shell::run(&mut tests)?;
    Ok(Outcome::Done)
}

/// The module from another folder is the same.
pub(crate) fn reproducible() -> Result<Outcome> {
    if !root().join(".git").exists() {
        return Ok(Outcome::NotRun("not a git checkout: there is no list of sources to copy".into()));
    }
    wasm::verify()?;
    Ok(Outcome::Done)
}

/// Delivery of a signal beside JSON.parse, a switch and a callback, in Node.js and Chromium.
pub(crate) fn dispatch() -> Result<()> {
    let mut measure = bench(&["run", "dispatch", "--", "--check"])?;
    shell::run(measure.env("CHROMIUM", chromium::ensure()?))
}

/// Dials a minute against servers in trouble, beside other clients.
pub(crate) fn storms() -> Result<Outcome> {
    shell::run(&mut bench(&["run", "storms", "--", "--check"])?)?;
    Ok(Outcome::Done)
}

/// Tabs that crash, freeze, hang and hide, of which the ordinary run has 30 half-hours.
pub(crate) fn tabs() -> Result<Outcome> {
    wasm::build()?;
    let mut tests = npm(&root().join("npm"), &["test", "--", "tabs.test"]);
    shell::run(tests.env("TIDEGATE_TAB_RUNS", "1000"))?;
    Ok(Outcome::Done)
}

/// A script of `bench/`, which uses the package as it was built.
fn bench(arguments: &[&str]) -> Result<std::process::Command> {
    wasm::build()?;
    let folder = root().join("bench");
    install(&folder, &[])?;
    Ok(npm(&folder, arguments))
}

/// The binary that the Rust tests have built, or one built now.
fn gateway() -> Result<std::path::PathBuf> {
    let binary = debug_folder().join(if cfg!(windows) { "tidegate.exe" } else { "tidegate" });
    if !binary.exists() {
        shell::run(&mut cargo(["build", "--package", "tidegate-server"]))?;
    }
    Ok(binary)
}
