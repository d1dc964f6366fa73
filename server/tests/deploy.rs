//! What `deploy/` and `docs/operations.md` name exists, and what exists is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tidegate_server::metrics::Metrics;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The families, as the gateway tells them: name and kind.
fn families() -> Vec<(String, String)> {
    let text = Metrics::default().text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pair = |line: &str| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    types.filter_map(pair).collect()
}

/// Names of series, as queries use them.
fn series() -> BTreeSet<String> {
    let names = |(name, kind): (String, String)| match kind.as_str() {
        "counter" => vec![format!("{name}_total")],
        "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).into(),
        _ => vec![name],
    };
    families().into_iter().flat_map(names).collect()
}

/// Every word in a text that looks like a metric.
fn named(text: &str) -> BTreeSet<String> {
    let words =
        text.split(|character: char| !(character.is_ascii_lowercase() || "_0123456789".contains(character)));
    words.filter(|word| word.starts_with("tidegate_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_the_dashboard_and_of_the_alerts_exists() {
    let series = series();
    assert!(series.len() > 25, "{series:?}");
    for file in ["deploy/grafana-dashboard.json", "deploy/alerts.yml"] {
        let named = named(&read(file));
        assert!(named.len() > 5, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&series).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana-dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

#[test]
fn the_dashboard_shows_every_metric_and_the_page_for_operators_explains_it() {
    let (dashboard, page) = (named(&read("deploy/grafana-dashboard.json")), read("docs/operations.md"));
    let explained = named(&page);
    for (name, _) in families() {
        assert!(dashboard.iter().any(|series| series.starts_with(&name)), "{name} is on no panel");
        assert!(explained.iter().any(|series| series.starts_with(&name)), "{name} is not explained");
    }
    let unknown: Vec<_> = explained.difference(&series()).cloned().collect();
    assert!(unknown.is_empty(), "docs/operations.md names {unknown:?}");
}
