//! What a page loads, measured, and held against the budget.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::say;

/// Budgets in bytes: what the SDK takes today and a little more, so that nothing grows in passing. To be lowered
/// with every saving until they are [`TARGETS`].
const WASM_BROTLI_MAX: u64 = 16 * 1024;
const WASM_RAW_MAX: u64 = 48 * 1024;
const SDK_GZIP_MAX: u64 = 32 * 1024;
/// Where the budgets are to go.
const TARGETS: &str = "targets: wasm 48 KB raw, 16 KB brotli; whole SDK 32 KB gzip";

/// Prints the sizes, and fails when one is over its budget.
pub(super) fn report(npm: &Path) -> anyhow::Result<()> {
    let output = Command::new("node").arg("scripts/size.mjs").current_dir(npm).output()?;
    let sizes: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let size = |what: &str, form: &str| sizes[what][form].as_u64().context("scripts/size.mjs left one out");
    for (what, name) in [("wasm", "wasm module"), ("sdk", "whole SDK")] {
        let [raw, gzip, brotli] = ["raw", "gzip", "brotli"].map(|form| size(what, form).map(kilobytes));
        say("size", &format!("{name}: {} raw, {} gzip, {} brotli", raw?, gzip?, brotli?));
    }
    say("size", TARGETS);
    let gates = [
        ("wasm module, raw", size("wasm", "raw")?, WASM_RAW_MAX),
        ("wasm module, brotli", size("wasm", "brotli")?, WASM_BROTLI_MAX),
        ("whole SDK, gzip", size("sdk", "gzip")?, SDK_GZIP_MAX),
    ];
    let over: Vec<String> = gates
        .iter()
        .filter(|(_, bytes, max)| bytes > max)
        .map(|(name, bytes, max)| format!("{name}: {} of {}", kilobytes(*bytes), kilobytes(*max)))
        .collect();
    if !over.is_empty() {
        bail!("over the size budget: {}", over.join("; "));
    }
    Ok(())
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1} KB", bytes as f64 / 1024.0)
}
