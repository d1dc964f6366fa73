//! Where users, sessions and the copy of the audit log are kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::read_secret_file;
use super::{AuthConfig, Secret};
use crate::failure::Failure;

/// What is kept: in one SQLite file, or in a PostgreSQL database that several gateways share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The SQLite file. Empty, and no PostgreSQL: what would be in it ends with this run.
    pub file: PathBuf,
    /// A PostgreSQL database instead: `postgres://user:password@host/name` or `host=… dbname=…`.
    pub postgres: Secret,
    /// A file that holds its address, instead of the address itself.
    pub postgres_file: Option<PathBuf>,
    /// Derives refresh tokens from their predecessors, at least 32 bytes: the same for every gateway on one
    /// database. A SQLite file has its own beside it.
    pub rotation_key: Secret,
    /// A file that holds the key, instead of the key itself.
    pub rotation_key_file: Option<PathBuf>,
}

impl StoreConfig {
    /// Whether anything is kept after the end of a run.
    #[must_use]
    pub fn outlives_the_run(&self) -> bool {
        !self.file.as_os_str().is_empty() || !self.postgres.is_empty()
    }

    /// Reads what is given as a file.
    pub(super) fn read_secret_files(&mut self) -> Result<(), Failure> {
        let Self { postgres, postgres_file, rotation_key, rotation_key_file, .. } = self;
        read_secret_file("store.postgres", postgres, postgres_file.as_deref())?;
        read_secret_file("store.rotation_key", rotation_key, rotation_key_file.as_deref())
    }

    pub(super) fn check(&self, auth: &AuthConfig) -> Result<(), Failure> {
        let wrong = |what: String, fix: &str| Err(Failure::configuration("TG-CFG-014", what, fix));
        if let Some(weakness) = self.rotation_key.weakness() {
            return wrong(format!("store.rotation_key {weakness}"), GENERATE_KEY);
        }
        let secrets = [&auth.jwt_secret, &auth.previous_jwt_secret];
        if !self.rotation_key.is_empty() && secrets.contains(&&self.rotation_key) {
            return wrong("store.rotation_key is equal to a jwt secret".into(), GENERATE_KEY);
        }
        if self.postgres.is_empty() {
            return Ok(());
        }
        if !self.file.as_os_str().is_empty() {
            return wrong("store.file and store.postgres are both set".into(), "keep one of them");
        }
        if self.rotation_key.is_empty() {
            return wrong("store.postgres without store.rotation_key".into(), GENERATE_KEY);
        }
        if cfg!(feature = "postgres") {
            return Ok(());
        }
        wrong(
            "store.postgres is set, but this program was built without PostgreSQL".into(),
            "cargo build --release --package tidegate-server --features postgres, or use store.file",
        )
    }
}

const GENERATE_KEY: &str = "openssl rand -hex 32      (and give every gateway on the database the same)";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "fedcba9876543210fedcba9876543210";

    fn problem(config: &str) -> Option<String> {
        let config: StoreConfig = toml::from_str(config).unwrap();
        let auth = AuthConfig { jwt_secret: Secret::new(KEY.replace('f', "0")), ..AuthConfig::default() };
        config.check(&auth).err().map(|failure| failure.what)
    }

    #[test]
    fn t28_a_store_whose_settings_do_not_go_together_is_refused() {
        assert_eq!(problem(""), None);
        assert_eq!(problem("file = \"a.db\""), None);
        let postgres = "postgres = \"postgres://me:password@127.0.0.1/tidegate\"";
        let key = format!("rotation_key = \"{KEY}\"");
        for (config, expected) in [
            (postgres.to_owned(), "without store.rotation_key"),
            (format!("{postgres}\nrotation_key = \"short\""), "is 5 bytes, at least 32"),
            (format!("rotation_key = \"{}\"", KEY.replace('f', "0")), "equal to a jwt secret"),
            (format!("file = \"a.db\"\n{postgres}\n{key}"), "both set"),
        ] {
            let found = problem(&config).expect("a problem");
            assert!(found.contains(expected) && !found.contains("password@"), "{found}");
        }
        let built_in = problem(&format!("{postgres}\n{key}"));
        assert_eq!(built_in.is_none(), cfg!(feature = "postgres"), "{built_in:?}");
    }

    #[test]
    fn an_address_with_a_password_is_shown_nowhere() {
        let config: StoreConfig = toml::from_str(&format!(
            "postgres = \"postgres://me:hunter2@127.0.0.1/t\"\nrotation_key = \"{KEY}\""
        ))
        .unwrap();
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(shown.contains("(hidden)") && !shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    }
}
