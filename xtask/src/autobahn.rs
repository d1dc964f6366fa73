//! Autobahn's test suite for RFC 6455, against the gateway and against the native client.
//!
//! The suite is a program for Python 2.7, which few machines have: where none is found, or the suite cannot be
//! installed into a virtual environment below `target/`, the step says so.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::nginx;
use crate::shell::{self, Outcome, cargo, first_line};

const SUITE: &str = "autobahntestsuite==0.8.2";
/// The last versions that make environments for Python 2.7.
const VIRTUALENV: &str = "virtualenv<20.22";
/// The tests find the suite's program by this variable.
const PROGRAM: &str = "TIDEGATE_TEST_WSTEST";
/// The tests that need it: they are ignored otherwise.
const IGNORED: [&str; 4] = ["--", "--ignored", "--nocapture", "autobahn_t_41"];

const BEHIND_NGINX: [&str; 4] = ["--", "--ignored", "--nocapture", "behind_nginx::autobahn"];

/// Runs the cases that are not about compression against both sides.
pub(crate) fn run() -> Result<Outcome> {
    let program = match installed() {
        Ok(program) => program,
        Err(reason) => return Ok(Outcome::NotRun(reason)),
    };
    for tests in [["tidegate-server", "--test=gateway"], ["tidegate-client-native", "--lib"]] {
        let mut test = cargo(["test", "--package"]);
        shell::run(test.args(tests).args(IGNORED).env(PROGRAM, &program))?;
    }
    let nginx = match nginx::ensure() {
        Ok(nginx) => nginx,
        Err(error) => return Ok(Outcome::NotRun(format!("only behind nginx: there is none: {error:#}"))),
    };
    let mut test = cargo(["test", "--package", "tidegate-server", "--test=gateway"]);
    shell::run(test.args(BEHIND_NGINX).env(PROGRAM, &program).env(nginx::PROGRAM, nginx))?;
    Ok(Outcome::Done)
}

/// The suite's program, installed first if it is not there; or why that cannot be done.
fn installed() -> Result<PathBuf, String> {
    let tools = shell::target_folder().join("tools");
    let environment = tools.join("autobahn");
    let program = environment.join("bin/wstest");
    if first_line(Command::new(&program).arg("--help")).is_some() {
        return Ok(program);
    }
    let python = python().ok_or("there is no Python 2.7: install one, or name it in PYTHON27")?;
    println!("   installing {SUITE} into {}", environment.display());
    let maker = tools.join("virtualenv");
    let install = |command: &mut Command, what: &str| {
        shell::run(command).map_err(|error| format!("{what} could not be installed: {error:#}"))
    };
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", VIRTUALENV, "--upgrade", "--target"]).arg(&maker);
    install(&mut pip, VIRTUALENV)?;
    let mut make = Command::new(&python);
    install(make.args(["-m", "virtualenv"]).arg(&environment).env("PYTHONPATH", &maker), "an environment")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    install(pip.args(["install", "--quiet", SUITE]), SUITE)?;
    Ok(program)
}

/// A Python 2.7 that runs: the one that is named, one on the path, or one that pyenv keeps.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PYTHON27").map(PathBuf::from);
    let on_path = ["python2.7", "python2"].map(PathBuf::from);
    let versions = std::env::home_dir().map(|home| home.join(".pyenv/versions"));
    let kept = versions.and_then(|versions| std::fs::read_dir(versions).ok()).into_iter().flatten();
    let kept = kept.filter_map(Result::ok).map(|version| version.path().join("bin/python2.7"));
    let is_it = |python: &PathBuf| {
        let mut command = Command::new(python);
        let version = first_line(command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
        version.as_deref() == Some("2.7")
    };
    named.into_iter().chain(on_path).chain(kept).find(is_it)
}
