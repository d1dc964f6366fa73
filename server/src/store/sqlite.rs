//! The store in one SQLite file, on a thread of its own: SQLite has one writer anyway, and no thread that serves
//! sockets waits for a disk.

mod schema;

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::event::{level_of, rank_of};
use super::family::{Decision, Shown, TokenRow};
use super::token::TokenHash;
use super::{
    Answer, Event, FIRST_ROLE, Issued, Level, RefreshToken, RotateRefused, Session, Settings, Store,
    StoreError, User, roles_from_text, roles_to_text,
};

/// Jobs that wait for the thread. Further callers wait for a place.
const QUEUE_MAX: usize = 256;
/// The path of a database that ends with the store.
const IN_MEMORY: &str = ":memory:";

/// A store in a SQLite file. Dropping it waits until everything is written.
pub struct SqliteStore {
    place: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Database) + Send>;

impl SqliteStore {
    /// Opens the file at `path`, or makes it, readable by its owner only; `:memory:` is a database that ends with
    /// the store. Brings an older schema up to date. Touches the disk: not for a thread that serves sockets.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, belongs to another or to a newer program, or is damaged.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        let connection =
            if path.as_os_str() == IN_MEMORY { schema::open_in_memory()? } else { schema::open_file(path)? };
        let mut database = Database { connection, settings };
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE_MAX);
        let work = move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut database);
            }
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(work).map_err(|error| {
            StoreError::Open { place: path.display().to_string(), problem: error.to_string() }
        })?;
        Ok(Self { place: path.to_owned(), jobs: Some(jobs), thread: Some(thread) })
    }

    /// Opens a database in memory.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory or no thread for it.
    pub fn in_memory(settings: Settings) -> Result<Self, StoreError> {
        Self::open(Path::new(IN_MEMORY), settings)
    }

    /// Runs `job` on the thread.
    async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // The caller may have gone; what was done stays done.
            let _ = answer.send(job(database));
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.send(job).await.map_err(|_| StoreError::Stopped)?;
        answered.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn signed_in<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, User> {
        let wallet = wallet.to_owned();
        Box::pin(self.run(move |database| database.signed_in(&wallet, now_ms)))
    }

    fn user<'a>(&'a self, wallet: &'a str) -> Answer<'a, Option<User>> {
        let wallet = wallet.to_owned();
        Box::pin(self.run(move |database| user(&database.connection, &wallet)))
    }

    fn set_roles<'a>(&'a self, wallet: &'a str, roles: &'a [String]) -> Answer<'a, Option<User>> {
        let (wallet, roles) = (wallet.to_owned(), roles_to_text(roles));
        Box::pin(self.run(move |database| {
            database.change_user("UPDATE users SET roles = ?2 WHERE wallet = ?1", &wallet, &roles)
        }))
    }

    fn set_disabled<'a>(&'a self, wallet: &'a str, disabled: bool) -> Answer<'a, Option<User>> {
        let wallet = wallet.to_owned();
        Box::pin(self.run(move |database| {
            database.change_user("UPDATE users SET disabled = ?2 WHERE wallet = ?1", &wallet, &disabled)
        }))
    }

    fn begin_family<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused> {
        let wallet = wallet.to_owned();
        Box::pin(self.run(move |database| database.begin_family(&wallet, now_ms)))
    }

    fn rotate<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused> {
        Box::pin(async move {
            let token = RefreshToken::parse(refresh_token).ok_or(RotateRefused::Unknown)?;
            self.run(move |database| database.rotate(&token, now_ms)).await
        })
    }

    fn end_session<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Option<Session>> {
        Box::pin(async move {
            let Some(token) = RefreshToken::parse(refresh_token) else { return Ok(None) };
            self.run(move |database| database.end_session(&token.hash(), now_ms)).await
        })
    }

    fn revoke_family(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool> {
        Box::pin(self.run(move |database| database.durably(|tx| revoke_family(tx, family_id, now_ms))))
    }

    fn revoke_user<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Vec<Uuid>> {
        let wallet = wallet.to_owned();
        Box::pin(self.run(move |database| database.durably(|tx| revoke_user(tx, &wallet, now_ms))))
    }

    fn revoked_since(&self, since_ms: i64) -> Answer<'_, Vec<Uuid>> {
        Box::pin(self.run(move |database| revoked_since(&database.connection, since_ms)))
    }

    fn family_is_live(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool> {
        Box::pin(self.run(move |database| database.family_is_live(family_id, now_ms)))
    }

    fn purge_families(&self, now_ms: i64) -> Answer<'_, u64> {
        Box::pin(self.run(move |database| database.purge_families(now_ms)))
    }

    fn append_event<'a>(&'a self, event: &'a Event) -> Answer<'a, ()> {
        let event = event.storable();
        Box::pin(self.run(move |database| append_event(&database.connection, &event)))
    }

    fn events<'a>(
        &'a self,
        since_ms: i64,
        user: Option<&'a str>,
        level: Level,
        limit: u32,
    ) -> Answer<'a, Vec<Event>> {
        let user = user.map(str::to_owned);
        Box::pin(
            self.run(move |database| events(&database.connection, since_ms, user.as_deref(), level, limit)),
        )
    }

    fn purge_events(&self, before_ms: i64, keep: u32) -> Answer<'_, u64> {
        let sql = "DELETE FROM events WHERE time_ms < ?1 OR id <= (SELECT max(id) FROM events) - ?2";
        Box::pin(
            self.run(move |database| Ok(database.connection.execute(sql, params![before_ms, keep])? as u64)),
        )
    }
}

