//! What a page loads, measured, and held against the budget.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::say;

/// Budgets in bytes. `client-wasm/README.md` says what was done to keep them.
const WASM_BROTLI_MAX: u64 = 16 * 1024;
const WASM_RAW_MAX: u64 = 48 * 1024;
const SDK_GZIP_MAX: u64 = 32 * 1024;

/// Prints the sizes and what they are made of, and fails when one is over its budget.
pub(super) fn report(npm: &Path) -> anyhow::Result<()> {
    let output = Command::new("node").arg("scripts/size.mjs").current_dir(npm).output()?;
    let sizes: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    say("size", &line("wasm module", &sizes["wasm"])?);
    say("size", &line("whole SDK", &sizes["sdk"])?);
    for part in sizes["parts"].as_array().context("scripts/size.mjs left the parts out")? {
        say("", &line(&format!("  {}", part["name"].as_str().unwrap_or_default()), part)?);
    }
    let size = |what: &str, form: &str| size(&sizes[what], form);
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

/// What something takes, in each form.
fn line(name: &str, sizes: &Value) -> anyhow::Result<String> {
    let [raw, gzip, brotli] = ["raw", "gzip", "brotli"].map(|form| size(sizes, form).map(kilobytes));
    Ok(format!("{name}: {} raw, {} gzip, {} brotli", raw?, gzip?, brotli?))
}

fn size(sizes: &Value, form: &str) -> anyhow::Result<u64> {
    sizes[form].as_u64().with_context(|| format!("scripts/size.mjs left {form} out"))
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1} KB", bytes as f64 / 1024.0)
}
