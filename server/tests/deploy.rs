//! What `deploy/` and `docs/operations.md` name exists, and what exists is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tidegate_server::config::Config;
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

/// The lines of a unit, without comments, as section, key and value.
fn unit() -> Vec<(String, String, String)> {
    let (text, mut section, mut lines) = (read("deploy/tidegate.service"), String::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix('['), line.split_once('=')) {
            (Some(name), _) => section = name.trim_end_matches(']').to_owned(),
            (None, Some((key, value))) => lines.push((section.clone(), key.to_owned(), value.to_owned())),
            (None, None) => panic!("{line:?} is neither a section nor a setting"),
        }
    }
    lines
}

#[test]
fn the_unit_starts_what_there_is_with_settings_that_there_are_and_outlasts_the_drain() {
    let unit = unit();
    let all = |wanted: &str| {
        let of = unit.iter().filter(move |(section, key, _)| section == "Service" && key == wanted);
        of.map(|(_, _, value)| value.as_str()).collect::<Vec<_>>()
    };
    let [start] = all("ExecStart")[..] else { panic!("one ExecStart") };
    let words: Vec<_> = start.split(' ').collect();
    assert_eq!(words, ["/usr/local/bin/tidegate", "serve", "--config", "/etc/tidegate/tidegate.toml"]);
    let environment = all("Environment");
    assert!(environment.len() >= 3, "{environment:?}");
    // Also what is only suggested: a comment that no gateway understands helps nobody.
    let text = read("deploy/tidegate.service");
    let suggested = text.lines().filter_map(|line| line.strip_prefix("# Environment="));
    for (name, value) in environment.into_iter().chain(suggested).map(|pair| pair.split_once('=').unwrap()) {
        let output = crate::command_line::tidegate(&["config", "show"]).env(name, value).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let bare = value.trim_matches(|character| "[]\"".contains(character));
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && shown.contains(bare), "{name}={value}: {shown}{problem}");
    }
    let seconds: u64 = all("TimeoutStopSec")[0].parse().unwrap();
    assert!(seconds > 10, "the gateway takes up to ten seconds to send everybody away");
    let files: u32 = all("LimitNOFILE")[0].parse().unwrap();
    assert!(files > Config::default().limits.connections_per_node + 2_048, "each connection is a file");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_but_that_it_is_not_installed() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tidegate.service");
    let Ok(output) = std::process::Command::new("systemd-analyze").arg("verify").arg(unit).output() else {
        println!("not checked: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_it = said.lines().filter(|line| line.contains("tidegate.service"));
    let wrong: Vec<_> = about_it.filter(|line| !line.contains("is not executable")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
