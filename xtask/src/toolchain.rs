//! What has to be there before anything is built: Node.js, and the Rust target of the browser SDK.

use std::process::Command;

use anyhow::{Result, bail};

use crate::npm::check_node;
use crate::shell::{first_line, root, run};

/// What browsers run.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Checks Node.js, and adds the Rust target if it is missing. rustup does so by itself from `rust-toolchain.toml`, except where the
/// toolchain was there before the target was listed.
pub(crate) fn ensure() -> Result<()> {
    check_node()?;
    if has_target() {
        return Ok(());
    }
    println!("   adding the Rust target {WASM_TARGET}");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", WASM_TARGET]).current_dir(root());
    run(&mut rustup)?;
    if !has_target() {
        bail!("the Rust target {WASM_TARGET} is missing: install it with your toolchain's own means");
    }
    Ok(())
}

/// Without rustup too: the standard library of the target lies in the toolchain's folder.
fn has_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]).current_dir(root());
    first_line(&mut rustc).is_some_and(|folder| std::path::Path::new(&folder).is_dir())
}
