//! The dashboard's build: `examples/react/dist`, which the server embeds when it is compiled.

use std::path::PathBuf;

use anyhow::Result;

use crate::npm::{install, npm};
use crate::shell::{self, dashboard, is_stale, root};
use crate::wasm;

/// `cargo xtask dashboard`: the browser SDK first, since the dashboard is built from it.
pub(crate) fn run() -> Result<()> {
    wasm::build()?;
    build()
}

/// Builds the dashboard if that was not done since its sources or the package changed.
pub(crate) fn build() -> Result<()> {
    let folder = dashboard();
    install(&folder, &package())?;
    let sources = ["src", "public", "index.html", "package.json", "vite.config.ts"];
    let mut inputs: Vec<_> = sources.iter().map(|name| folder.join(name)).collect();
    inputs.push(folder.join("node_modules/.package-lock.json"));
    if !is_stale(&folder.join("dist/index.html"), &inputs) {
        println!("   the dashboard is up to date");
        return Ok(());
    }
    shell::run(&mut npm(&folder, &["run", "build"]))
}

/// What a build of the package writes: it is copied into the dashboard's `node_modules`.
fn package() -> Vec<PathBuf> {
    ["package.json", "dist", "wasm"].iter().map(|name| root().join("npm").join(name)).collect()
}
