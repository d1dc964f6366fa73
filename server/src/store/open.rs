//! Opens the store that the configuration names.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::sqlite::SqliteStore;
use super::{REFRESH_LIFETIME_MS, RotationKey, Settings, Store, StoreError};
use crate::config::StoreConfig;
use crate::failure::Failure;

/// The SQLite file or the PostgreSQL database of the configuration, or a store that ends with this run.
///
/// # Errors
/// A database that cannot be opened, or a key beside it that cannot be read or made.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, Failure> {
    if !config.postgres.is_empty() {
        return open_postgres(config).await;
    }
    let path = config.file.clone();
    let key =
        (!config.rotation_key.is_empty()).then(|| RotationKey::from_secret(config.rotation_key.expose()));
    let opening = tokio::task::spawn_blocking(move || open_sqlite(&path, key));
    Ok(Arc::new(opening.await.expect("opening a store does not panic")?))
}

/// Touches the disk: not on a thread that serves sockets.
fn open_sqlite(path: &Path, key: Option<RotationKey>) -> Result<SqliteStore, Failure> {
    const FIX: &str = "check store.file and its permissions; keep the file, it holds every session";
    if path.as_os_str().is_empty() {
        let settings = settings(key.unwrap_or_else(RotationKey::random));
        return SqliteStore::in_memory(settings).map_err(|error| cannot_open(&error, FIX));
    }
    let place = path.display().to_string();
    let key = match key {
        Some(key) => key,
        None => key_beside(path).map_err(|error| {
            Failure::environment(
                "TG-STO-002",
                format!("the key beside the store cannot be read or written: {error}"),
                "give the gateway a folder that it may write to, with store.file",
            )
            .at(place.clone())
        })?,
    };
    SqliteStore::open(path, settings(key)).map_err(|error| cannot_open(&error, FIX).at(place))
}

#[cfg(feature = "postgres")]
async fn open_postgres(config: &StoreConfig) -> Result<Arc<dyn Store>, Failure> {
    let address = Zeroizing::new(String::from_utf8_lossy(config.postgres.expose()).into_owned());
    let key = RotationKey::from_secret(config.rotation_key.expose());
    let opened = super::postgres::PostgresStore::open(&address, settings(key)).await;
    let store = opened.map_err(|error| {
        cannot_open(&error, "check store.postgres, and that the server runs and lets this user in")
    })?;
    Ok(Arc::new(store))
}

/// The check of the configuration says so first.
#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "the same as with the feature")]
async fn open_postgres(_: &StoreConfig) -> Result<Arc<dyn Store>, Failure> {
    Err(cannot_open(&StoreError::Unreachable, "build it with --features postgres, or use store.file"))
}

fn settings(rotation_key: RotationKey) -> Settings {
    Settings { rotation_key, refresh_lifetime_ms: REFRESH_LIFETIME_MS }
}

fn cannot_open(error: &StoreError, fix: &str) -> Failure {
    Failure::environment("TG-STO-001", format!("the store cannot be opened: {error}"), fix)
}

/// The key that refresh tokens are derived with: 32 random bytes in a file beside the store, made when missing.
fn key_beside(store: &Path) -> std::io::Result<RotationKey> {
    let mut path = store.as_os_str().to_owned();
    path.push(".key");
    let mut bytes = Zeroizing::new([0; 32]);
    match std::fs::File::open(&path) {
        Ok(mut file) => file.read_exact(bytes.as_mut())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            getrandom::fill(bytes.as_mut()).map_err(|error| std::io::Error::other(error.to_string()))?;
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()?;
        }
        Err(error) => return Err(error),
    }
    Ok(RotationKey::new(&bytes))
}
