//! The document that readers trade by must not lie about the defaults.

use std::collections::BTreeMap;
use std::path::Path;

use tidegate_strategy::Parameters;

#[test]
fn the_document_lists_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/strategies.md");
    let text = std::fs::read_to_string(path).expect("docs/strategies.md");
    let documented: BTreeMap<&str, &str> = text.lines().filter_map(row).collect();
    let defaults = Parameters::default();
    let settings: BTreeMap<&str, String> =
        defaults.settings().into_iter().map(|(name, value)| (name, value.to_string())).collect();
    let settings: BTreeMap<&str, &str> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(documented, settings);
}

/// Name and default of a table row such as ``| `scalp.ema_period` | 5 | … |``.
fn row(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let (default, _) = rest.split_once(" | ")?;
    name.contains('.').then_some((name, default))
}
