//! An nginx for the tests of `deploy/nginx.conf`: the one that is there, or one from the system's package manager.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::packages::{self, Package, find_in};
use crate::shell::{self, Outcome, cargo};

/// The tests find the program by this variable.
pub(crate) const PROGRAM: &str = "TIDEGATE_TEST_NGINX";
/// Where it is, beyond the path of a user who is not root.
const FOLDERS: &str = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin";
/// The tests that need it: they are ignored otherwise.
const IGNORED: [&str; 4] = ["--", "--ignored", "--nocapture", "behind_nginx::nginx_"];

const PACKAGE: Package = Package {
    names: [
        ("apt-get", &["nginx-light"]),
        ("dnf", &["nginx"]),
        ("pacman", &["nginx"]),
        ("apk", &["nginx"]),
        ("brew", &["nginx"]),
    ],
    by_hand: "install nginx by hand",
};

/// Runs the gateway behind an nginx with the site of `deploy/`.
pub(crate) fn run() -> Result<Outcome> {
    let program = match ensure() {
        Ok(program) => program,
        Err(error) => return Ok(Outcome::NotRun(format!("there is no nginx: {error:#}"))),
    };
    let tests = ["test", "--package", "tidegate-server", "--test", "gateway"];
    shell::run(cargo(tests).args(IGNORED).env(PROGRAM, program))?;
    Ok(Outcome::Done)
}

/// The path of an nginx, installed first if there is none.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    println!("   no nginx found, installing one with the system's package manager");
    packages::install(&PACKAGE)?;
    find().ok_or_else(|| anyhow::anyhow!("the package manager finished, but there is still no nginx"))
}

fn find() -> Option<PathBuf> {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(FOLDERS);
    find_in(&path, "nginx")
}
