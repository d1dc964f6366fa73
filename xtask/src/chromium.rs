//! A Chromium for the browser tests: the one that is there, or one from the system's package manager.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::packages::{self, Package, find_in};

/// What the program is called, by preference.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where macOS keeps it.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// What package managers call it.
const PACKAGE: Package = Package {
    names: [
        ("apt-get", &["chromium"]),
        ("dnf", &["chromium"]),
        ("pacman", &["chromium"]),
        ("apk", &["chromium"]),
        ("brew", &["--cask", "chromium"]),
    ],
    by_hand: "install Chromium or Chrome by hand, or set CHROMIUM to the path of one",
};

/// The path of a Chromium, installed first if there is none.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(found) = named_by_environment()? {
        return Ok(found);
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    println!("   no Chromium found, installing one with the system's package manager");
    packages::install(&PACKAGE)?;
    match find() {
        Some(found) => Ok(found),
        None => bail!("the package manager finished, but there is still no Chromium: {}", PACKAGE.by_hand),
    }
}

/// `CHROMIUM` wins, and is an error when it leads nowhere: whoever set it wants that one.
fn named_by_environment() -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os("CHROMIUM").map(PathBuf::from) else { return Ok(None) };
    if !path.is_file() {
        bail!("CHROMIUM is set to {}, which is not a file", path.display());
    }
    Ok(Some(path))
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = NAMES.iter().find_map(|name| find_in(&path, name));
    installed.or_else(|| APPLICATIONS.iter().map(PathBuf::from).find(|path| path.is_file()))
}
