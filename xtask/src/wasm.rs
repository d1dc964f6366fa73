//! `cargo xtask wasm`: from the Rust client core to the npm package, one step after another.
//!
//! cargo build → wasm-bindgen → wasm-opt → a check that an engine accepts the result → `npm/wasm/` → tsc →
//! size report. Each step is skipped when what it reads has not changed. Nothing here is in a build script:
//! the glue can only be generated after linking.

mod cargo;
mod glue;
mod npm;
mod reproducible;
mod size;
mod stamp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wasm_bindgen_cli_support::Bindgen;

use self::cargo::Workspace;
use self::stamp::{Stamp, hash_of, hash_of_files};

/// Options of `cargo xtask wasm`.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Do every step again, also where nothing changed.
    #[arg(long)]
    force: bool,
    /// Also write `target/xtask-wasm/named.wasm`, which still names its functions: to see what is large.
    #[arg(long)]
    names: bool,
    /// Build a second time in another folder, and compare byte for byte.
    #[arg(long)]
    verify_reproducible: bool,
}

/// Builds the browser SDK for another command.
pub(crate) fn build() -> anyhow::Result<()> {
    run(&Arguments::default())
}

/// Builds it a second time in another folder, and fails when the bytes differ.
pub(crate) fn verify() -> anyhow::Result<()> {
    run(&Arguments { verify_reproducible: true, ..Arguments::default() })
}

/// Builds the browser SDK, and fails when it is larger than its budget.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    npm::install(&workspace.npm())?;
    build_module(&workspace, &workspace.npm(), arguments.force)?;
    build_package(&workspace, arguments.force)?;
    if arguments.names {
        write_named_module(&workspace)?;
    }
    size::report(&workspace.npm())?;
    if arguments.verify_reproducible {
        reproducible::verify(&workspace)?;
    }
    Ok(())
}

/// One line per step, so that a slow one has a name.
fn say(step: &str, what: &str) {
    println!("{step:>12}  {what}");
}

/// Runs a command, and fails with its name when it does.
fn must(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{name} could not be started"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

/// From the sources to `npm/wasm/`. `tools` is the folder whose `node_modules` hold wasm-opt.
fn build_module(workspace: &Workspace, tools: &Path, force: bool) -> anyhow::Result<()> {
    let linked = cargo::build(workspace)?;
    let out = workspace.npm().join("wasm");
    let stamp = Stamp::new(out.join(".stamp"), hash_of(&[&fs::read(&linked)?, &tool_versions(tools)?]));
    if !force && stamp.is_fresh() {
        say("module", "nothing changed");
        return Ok(());
    }
    stamp.clear()?;
    fs::create_dir_all(&out)?;
    say("glue", "wasm-bindgen");
    let glue = generate_glue(&linked, false)?;
    say("wasm-opt", &OPTIMIZATION.join(" "));
    let optimized = optimize(tools, &glue.wasm, &workspace.scratch()?, &STRIPPED)?;
    say("check", "an engine accepts the module");
    let module = out.join("tidegate.wasm");
    fs::write(&module, &optimized)?;
    npm::check_module(&module)?;
    fs::write(out.join("tidegate.js"), glue.js)?;
    fs::write(out.join("tidegate.d.ts"), glue.ts)?;
    npm::write_inline_module(&out)?;
    stamp.set()
}

/// From `npm/src` and `npm/wasm` to `npm/dist`.
fn build_package(workspace: &Workspace, force: bool) -> anyhow::Result<()> {
    let npm = workspace.npm();
    let mut inputs = files_below(&npm.join("src"))?;
    inputs.extend(["tsconfig.json", "package-lock.json", "wasm/tidegate.d.ts"].map(|name| npm.join(name)));
    let stamp = Stamp::new(npm.join("dist/.stamp"), hash_of_files(&inputs)?);
    if !force && stamp.is_fresh() {
        say("tsc", "nothing changed");
        return Ok(());
    }
    say("tsc", "npm/src → npm/dist");
    // Beside the old one, which stays as long as the new one has errors; as a whole, because a file that was
    // renamed must not stay behind in the package.
    let next = npm.join("wasm/next");
    npm::tsc(&npm, &next)?;
    let _ = fs::remove_dir_all(npm.join("dist"));
    fs::rename(next, npm.join("dist"))?;
    stamp.set()
}

/// What the generator makes of the linked module.
struct Glue {
    wasm: Vec<u8>,
    js: String,
    ts: String,
}

fn generate_glue(linked: &Path, named: bool) -> anyhow::Result<Glue> {
    let mut output = Bindgen::new()
        .input_path(linked)
        .out_name("tidegate")
        .web(true)?
        .typescript(true)
        .remove_name_section(!named)
        .remove_producers_section(true)
        // After a trap the module is instantiated anew.
        .reset_state_function(true)
        .generate_output()
        .context("the glue could not be generated")?;
    let ts = output.ts().context("the generator wrote no declarations")?.to_owned();
    let mut js = glue::strip(output.js())?;
    // The names of imports end in a hash, which tells crates apart. Here is one, and hashes do not compress.
    for import in output.wasm_mut().imports.iter_mut() {
        let Some((name, _)) = import.name.rsplit_once('_').filter(|(_, hash)| is_hash(hash)) else {
            continue;
        };
        let name = name.to_owned();
        ensure!(!js.contains(&format!("{name}:")), "two imports are called {name}");
        js = js.replace(&import.name, &name);
        import.name = name;
    }
    Ok(Glue { js, ts, wasm: output.wasm_mut().emit_wasm() })
}

fn is_hash(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The passes of wasm-opt: small first. Nothing lies in the lowest kilobyte: it is the end of the stack.
const OPTIMIZATION: [&str; 6] = ["--low-memory-unused", "--flatten", "--rereloop", "-Oz", "-Oz", "-Oz"];

/// What no engine needs.
const STRIPPED: [&str; 3] = ["--strip-debug", "--strip-producers", "--strip-target-features"];

/// The same module with its names.
fn write_named_module(workspace: &Workspace) -> anyhow::Result<()> {
    let scratch = workspace.scratch()?;
    let glue = generate_glue(&cargo::build(workspace)?, true)?;
    let named = optimize(&workspace.npm(), &glue.wasm, &scratch, &["-g"])?;
    fs::write(scratch.join("named.wasm"), named)?;
    say("names", &scratch.join("named.wasm").display().to_string());
    Ok(())
}

fn optimize(tools: &Path, wasm: &[u8], scratch: &Path, extra: &[&str]) -> anyhow::Result<Vec<u8>> {
    let (before, after) = (scratch.join("before.wasm"), scratch.join("after.wasm"));
    fs::write(&before, wasm)?;
    // The features are those that the module itself names: `--all-features` makes modules that Node refuses.
    must(
        Command::new("node")
            .arg(tools.join("node_modules/binaryen/bin/wasm-opt"))
            .args(OPTIMIZATION)
            .args(extra)
            .arg(&before)
            .arg("-o")
            .arg(&after),
    )?;
    Ok(fs::read(after)?)
}

/// Another tool may write another module. The generator is not among them: its version is pinned to that of the
/// library inside the linked module, which changes with it.
fn tool_versions(tools: &Path) -> anyhow::Result<Vec<u8>> {
    let mut versions = fs::read(tools.join("node_modules/binaryen/package.json"))?;
    versions.extend_from_slice(include_bytes!("wasm.rs"));
    versions.extend_from_slice(include_bytes!("wasm/npm.rs"));
    versions.extend_from_slice(include_bytes!("wasm/glue.rs"));
    Ok(versions)
}

/// Every file below a folder, sorted.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
