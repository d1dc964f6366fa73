//! From a file and the environment to one table of settings.

use std::path::Path;

use zeroize::Zeroizing;

use super::Config;
use crate::failure::Failure;

/// Environment variables that start with this are settings: `TIDEGATE_LIMITS__CONNECTIONS_PER_USER=3`.
const ENVIRONMENT_PREFIX: &str = "TIDEGATE_";
/// The names that other gateways have for the same settings.
const ALIASES: [(&str, &str); 4] = [
    ("JWT_SECRET", "TIDEGATE_AUTH__JWT_SECRET"),
    ("CORS_ORIGIN", "TIDEGATE_SERVER__ALLOWED_ORIGINS"),
    ("MAX_WEBSOCKET_CONNECTIONS", "TIDEGATE_LIMITS__CONNECTIONS_PER_USER"),
    ("MAX_SYMBOLS_PER_WEBSOCKET", "TIDEGATE_LIMITS__SUBSCRIPTIONS_PER_CONNECTION"),
];
/// What else begins so: the file to read, the token of `tidegate tail`, and what the project's own tests use.
const OTHER_VARIABLES: [&str; 5] = ["CONFIG", "TOKEN", "BIN", "TEST_", "WRITE_BINDINGS"];

/// What the file says.
pub(super) fn read_file(path: &Path) -> Result<toml::Table, Failure> {
    let place = path.display().to_string();
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| {
        Failure::configuration(
            "TG-CFG-006",
            format!("cannot read the configuration file: {error}"),
            "tidegate config init      (writes one)",
        )
        .at(&place)
    })?);
    // Read as the whole struct first: only then does an error show line and caret.
    toml::from_str::<Config>(&text).map_err(|error| {
        let before = error.span().map_or("", |span| &text[..span.start]);
        let line = before.matches('\n').count() + 1;
        let section = before.rsplit('\n').find(|line| line.starts_with('[')).unwrap_or_default();
        let section = section.trim_start_matches('[');
        let what = if ["auth", "store"].iter().any(|secret| section.starts_with(secret)) {
            hide_values(&error.to_string())
        } else {
            error.to_string()
        };
        Failure::configuration("TG-CFG-001", what, "correct or remove that line")
            .at(format!("{place}:{line}"))
    })?;
    Ok(text.parse().expect("the text was just read as TOML"))
}

/// A misspelt secret is none that we know, but it must not be shown all the same.
fn hide_values(error: &str) -> String {
    let hide = |line: &str| match line.split_once(" = ") {
        Some((key, _)) if line.contains(" | ") => format!("{key} = (hidden)"),
        _ => line.to_owned(),
    };
    error.lines().map(hide).collect::<Vec<_>>().join("\n")
}

/// An environment variable that may be a setting.
pub(super) struct Variable {
    /// As it is in the environment.
    pub(super) name: String,
    /// The variable of ours that it stands for.
    pub(super) setting: String,
    /// It may be a secret.
    value: Zeroizing<String>,
}

/// The variables that are ours, or other systems' names for the same settings. Ours come last, so that they win.
pub(super) fn settings_in(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Variable> {
    let variable = |(name, value): (String, String)| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let setting = alias.map_or_else(|| name.clone(), |(_, setting)| (*setting).to_owned());
        setting.starts_with(ENVIRONMENT_PREFIX).then(|| Variable {
            name,
            setting,
            value: Zeroizing::new(value),
        })
    };
    let mut variables: Vec<_> = environment.into_iter().filter_map(variable).collect();
    variables.sort_by_key(|variable| variable.name == variable.setting);
    variables
}

/// Lays one environment variable over the table, and says where: `TIDEGATE_AUTH__ISSUER` is `auth.issuer`.
pub(super) fn apply_variable(
    table: &mut toml::Table,
    variable: &Variable,
) -> Result<Option<String>, Failure> {
    let Variable { name, setting, value } = variable;
    let Some(path) = setting.strip_prefix(ENVIRONMENT_PREFIX) else { return Ok(None) };
    let Some((section, _)) = path.split_once("__") else {
        let other = OTHER_VARIABLES.iter().any(|other| path.starts_with(other));
        return if other { Ok(None) } else { Err(unknown_variable(name)) };
    };
    // Of a market, `TIDEGATE_SYMBOL__BTCUSDT__SCALP__EMA_PERIOD`, the symbol stays as it is.
    let symbol = section.eq_ignore_ascii_case("symbol");
    let keys: Vec<_> = path
        .split("__")
        .enumerate()
        .map(|(index, key)| if symbol && index == 1 { key.to_owned() } else { key.to_ascii_lowercase() })
        .collect();
    // Text first: a secret of digits stays text. Then whatever TOML makes of it.
    let mut candidates = vec![toml::Value::String(value.to_string())];
    candidates.extend(as_toml(value));
    let mut problem = String::new();
    for candidate in candidates {
        let mut trial = toml::Table::new();
        insert(&mut trial, &keys, candidate.clone());
        match trial.try_into::<Config>() {
            Ok(_) => {
                insert(table, &keys, candidate);
                return Ok(Some(keys.join(".")));
            }
            Err(error) => error.message().clone_into(&mut problem),
        }
    }
    Err(Failure::configuration("TG-CFG-001", problem, "correct or unset this variable")
        .at(format!("{name} (environment)")))
}

fn unknown_variable(name: &str) -> Failure {
    Failure::configuration(
        "TG-CFG-001",
        "no setting has this name: section and setting are joined by two underscores",
        "write for example TIDEGATE_LIMITS__CONNECTIONS_PER_USER, or unset this variable",
    )
    .at(format!("{name} (environment)"))
}

/// Puts a value into tables within tables. The file was read as a configuration, so tables are where they should.
fn insert(table: &mut toml::Table, keys: &[String], value: toml::Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| toml::Table::new().into());
            if let Some(inner) = inner.as_table_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

/// The value as TOML would read it, and as a list of words: `A,B` for `["A","B"]`.
fn as_toml(value: &str) -> Vec<toml::Value> {
    let written = format!("value = {value}").parse::<toml::Table>().ok();
    let words = value.split(',').map(|word| toml::Value::String(word.trim().into())).collect();
    written
        .into_iter()
        .filter_map(|mut table| table.remove("value"))
        .chain([toml::Value::Array(words)])
        .collect()
}
