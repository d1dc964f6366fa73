//! What `cargo xtask test --long` adds: slow, or with tools of their own.
//!
//! A step that cannot run here says why, and the summary at the end repeats it; it fails nothing.

use anyhow::{Result, bail};

use crate::shell::{self, Outcome, Steps, cargo};
use crate::test::{EVERYTHING, NO_WARNINGS, NOT_NATIVE};
use crate::{autobahn, fuzz, nginx, sdk};

/// One step: its headline and what it does.
type Step = (&'static str, fn() -> Result<Outcome>);

/// The steps, in the order in which they run. A new one is a new line here.
const STEPS: &[Step] = &[
    ("clippy without optional features, and without any", without_features),
    ("browser SDK: webpack 5, Vite 6 and Next 16", sdk::bundlers),
    ("browser SDK: the same bytes from another folder", sdk::reproducible),
    ("browser SDK: dials a minute against faults", sdk::storms),
    ("browser SDK: 1,000 random half-hours of tabs", sdk::tabs),
    ("client core: 80,000 random half-hours", half_hours),
    ("tests that take long: cuts, drains, storms", long_tests),
    ("behind nginx, with the site of deploy/", nginx::run),
    ("RFC 6455: Autobahn's cases, server, behind nginx, and client", autobahn::run),
    ("fuzzing: a minute for every target", fuzz::run),
    ("what a sign-in costs", sign_in_costs),
];

/// Runs those whose headlines have `text` in them.
pub(crate) fn run(steps: &mut Steps, text: &str) -> Result<()> {
    let mut wanted = STEPS.iter().filter(|(name, _)| name.contains(text)).peekable();
    if wanted.peek().is_none() {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("no long step has `{text}` in its headline; there are:\n  {}", names.join("\n  "));
    }
    wanted.try_for_each(|(name, work)| steps.step_if_possible(name, work))
}

/// The simulation of the client core, of which the ordinary run has 2,000 half-hours.
fn half_hours() -> Result<Outcome> {
    let tests =
        ["test", "--release", "--package", "tidegate-client-core", "--test", "main", "--", "half_hours"];
    shell::run(cargo(tests).arg("--nocapture").env("TIDEGATE_SIMULATIONS", "80000"))?;
    Ok(Outcome::Done)
}

/// The server's tests whose names begin with `long`: the ordinary run has smaller versions of them. One after the
/// other, as each is a load of its own; what they print are the figures of SECURITY.md.
fn long_tests() -> Result<Outcome> {
    let tests = ["test", "--package", "tidegate-server", "--lib", "--test", "gateway"];
    shell::run(cargo(tests).args(EVERYTHING).args([
        "--",
        "long_",
        "--ignored",
        "--nocapture",
        "--test-threads",
        "1",
    ]))?;
    Ok(Outcome::Done)
}

/// What is built by default, and the gateway without TLS of its own: the ordinary steps build everything.
fn without_features() -> Result<Outcome> {
    shell::run(cargo(["clippy", "--all-targets"]).args(NOT_NATIVE).args(NO_WARNINGS))?;
    let bare = ["clippy", "--all-targets", "--package", "tidegate-server", "--no-default-features"];
    shell::run(cargo(bare).args(NO_WARNINGS))?;
    Ok(Outcome::Done)
}

/// Figures to look at; nothing is compared with them.
fn sign_in_costs() -> Result<Outcome> {
    shell::run(&mut cargo(["bench", "--package", "tidegate-server", "--bench", "sign_in"]))?;
    Ok(Outcome::Done)
}
