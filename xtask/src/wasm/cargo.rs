//! Where the workspace is, and how its wasm module is compiled.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use super::{must, say};

const TARGET: &str = "wasm32-unknown-unknown";

/// A checkout of the project.
pub(super) struct Workspace {
    /// The folder with the root `Cargo.toml`.
    pub(super) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(super) target: PathBuf,
}

impl Workspace {
    /// The workspace of the current folder.
    pub(super) fn find() -> anyhow::Result<Self> {
        let output = cargo().args(["metadata", "--format-version=1", "--no-deps"]).output()?;
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let path = |name: &str| metadata[name].as_str().map(PathBuf::from);
        Ok(Self {
            root: path("workspace_root").context("cargo names no workspace root")?,
            target: path("target_directory").context("cargo names no target directory")?,
        })
    }

    /// The folder of the npm package.
    pub(super) fn npm(&self) -> PathBuf {
        self.root.join("npm")
    }

    /// A folder for what lies between two steps.
    pub(super) fn scratch(&self) -> anyhow::Result<PathBuf> {
        let scratch = self.target.join("xtask-wasm");
        fs::create_dir_all(&scratch)?;
        Ok(scratch)
    }
}

/// Compiles and links the module.
pub(super) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    say("cargo", "tidegate-client-wasm, profile wasm");
    must(
        cargo()
            .args([
                "build",
                "--quiet",
                "--package=tidegate-client-wasm",
                "--profile=wasm",
                "--target",
                TARGET,
            ])
            .current_dir(&workspace.root)
            .env("CARGO_TARGET_DIR", &workspace.target)
            // A variable, not an argument: the flags of another tool around this one must not creep in.
            .env("CARGO_ENCODED_RUSTFLAGS", remapped(workspace)?.join("\u{1f}"))
            .env_remove("RUSTFLAGS"),
    )?;
    Ok(workspace.target.join(TARGET).join("wasm/tidegate_client_wasm.wasm"))
}

/// Paths leak through panic locations: they would tell about the builder's disk, and make two builds differ.
fn remapped(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("neither CARGO_HOME nor a home folder is set")?;
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(&workspace.root).output()?;
    let sysroot = String::from_utf8(sysroot.stdout).context("the sysroot is not UTF-8")?;
    // Of several that match the last one counts: the target folder may lie inside the workspace.
    let places: [(&Path, &str); 4] = [
        (Path::new(sysroot.trim()), "/rust"),
        (&cargo_home, "/cargo"),
        (&workspace.root, "/tidegate"),
        (&workspace.target, "/target"),
    ];
    Ok(places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

/// The cargo that runs this program, so that a `+toolchain` stays in force.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