/// The connection and what the thread does with it.
struct Database {
    connection: Connection,
    settings: Settings,
}

impl Database {
    /// Immediate: a transaction that reads first and writes later could fail when another process (the command
    /// line) writes in between.
    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// For what takes rights away: it must not be forgotten when the power fails. Everything else may lose its last
    /// moments and costs no flush of the disk.
    fn durably<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let done = self.begin().and_then(|tx| {
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        });
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        done
    }

    fn signed_in(&self, wallet: &str, now_ms: i64) -> Result<User, StoreError> {
        let roles = roles_to_text(&[FIRST_ROLE.to_owned()]);
        let mut statement = self.connection.prepare(
            "INSERT INTO users (wallet, roles, disabled, created_ms, seen_ms) VALUES (?1, ?2, FALSE, ?3, ?3)
             ON CONFLICT (wallet) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)
             RETURNING wallet, roles, disabled, created_ms, seen_ms",
        )?;
        let mut rows = statement.query(params![wallet, roles, now_ms])?;
        let user = user_from(rows.next()?.ok_or(StoreError::Damaged)?, 0)?;
        // An INSERT that answers is complete only when it was read to its end.
        while rows.next()?.is_some() {}
        Ok(user)
    }

    fn change_user(
        &mut self,
        sql: &'static str,
        wallet: &str,
        value: &dyn ToSql,
    ) -> Result<Option<User>, StoreError> {
        self.durably(|tx| {
            tx.execute(sql, params![wallet, value])?;
            user(tx, wallet)
        })
    }

    fn begin_family(&mut self, wallet: &str, now_ms: i64) -> Result<Issued, RotateRefused> {
        let row = TokenRow::first(&self.settings, now_ms);
        let token = RefreshToken::random();
        let tx = self.begin()?;
        let user = user(&tx, wallet)?.ok_or(RotateRefused::Unknown)?;
        if user.disabled {
            return Err(RotateRefused::Disabled);
        }
        insert_family(&tx, &row, wallet)?;
        insert_token(&tx, &token.hash(), &row)?;
        tx.commit().map_err(StoreError::from)?;
        Ok(row.issued(token, user))
    }

    fn rotate(&mut self, token: &RefreshToken, now_ms: i64) -> Result<Issued, RotateRefused> {
        let (hash, next) = (token.hash(), self.settings.rotation_key.successor(token));
        let settings = self.settings.clone();
        let tx = self.begin()?;
        let shown = shown(&tx, &hash)?.ok_or(RotateRefused::Unknown)?;
        match shown.decide(now_ms) {
            Decision::Refuse(refused) => return Err(refused),
            Decision::Rotate => {
                let row = TokenRow::after(&shown, &settings, now_ms);
                replace_token(&tx, &hash, &next.hash(), &row)?;
                tx.commit().map_err(StoreError::from)?;
                return Ok(row.issued(next, shown.user));
            }
            Decision::Repeat => {
                // None if the key has changed since.
                if let Some(row) = token_row(&tx, &next.hash())? {
                    return Ok(row.issued(next, shown.user));
                }
            }
            Decision::Revoke => {}
        }
        drop(tx);
        self.durably(|tx| revoke_family(tx, shown.family_id, now_ms))?;
        Err(shown.reused())
    }

    fn end_session(&mut self, hash: &TokenHash, now_ms: i64) -> Result<Option<Session>, StoreError> {
        self.durably(|tx| {
            let Some(shown) = shown(tx, hash)? else { return Ok(None) };
            revoke_family(tx, shown.family_id, now_ms)?;
            Ok(Some(Session { family_id: shown.family_id, wallet: shown.user.wallet }))
        })
    }

    fn family_is_live(&self, family_id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM families WHERE id = ?1 AND revoked_ms IS NULL AND expires_ms > ?2";
        Ok(self.connection.prepare(sql)?.exists(params![family_id, now_ms])?)
    }

    fn purge_families(&mut self, now_ms: i64) -> Result<u64, StoreError> {
        let lifetime_ms = self.settings.refresh_lifetime_ms;
        let ended_before_ms = now_ms.saturating_sub(lifetime_ms);
        let rotated_before_ms = ended_before_ms.saturating_sub(lifetime_ms);
        let tx = self.begin()?;
        let removed = tx.execute("DELETE FROM refresh_tokens WHERE rotated_ms < ?1", [rotated_before_ms])?
            + tx.execute(
                "DELETE FROM families WHERE coalesce(revoked_ms, expires_ms) < ?1",
                [ended_before_ms],
            )?;
        tx.commit()?;
        Ok(removed as u64)
    }
}

