//! What needs Node: the package's tools, and the check of the module.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::stamp::{Stamp, hash_of_files};
use super::{must, say};

/// Installs what the lockfile names, when it is missing or the lockfile changed.
pub(super) fn install(npm: &Path) -> anyhow::Result<()> {
    let stamp = Stamp::new(
        npm.join("node_modules/.stamp"),
        hash_of_files(&["package.json", "package-lock.json"].map(|name| npm.join(name)))?,
    );
    if stamp.is_fresh() {
        return Ok(());
    }
    say("npm ci", "the tools of npm/package-lock.json");
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    must(Command::new(program).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(npm))?;
    stamp.set()
}

/// Fails if Node's engine refuses the module.
pub(super) fn check_module(module: &Path) -> anyhow::Result<()> {
    must(
        Command::new("node")
            .args(["-e", "new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]))"])
            .arg(module),
    )
}

/// Writes the module as text into a JavaScript file, which every bundler can load without being told how.
///
/// Compressed first: base64 hides from the web server's compression what there is to compress. By zopfli, whose
/// result is 6 % smaller than zlib's, and as fast to unpack.
pub(super) fn write_inline_module(out: &Path) -> anyhow::Result<()> {
    let module = fs::read(out.join("tidegate.wasm"))?;
    let mut compressed = Vec::new();
    zopfli::compress(
        zopfli::Options::default(),
        zopfli::Format::Deflate,
        module.as_slice(),
        &mut compressed,
    )?;
    let text = base64(&compressed);
    fs::write(out.join("inline.js"), format!("export default '{text}';\n"))?;
    fs::write(
        out.join("inline.d.ts"),
        "/** `tidegate.wasm`, compressed by raw deflate, in base64. */\ndeclare const module: string;\nexport default module;\n",
    )?;
    Ok(())
}

/// Compiles the package.
pub(super) fn tsc(npm: &Path, out: &Path) -> anyhow::Result<()> {
    must(
        Command::new("node")
            .arg(npm.join("node_modules/typescript/bin/tsc"))
            .args(["-p", "tsconfig.json", "--noEmitOnError", "--outDir"])
            .arg(out)
            .current_dir(npm),
    )
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            (0..3).fold(0usize, |word, index| word << 8 | usize::from(*chunk.get(index).unwrap_or(&0)));
        for index in 0..4 {
            let filled = index <= chunk.len();
            text.push(if filled { char::from(ALPHABET[word >> (18 - 6 * index) & 63]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let table = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
