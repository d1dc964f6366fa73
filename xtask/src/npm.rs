//! Node.js and npm: whether they are new enough, and whether what a lockfile asks for is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{first_line, is_stale, run};

/// The oldest Node.js that the build tools run on: Vite asks for it.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Installs what the lockfile of `folder` asks for, unless that has been done.
///
/// `also` are files that are copied into `node_modules` and may change without the lockfile.
pub(crate) fn install(folder: &Path, also: &[PathBuf]) -> Result<()> {
    // Written by npm at the end of an installation.
    let installed = folder.join("node_modules/.package-lock.json");
    let inputs = [&[folder.join("package-lock.json")], also].concat();
    if is_stale(&installed, &inputs) {
        println!("   installing npm packages of {}", folder.file_name().unwrap_or_default().display());
        run(npm(folder, &["ci", "--no-audit", "--no-fund"]).arg("--loglevel=error"))?;
    }
    Ok(())
}

/// `npm <arguments>` in `folder`.
pub(crate) fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(arguments).current_dir(folder);
    command
}

/// Fails with what to do when there is no Node.js, or an old one.
pub(crate) fn check_node() -> Result<()> {
    let (major, minor) = OLDEST_NODE;
    let Some(version) = first_line(Command::new("node").arg("--version")) else {
        bail!("Node.js is not installed: get version {major}.{minor} or newer from https://nodejs.org");
    };
    if !is_new_enough(&version) {
        bail!("Node.js {version} is too old: get version {major}.{minor} or newer from https://nodejs.org");
    }
    Ok(())
}

/// `version` as Node.js prints it: `v20.19.2`.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_NODE
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn node_is_new_enough_from_20_19_on() {
        assert!(["v20.19.0", "v20.20.1", "v22.0.0", "v24.1.3"].into_iter().all(is_new_enough));
        assert!(!["v20.18.9", "v18.20.0", "nonsense"].into_iter().any(is_new_enough));
    }
}
