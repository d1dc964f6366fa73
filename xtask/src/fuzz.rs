//! Every fuzz target for a minute, from its committed corpus.
//!
//! cargo-fuzz asks for a nightly toolchain only because of its sanitizers. The code under test has no `unsafe`, so
//! the pinned toolchain does without them: panics, endless loops and memory that grows are found all the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{self, Outcome, cargo, first_line, root};

/// How long each target runs, in seconds.
const SECONDS: u32 = 60;
/// Installed when there is none; a version that is known to work with the pinned toolchain.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";
/// Longest input, in bytes. Longer ones are refused by their length alone: tokens end at 4 KiB.
const INPUT_MAX_BYTES: u32 = 8 * 1_024;
/// An input that takes longer than this is a failure, in seconds.
const INPUT_MAX_SECONDS: u32 = 10;
const MEMORY_MAX_MIB: u32 = 1_024;

/// Runs every target of `fuzz/Cargo.toml`; the first input that breaks a promise is a failure.
pub(crate) fn run() -> Result<Outcome> {
    if first_line(Command::new("c++").arg("--version")).is_none() {
        return Ok(Outcome::NotRun("libFuzzer needs a C++ compiler named `c++`: install one".into()));
    }
    let program = installed()?;
    let targets = targets(&program)?;
    if targets.is_empty() {
        bail!("`cargo fuzz list` names no target: see fuzz/Cargo.toml");
    }
    for target in &targets {
        fuzz(&program, target)?;
    }
    Ok(Outcome::Done)
}

/// The cargo-fuzz of the machine, or one below `target/`, installed first if there is none.
fn installed() -> Result<PathBuf> {
    let tools = shell::target_folder().join("tools");
    let own = tools.join("bin/cargo-fuzz");
    let on_path = PathBuf::from("cargo-fuzz");
    for program in [&on_path, &own] {
        if first_line(Command::new(program).args(["fuzz", "--version"])).is_some() {
            return Ok(program.clone());
        }
    }
    println!("   no cargo-fuzz found, installing one into {}", tools.display());
    shell::run(cargo(["install", "--locked", CARGO_FUZZ, "--root"]).arg(&tools))?;
    Ok(own)
}

fn targets(program: &Path) -> Result<Vec<String>> {
    let output = fuzzer(program, "list").output().context("`cargo fuzz list` could not be started")?;
    if !output.status.success() {
        bail!("`cargo fuzz list` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// What is found goes into a folder of its own: the committed corpus changes only when somebody means it to.
fn fuzz(program: &Path, target: &str) -> Result<()> {
    let found = shell::target_folder().join("fuzz-corpus").join(target);
    std::fs::create_dir_all(&found).with_context(|| format!("{} could not be made", found.display()))?;
    let mut command = fuzzer(program, "run");
    command.args(["--sanitizer", "none", target]).arg(&found).arg(root().join("fuzz/corpus").join(target));
    command.arg("--").args([
        format!("-max_total_time={SECONDS}"),
        format!("-max_len={INPUT_MAX_BYTES}"),
        format!("-timeout={INPUT_MAX_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MAX_MIB}"),
        "-print_final_stats=1".into(),
    ]);
    let dictionary = root().join("fuzz/dictionaries").join(target);
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    shell::run(&mut command)
        .with_context(|| format!("the input that broke `{target}` is in fuzz/artifacts/{target}"))
}

/// The instrumentation is a matter of compiler flags that the pinned toolchain has, but only shows to those who say
/// that they know.
fn fuzzer(program: &Path, verb: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["fuzz", verb]).current_dir(root()).env("RUSTC_BOOTSTRAP", "1");
    command
}
