//! Opening a SQLite file and bringing its schema up to date.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::StoreError;

/// Marks a file as ours: `TGAT`.
const APPLICATION_ID: i32 = 0x5447_4154;
/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What leads from each version to the next. Never changed once released, only added to.
const MIGRATIONS: [&str; 2] = [
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
    // Every node asks all the time what was revoked just now.
    "ALTER TABLE events ADD COLUMN repeated INTEGER;
    CREATE INDEX families_by_revocation ON families (revoked_ms) WHERE revoked_ms IS NOT NULL;",
];

pub(super) fn open_in_memory() -> Result<Connection, StoreError> {
    prepare(Connection::open_in_memory()?, ":memory:")
}

pub(super) fn open_file(path: &Path) -> Result<Connection, StoreError> {
    static OPENING: Mutex<()> = Mutex::new(());
    // One after the other: see `make_private`. There is nothing that a panic could have left half done.
    let _one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
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
/// same mode. A file that is there is not opened: closing it would drop the locks of another store of this process.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => restrict(path),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

fn prepare(mut connection: Connection, place: &str) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // First, because it changes nothing: a file of somebody else stays as it is.
    check_owner(&connection, place)?;
    use_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrate(&mut connection, place)?;
    Ok(connection)
}

/// In memory the answer is `memory`; elsewhere a file system without shared memory may refuse WAL, which costs speed
/// only. SQLite itself does not wait for the lock that a change of the mode needs.
fn use_wal(connection: &Connection) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        let changed = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
        match changed.map_err(StoreError::from) {
            Err(StoreError::Busy) if started.elapsed() < BUSY_TIMEOUT => std::thread::sleep(BUSY_PAUSE),
            changed => return changed,
        }
    }
}

/// In one statement: another program may be making the schema at this moment.
fn check_owner(connection: &Connection, place: &str) -> Result<(), StoreError> {
    let sql = "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id";
    let (application_id, tables): (i32, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
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
