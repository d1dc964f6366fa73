//! Where each setting comes from, for `tidegate config show --origin`.

use std::collections::BTreeMap;
use std::fmt;

/// Which layer has the last word on a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// This environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Variable(name) => write!(f, "environment {name}"),
        }
    }
}

/// The origin of every setting that is not the default, by its path: `limits.connections_per_user`.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where a setting comes from.
    #[must_use]
    pub fn of(&self, path: &str) -> Origin {
        // A table of settings that was given as a whole speaks for what is in it.
        let itself = self.0.get(path);
        let around = || self.0.iter().find(|(known, _)| path.starts_with(&format!("{known}.")));
        itself.or_else(|| around().map(|(_, origin)| origin)).cloned().unwrap_or(Origin::Default)
    }

    /// The file said all that is in this table.
    pub(super) fn file(&mut self, table: &toml::Table) {
        for (path, _) in leaves(table) {
            self.0.insert(path, Origin::File);
        }
    }

    /// A variable said this; what was said before under the path is gone.
    pub(super) fn variable(&mut self, path: &str, name: &str) {
        self.forget(path);
        self.0.insert(path.to_owned(), Origin::Variable(name.to_owned()));
    }

    /// What was said under this path is not in force.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.retain(|known, _| !known.starts_with(path));
    }
}

/// Every value of a table with its path, in order; an empty table is a value.
#[must_use]
pub fn leaves(table: &toml::Table) -> Vec<(String, toml::Value)> {
    table
        .iter()
        .flat_map(|(key, value)| match value.as_table() {
            Some(inner) => {
                leaves(inner).into_iter().map(|(path, value)| (format!("{key}.{path}"), value)).collect()
            }
            None => vec![(key.clone(), value.clone())],
        })
        .collect()
}
