//! The table of the README: every test in it is there.

use std::fs;
use std::path::Path;

#[test]
fn every_fault_in_the_readme_has_the_test_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = include_str!("../README.md");
    let table = readme.split("| what must hold |").nth(1).expect("the table");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 25, "{} rows", rows.len());
    for row in rows {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let [test, path] = names.as_slice() else { panic!("a test and a file: {row}") };
        let source = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let found = source.contains(&format!("fn {test}()")) || source.contains(&format!("test('{test}'"));
        assert!(found, "{path} has no test {test}");
    }
}