fn user(connection: &Connection, wallet: &str) -> Result<Option<User>, StoreError> {
    let mut statement = connection
        .prepare("SELECT wallet, roles, disabled, created_ms, seen_ms FROM users WHERE wallet = ?1")?;
    let mut rows = statement.query([wallet])?;
    rows.next()?.map(|row| user_from(row, 0)).transpose()
}

/// The user in the five columns from `first` on.
fn user_from(row: &Row<'_>, first: usize) -> Result<User, StoreError> {
    Ok(User {
        wallet: row.get(first)?,
        roles: roles_from_text(&row.get::<_, String>(first + 1)?)?,
        disabled: row.get(first + 2)?,
        created_ms: row.get(first + 3)?,
        seen_ms: row.get(first + 4)?,
    })
}

fn shown(tx: &Transaction<'_>, hash: &TokenHash) -> Result<Option<Shown>, StoreError> {
    let mut statement = tx.prepare(
        "SELECT families.id, generation, refresh_tokens.expires_ms, rotated_ms, revoked_ms,
                users.wallet, roles, disabled, users.created_ms, seen_ms
         FROM refresh_tokens JOIN families ON families.id = family JOIN users ON users.wallet = families.wallet
         WHERE hash = ?1",
    )?;
    let mut rows = statement.query([hash])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Shown {
        family_id: row.get(0)?,
        generation: row.get(1)?,
        expires_ms: row.get(2)?,
        rotated_ms: row.get(3)?,
        revoked_ms: row.get(4)?,
        user: user_from(row, 5)?,
    }))
}

