//! Builds the module a second time elsewhere: whoever doubts the published file can make it himself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::cargo::Workspace;
use super::{build_module, say};

/// What the second build must have in common with the first.
const FILES: [&str; 4] = ["tidegate.wasm", "tidegate.js", "tidegate.d.ts", "inline.js"];

/// Copies the sources to a folder with a longer name, builds from nothing, and compares.
pub(super) fn verify(workspace: &Workspace) -> anyhow::Result<()> {
    let root = std::env::temp_dir().join(format!("tidegate-built-elsewhere-{}", std::process::id()));
    say("reproduce", &format!("a second build, in {}", root.display()));
    let result = build_elsewhere(workspace, &root);
    // Whatever came of it: the copy is large, and of no further use.
    let _ = fs::remove_dir_all(&root);
    result
}

fn build_elsewhere(workspace: &Workspace, root: &Path) -> anyhow::Result<()> {
    copy_sources(&workspace.root, root)?;
    let copy = Workspace { root: root.to_owned(), target: root.join("somewhere/else/target") };
    build_module(&copy, &workspace.npm(), true)?;
    for name in FILES {
        let [first, second] = [workspace, &copy].map(|built| fs::read(built.npm().join("wasm").join(name)));
        ensure!(first? == second?, "npm/wasm/{name} depends on the folder in which it is built");
    }
    say("reproduce", "byte for byte the same");
    Ok(())
}

/// Everything that git knows or would add.
fn copy_sources(from: &Path, to: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .context("git is needed to know the sources")?;
    ensure!(listed.status.success(), "git cannot list the sources");
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (source, copy) = (from.join(name), to.join(name));
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        // A file that was deleted but not committed is still listed.
        if source.is_file() {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}
