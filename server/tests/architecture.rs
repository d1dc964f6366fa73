//! The invariants of ARCHITECTURE.md that can be read off the tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a crate is built from, apart from its tests.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().expect("a manifest is TOML");
    let table = manifest["dependencies"].as_table().expect("a table");
    table.keys().map(|name| name.trim_start_matches("tidegate-").to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Every file below a folder, by ending.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(folder)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| endings.iter().any(|ending| extension == *ending))
            {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has files that end in {endings:?}");
    found
}

#[test]
fn the_shared_and_the_pure_crates_depend_on_what_they_may() {
    assert_eq!(dependencies("protocol"), set(&["serde", "serde_json"]));
    assert_eq!(dependencies("strategy"), set(&["protocol"]));
    assert_eq!(dependencies("client-core"), set(&["protocol"]));
}

#[test]
fn arrows_between_crates_point_down_only() {
    let ours = set(&["protocol", "strategy", "client-core", "client-native", "client-wasm", "server"]);
    let edges = |folder: &str| dependencies(folder).intersection(&ours).cloned().collect::<BTreeSet<_>>();
    assert_eq!(edges("client-native"), set(&["client-core", "protocol"]));
    assert!(edges("client-wasm").is_subset(&set(&["client-core", "protocol"])));
    assert_eq!(edges("server"), set(&["protocol", "strategy", "client-native"]));
}

#[test]
fn the_pure_crates_ban_clocks_and_randomness() {
    for folder in ["strategy", "client-core"] {
        let rules = read(&format!("{folder}/clippy.toml"));
        for banned in ["std::time::Instant::now", "std::time::SystemTime::now"] {
            assert!(rules.contains(banned), "{folder}/clippy.toml bans {banned}");
        }
    }
}

#[test]
fn the_hub_knows_neither_clients_nor_tokens() {
    let hub = read("server/src/hub.rs");
    let code = hub.split("#[cfg(test)]").next().expect("a first part");
    for foreign in ["ClientMessage", "crate::auth", "crate::ws", "tidegate_strategy"] {
        assert!(!code.contains(foreign), "the hub must not know {foreign}");
    }
}

#[test]
fn a_connection_does_not_know_what_a_signal_means() {
    for file in ["server/src/ws/connection.rs", "server/src/ws/session.rs", "server/src/ws/followed.rs"] {
        let code = read(file);
        for foreign in ["tidegate_strategy", "ScalpIndicator", "MomentumIndicator", "RangePayload"] {
            assert!(!code.contains(foreign), "{file} must not know {foreign}");
        }
    }
    for path in files("strategy/src", &["rs"]) {
        let code = fs::read_to_string(&path).unwrap();
        assert!(!code.contains("Hub") && !code.contains("Session"), "{}", path.display());
    }
}

#[test]
fn the_browser_shell_does_not_parse_with_serde() {
    let dependencies = dependencies("client-wasm");
    assert!(!dependencies.contains("serde_json"), "data frames are parsed by JavaScript");
}

#[test]
fn react_code_sees_the_store_and_never_wasm() {
    for path in files("npm/src/react", &["ts", "tsx"]) {
        let code = fs::read_to_string(&path).unwrap();
        let imports = code.lines().filter(|line| line.contains("from '") || line.contains("import("));
        for line in imports {
            assert!(!line.contains("wasm"), "{}: {line}", path.display());
        }
    }
}

#[test]
fn whatever_the_architecture_page_names_exists() {
    let page = read("ARCHITECTURE.md");
    let in_server: Vec<_> = page
        .split("Inside `server/src/`")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap()
        .split('`')
        .skip(1)
        .step_by(2)
        .collect();
    for name in in_server.iter().filter(|name| name.ends_with(".rs") || name.ends_with('/')) {
        assert!(root().join("server/src").join(name).exists(), "server/src/{name}");
    }
    let map = page.split("## The map").nth(1).unwrap().split("Inside `server").next().unwrap();
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let folder = names[0];
        assert!(root().join(folder).is_dir(), "{folder}");
        for file in names[1..].iter().filter(|name| name.starts_with("src/")) {
            assert!(root().join(folder).join(file).is_file(), "{folder}{file}");
        }
    }
}
