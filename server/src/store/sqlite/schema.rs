//! Opening a SQLite file and bringing its schema up to date.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::StoreError;

/// Marks a file as ours: `TGAT`.
const APPLICATION_ID: i32 = 0x5447_4154;
/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What leads from each version to the next. Never changed once released, only added to.
const MIGRATIONS: [&str; 1] = [
    // The last index holds by itself that a family has one living token at most.
    "CREATE TABLE users (
        wallet TEXT NOT NULL PRIMARY KEY,
        roles TEXT NOT NULL,
        disabled INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE families (
        id BLOB NOT NULL PRIMARY KEY,
        wallet TEXT NOT NULL REFERENCES users (wallet) ON DELETE CASCADE,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        revoked_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX families_of_wallet ON families (wallet);
    CREATE TABLE refresh_tokens (
        hash BLOB NOT NULL PRIMARY KEY,
        family BLOB NOT NULL REFERENCES families (id) ON DELETE CASCADE,
        generation INTEGER NOT NULL,
        token_id BLOB NOT NULL,
        issued_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        rotated_ms INTEGER,
        UNIQUE (family, generation)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX one_living_token ON refresh_tokens (family) WHERE rotated_ms IS NULL;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        outcome TEXT NOT NULL,
        level INTEGER NOT NULL,
        wallet TEXT,
        ip TEXT,
        user_agent TEXT,
        detail TEXT
    ) STRICT;
    CREATE INDEX events_in_time ON events (time_ms);
    CREATE INDEX events_of_wallet ON events (wallet, time_ms);",
];

pub(super) fn open_in_memory() -> Result<Connection, StoreError> {
    prepare(Connection::open_in_memory()?, ":memory:")
}

pub(super) fn open_file(path: &Path) -> Result<Connection, StoreError> {
    let place = path.display().to_string();
    let cannot = |problem: String| StoreError::Open { place: place.clone(), problem };
    make_private(path).map_err(|error| cannot(error.to_string()))?;
    // Without `URI`: a path is a path, also one that begins with `file:`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|_| {
        cannot("SQLite does not open it: is it a file, and may this user read and write it?".into())
    })?;
    prepare(connection, &place)
}

/// Makes the file before SQLite does, so that it is never readable by others; SQLite gives the files beside it the
/// same mode.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(drop)
}

fn prepare(mut connection: Connection, place: &str) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // First, because it changes nothing: a file of somebody else stays as it is.
    check_owner(&connection, place)?;
    // In memory the answer is `memory`; elsewhere a file system without shared memory may refuse WAL, which costs
    // speed only.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrate(&mut connection, place)?;
    Ok(connection)
}

fn check_owner(connection: &Connection, place: &str) -> Result<(), StoreError> {
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application_id == APPLICATION_ID || (application_id == 0 && tables == 0) {
        return Ok(());
    }
    Err(StoreError::Foreign { place: place.into() })
}

/// Runs the migrations that are missing, all or none. Two programs that start at once do so one after the other.
fn migrate(connection: &mut Connection, place: &str) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len();
    let Some(missing) = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(StoreError::Newer { place: place.into(), found, known: known as i64 });
    };
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", known as i64)?;
    Ok(tx.commit()?)
}