fn token_row(tx: &Transaction<'_>, hash: &TokenHash) -> Result<Option<TokenRow>, StoreError> {
    let sql =
        "SELECT family, generation, token_id, issued_ms, expires_ms FROM refresh_tokens WHERE hash = ?1";
    let read = |row: &Row<'_>| {
        Ok(TokenRow {
            family_id: row.get(0)?,
            generation: row.get(1)?,
            token_id: row.get(2)?,
            issued_ms: row.get(3)?,
            expires_ms: row.get(4)?,
        })
    };
    Ok(tx.query_row(sql, [hash], read).optional()?)
}

fn insert_family(tx: &Transaction<'_>, row: &TokenRow, wallet: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO families (id, wallet, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)",
        params![row.family_id, wallet, row.issued_ms, row.expires_ms],
    )?;
    Ok(())
}

fn insert_token(tx: &Transaction<'_>, hash: &TokenHash, row: &TokenRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refresh_tokens (hash, family, generation, token_id, issued_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![hash, row.family_id, row.generation, row.token_id, row.issued_ms, row.expires_ms],
    )?;
    Ok(())
}

fn replace_token(
    tx: &Transaction<'_>,
    hash: &TokenHash,
    next: &TokenHash,
    row: &TokenRow,
) -> Result<(), StoreError> {
    tx.execute("UPDATE refresh_tokens SET rotated_ms = ?2 WHERE hash = ?1", params![hash, row.issued_ms])?;
    insert_token(tx, next, row)?;
    tx.execute("UPDATE families SET expires_ms = ?2 WHERE id = ?1", params![row.family_id, row.expires_ms])?;
    Ok(())
}

fn revoke_family(tx: &Transaction<'_>, family_id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE families SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
    Ok(tx.execute(sql, params![family_id, now_ms])? > 0)
}

fn revoke_user(tx: &Transaction<'_>, wallet: &str, now_ms: i64) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = tx.prepare(
        "UPDATE families SET revoked_ms = ?2 WHERE wallet = ?1 AND revoked_ms IS NULL RETURNING id",
    )?;
    let revoked = statement.query_map(params![wallet, now_ms], |row| row.get(0))?;
    Ok(revoked.collect::<Result<_, _>>()?)
}

fn revoked_since(connection: &Connection, since_ms: i64) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = connection.prepare("SELECT id FROM families WHERE revoked_ms >= ?1")?;
    let revoked = statement.query_map([since_ms], |row| row.get(0))?;
    Ok(revoked.collect::<Result<_, _>>()?)
}

fn append_event(connection: &Connection, event: &Event) -> Result<(), StoreError> {
    let Event { time_ms, kind, outcome, level, user, ip, user_agent, detail, repeated } = event;
    connection.execute(
        "INSERT INTO events (time_ms, kind, outcome, level, wallet, ip, user_agent, detail, repeated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![time_ms, kind, outcome, rank_of(*level), user, ip, user_agent, detail, repeated],
    )?;
    Ok(())
}

fn events(
    connection: &Connection,
    since_ms: i64,
    user: Option<&str>,
    level: Level,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT time_ms, kind, outcome, level, wallet, ip, user_agent, detail, repeated FROM events
         WHERE time_ms >= ?1 AND (?2 IS NULL OR wallet = ?2) AND level >= ?3
         ORDER BY time_ms DESC, id DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![since_ms, user, rank_of(level), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Event {
            time_ms: row.get(0)?,
            kind: row.get(1)?,
            outcome: row.get(2)?,
            level: level_of(row.get(3)?)?,
            user: row.get(4)?,
            ip: row.get(5)?,
            user_agent: row.get(6)?,
            detail: row.get(7)?,
            repeated: row.get(8)?,
        });
    }
    events.reverse();
    Ok(events)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => Self::Busy,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged,
            Some(Code::DiskFull | Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => {
                Self::ReadOnly
            }
            // The extended code tells a failed flush from a failed read.
            Some(_) => Self::Refused {
                code: error.sqlite_error().map_or(0, |error| error.extended_code).to_string(),
            },
            // A column of another type, or a statement that is none: not what this program has written.
            None => Self::Damaged,
        }
    }
}

#[cfg(test)]
mod tests;
