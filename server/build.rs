//! Tells the compiler where the dashboard's build is, or an empty folder if it was not built.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let built = manifest.join("../examples/react/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let folder = if built.join("index.html").is_file() { built } else { empty_folder() };
    // Not `TIDEGATE_…`: `cargo run` passes it on, and the gateway would take it for a setting.
    println!("cargo::rustc-env=DASHBOARD_DIR={}", folder.display());
}

fn empty_folder() -> PathBuf {
    let folder = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("no-dashboard");
    fs::create_dir_all(&folder).expect("the build's own folder is writable");
    folder
}
