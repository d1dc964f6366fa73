//! The store in a PostgreSQL database that several nodes share, in a schema of its own named `tidegate`.
//!
//! One connection, which is made again when it breaks. It is not encrypted: elsewhere than on this machine the
//! operator has to say that this is meant.

mod schema;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, GenericClient, NoTls, Row, Transaction};
use uuid::Uuid;

use super::event::{level_of, rank_of};
use super::family::{Decision, Shown, TokenRow};
use super::token::TokenHash;
use super::{
    Answer, Event, FIRST_ROLE, Issued, Level, RefreshToken, RotateRefused, Session, Settings, Store,
    StoreError, User, roles_from_text, roles_to_text,
};

/// How long a caller waits for an answer, the making of a connection included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What every connection starts with. A statement ends before its caller stops waiting.
const SESSION: &str = "SET search_path = tidegate; SET statement_timeout = '5s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s'";

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    place: String,
    config: Config,
    client: Mutex<Option<Client>>,
    settings: Settings,
}

impl PostgresStore {
    /// Connects to the database that `address` describes (`postgres://user:password@host/name` or
    /// `host=… dbname=…`) and brings its schema up to date. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError`] when the address is not valid, names another machine without `sslmode=disable`, the server
    /// does not let us in, or a newer program has changed the schema.
    pub async fn open(address: &str, settings: Settings) -> Result<Self, StoreError> {
        let config = parse(address)?;
        let place = place(&config);
        let store = Self { place, config, client: Mutex::default(), settings };
        within(async {
            let mut client = store.lease().await?;
            schema::migrate(&mut client, &store.place).await
        })
        .await?;
        Ok(store)
    }

    /// The connection, for one caller at a time.
    async fn lease(&self) -> Result<MappedMutexGuard<'_, Client>, StoreError> {
        let mut client = self.client.lock().await;
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = Some(self.connect().await?);
        }
        MutexGuard::try_map(client, Option::as_mut).map_err(|_| StoreError::Unreachable)
    }

    async fn connect(&self) -> Result<Client, StoreError> {
        let cannot = |error: &tokio_postgres::Error| {
            let problem = error.as_db_error().map_or_else(|| chain(error), |error| error.message().into());
            StoreError::Open { place: self.place.clone(), problem }
        };
        let (client, connection) = self.config.connect(NoTls).await.map_err(|error| cannot(&error))?;
        tokio::spawn(connection.map(drop));
        client.batch_execute(SESSION).await?;
        Ok(client)
    }

    async fn signed_in(&self, wallet: &str, now_ms: i64) -> Result<User, StoreError> {
        let roles = roles_to_text(&[FIRST_ROLE.to_owned()]);
        let sql = "INSERT INTO users (wallet, roles, disabled, created_ms, seen_ms)
                   VALUES ($1, $2, FALSE, $3, $3)
                   ON CONFLICT (wallet) DO UPDATE SET seen_ms = greatest(users.seen_ms, excluded.seen_ms)
                   RETURNING wallet, roles, disabled, created_ms, seen_ms";
        user_from(&self.lease().await?.query_one(sql, &[&wallet, &roles, &now_ms]).await?, 0)
    }

    async fn user(&self, wallet: &str) -> Result<Option<User>, StoreError> {
        let sql = "SELECT wallet, roles, disabled, created_ms, seen_ms FROM users WHERE wallet = $1";
        optional_user(self.lease().await?.query_opt(sql, &[&wallet]).await?)
    }

    async fn change_user(
        &self,
        sql: &'static str,
        wallet: &str,
        value: &(dyn ToSql + Sync),
    ) -> Result<Option<User>, StoreError> {
        optional_user(self.lease().await?.query_opt(sql, &[&wallet, value]).await?)
    }

    async fn begin_family(&self, wallet: &str, now_ms: i64) -> Result<Issued, RotateRefused> {
        let row = TokenRow::first(&self.settings, now_ms);
        let token = RefreshToken::random();
        let mut client = self.lease().await?;
        let tx = begin(&mut client).await?;
        // Locked, so that who disables the user and then revokes its families finds this one too.
        let sql =
            "SELECT wallet, roles, disabled, created_ms, seen_ms FROM users WHERE wallet = $1 FOR SHARE";
        let found = tx.query_opt(sql, &[&wallet]).await.map_err(StoreError::from)?;
        let user = optional_user(found)?.ok_or(RotateRefused::Unknown)?;
        if user.disabled {
            return Err(RotateRefused::Disabled);
        }
        insert_family(&tx, &row, wallet).await?;
        insert_token(&tx, &token.hash(), &row).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(row.issued(token, user))
    }

    async fn rotate(&self, token: &RefreshToken, now_ms: i64) -> Result<Issued, RotateRefused> {
        let (hash, next) = (token.hash(), self.settings.rotation_key.successor(token));
        let mut client = self.lease().await?;
        let tx = begin(&mut client).await?;
        let shown = shown(&tx, &hash).await?.ok_or(RotateRefused::Unknown)?;
        match shown.decide(now_ms) {
            Decision::Refuse(refused) => return Err(refused),
            Decision::Rotate => {
                let row = TokenRow::after(&shown, &self.settings, now_ms);
                replace_token(&tx, &hash, &next.hash(), &row).await?;
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(row.issued(next, shown.user));
            }
            Decision::Repeat => {
                // None if the key has changed since.
                if let Some(row) = token_row(&tx, &next.hash()).await? {
                    return Ok(row.issued(next, shown.user));
                }
            }
            Decision::Revoke => {}
        }
        revoke_family(&tx, shown.family_id, now_ms).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Err(shown.reused())
    }

    async fn end_session(&self, hash: &TokenHash, now_ms: i64) -> Result<Option<Session>, StoreError> {
        let mut client = self.lease().await?;
        let tx = begin(&mut client).await?;
        let Some(shown) = shown(&tx, hash).await? else { return Ok(None) };
        revoke_family(&tx, shown.family_id, now_ms).await?;
        tx.commit().await?;
        Ok(Some(Session { family_id: shown.family_id, wallet: shown.user.wallet }))
    }

    async fn revoke_family(&self, family_id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        revoke_family(&*self.lease().await?, family_id, now_ms).await
    }

    async fn revoke_user(&self, wallet: &str, now_ms: i64) -> Result<Vec<Uuid>, StoreError> {
        let sql = "UPDATE families SET revoked_ms = $2 WHERE wallet = $1 AND revoked_ms IS NULL RETURNING id";
        let rows = self.lease().await?.query(sql, &[&wallet, &now_ms]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    async fn revoked_since(&self, since_ms: i64) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT id FROM families WHERE revoked_ms >= $1";
        let rows = self.lease().await?.query(sql, &[&since_ms]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    async fn family_is_live(&self, family_id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM families WHERE id = $1 AND revoked_ms IS NULL AND expires_ms > $2";
        Ok(self.lease().await?.query_opt(sql, &[&family_id, &now_ms]).await?.is_some())
    }

    async fn purge_families(&self, now_ms: i64) -> Result<u64, StoreError> {
        let lifetime_ms = self.settings.refresh_lifetime_ms;
        let ended_before_ms = now_ms.saturating_sub(lifetime_ms);
        let rotated_before_ms = ended_before_ms.saturating_sub(lifetime_ms);
        let mut client = self.lease().await?;
        let tx = begin(&mut client).await?;
        let removed =
            tx.execute("DELETE FROM refresh_tokens WHERE rotated_ms < $1", &[&rotated_before_ms]).await?
                + tx.execute(
                    "DELETE FROM families WHERE coalesce(revoked_ms, expires_ms) < $1",
                    &[&ended_before_ms],
                )
                .await?;
        tx.commit().await?;
        Ok(removed)
    }

    async fn append_event(&self, event: &Event) -> Result<(), StoreError> {
        let Event { time_ms, kind, outcome, level, user, ip, user_agent, detail, repeated } =
            &event.storable();
        let sql =
            "INSERT INTO events (time_ms, kind, outcome, level, wallet, ip, user_agent, detail, repeated)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (level, repeated) = (rank_of(*level), repeated.map(i64::from));
        let values: [&(dyn ToSql + Sync); 9] =
            [time_ms, kind, outcome, &level, user, ip, user_agent, detail, &repeated];
        self.lease().await?.execute(sql, &values).await?;
        Ok(())
    }

    async fn events(
        &self,
        since_ms: i64,
        user: Option<&str>,
        level: Level,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT time_ms, kind, outcome, level, wallet, ip, user_agent, detail, repeated FROM events
                   WHERE time_ms >= $1 AND ($2::text IS NULL OR wallet = $2) AND level >= $3
                   ORDER BY time_ms DESC, id DESC LIMIT $4";
        let (level, limit) = (rank_of(level), i64::from(limit));
        let rows = self.lease().await?.query(sql, &[&since_ms, &user, &level, &limit]).await?;
        rows.iter().rev().map(event_from).collect()
    }

    async fn purge_events(&self, before_ms: i64, keep: u32) -> Result<u64, StoreError> {
        let sql = "DELETE FROM events WHERE time_ms < $1 OR id <= (SELECT max(id) FROM events) - $2";
        Ok(self.lease().await?.execute(sql, &[&before_ms, &i64::from(keep)]).await?)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store for PostgresStore {
    fn signed_in<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, User> {
        within(self.signed_in(wallet, now_ms)).boxed()
    }

    fn user<'a>(&'a self, wallet: &'a str) -> Answer<'a, Option<User>> {
        within(self.user(wallet)).boxed()
    }

    fn set_roles<'a>(&'a self, wallet: &'a str, roles: &'a [String]) -> Answer<'a, Option<User>> {
        let roles = roles_to_text(roles);
        let sql = "UPDATE users SET roles = $2 WHERE wallet = $1
                   RETURNING wallet, roles, disabled, created_ms, seen_ms";
        within(async move { self.change_user(sql, wallet, &roles).await }).boxed()
    }

    fn set_disabled<'a>(&'a self, wallet: &'a str, disabled: bool) -> Answer<'a, Option<User>> {
        let sql = "UPDATE users SET disabled = $2 WHERE wallet = $1
                   RETURNING wallet, roles, disabled, created_ms, seen_ms";
        within(async move { self.change_user(sql, wallet, &disabled).await }).boxed()
    }

    fn begin_family<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused> {
        within(self.begin_family(wallet, now_ms)).boxed()
    }

    fn rotate<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused> {
        within(async move {
            let token = RefreshToken::parse(refresh_token).ok_or(RotateRefused::Unknown)?;
            self.rotate(&token, now_ms).await
        })
        .boxed()
    }

    fn end_session<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Option<Session>> {
        within(async move {
            let Some(token) = RefreshToken::parse(refresh_token) else { return Ok(None) };
            self.end_session(&token.hash(), now_ms).await
        })
        .boxed()
    }

    fn revoke_family(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool> {
        within(self.revoke_family(family_id, now_ms)).boxed()
    }

    fn revoke_user<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Vec<Uuid>> {
        within(self.revoke_user(wallet, now_ms)).boxed()
    }

    fn revoked_since(&self, since_ms: i64) -> Answer<'_, Vec<Uuid>> {
        within(self.revoked_since(since_ms)).boxed()
    }

    fn family_is_live(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool> {
        within(self.family_is_live(family_id, now_ms)).boxed()
    }

    fn purge_families(&self, now_ms: i64) -> Answer<'_, u64> {
        within(self.purge_families(now_ms)).boxed()
    }

    fn append_event<'a>(&'a self, event: &'a Event) -> Answer<'a, ()> {
        within(self.append_event(event)).boxed()
    }

    fn events<'a>(
        &'a self,
        since_ms: i64,
        user: Option<&'a str>,
        level: Level,
        limit: u32,
    ) -> Answer<'a, Vec<Event>> {
        within(self.events(since_ms, user, level, limit)).boxed()
    }

    fn purge_events(&self, before_ms: i64, keep: u32) -> Answer<'_, u64> {
        within(self.purge_events(before_ms, keep)).boxed()
    }
}

fn parse(address: &str) -> Result<Config, StoreError> {
    let cannot = |problem: &str| StoreError::Open { place: "in PostgreSQL".into(), problem: problem.into() };
    // The parser's own words may repeat a part of the address, and with it a password.
    let mut config: Config = address.parse().map_err(|_| {
        cannot("its address is not valid: write postgres://user:password@host/name or host=… dbname=…")
    })?;
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    // `hostaddr` is where the connection goes, whatever the host is called.
    let local = config.get_hosts().iter().all(is_local)
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    if !local && config.get_ssl_mode() != SslMode::Disable {
        return Err(cannot(
            "it is on another machine and the connection is not encrypted: \
             use a tunnel, or add sslmode=disable on a network that is yours alone",
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("tidegate");
    }
    // A server that vanished is noticed.
    config.tcp_user_timeout(ANSWER_TIMEOUT).keepalives_idle(Duration::from_secs(30));
    Ok(config)
}

/// Where the database is, without user and password.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map_or("localhost".into(), ToString::to_string),
    };
    format!("{} on {host}", config.get_dbname().or(config.get_user()).unwrap_or("postgres"))
}

/// An error of a connection that was not made, with its causes.
fn chain(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Nobody waits for ever.
async fn within<T, E: From<StoreError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or_else(|_| Err(StoreError::Busy.into()))
}

/// A transaction that is dropped is rolled back.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, StoreError> {
    Ok(client.transaction().await?)
}

fn optional_user(row: Option<Row>) -> Result<Option<User>, StoreError> {
    row.map(|row| user_from(&row, 0)).transpose()
}

/// The user in the five columns from `first` on.
fn user_from(row: &Row, first: usize) -> Result<User, StoreError> {
    Ok(User {
        wallet: row.try_get(first)?,
        roles: roles_from_text(row.try_get(first + 1)?)?,
        disabled: row.try_get(first + 2)?,
        created_ms: row.try_get(first + 3)?,
        seen_ms: row.try_get(first + 4)?,
    })
}

/// Locks the token and its family until the transaction ends: the next who shows the token sees what became of it.
async fn shown(tx: &Transaction<'_>, hash: &TokenHash) -> Result<Option<Shown>, StoreError> {
    let sql = "SELECT families.id, generation, refresh_tokens.expires_ms, rotated_ms, revoked_ms,
                      users.wallet, roles, disabled, users.created_ms, seen_ms
               FROM refresh_tokens JOIN families ON families.id = family
                    JOIN users ON users.wallet = families.wallet
               WHERE hash = $1 FOR UPDATE OF refresh_tokens, families";
    let Some(row) = tx.query_opt(sql, &[&hash.as_slice()]).await? else { return Ok(None) };
    Ok(Some(Shown {
        family_id: row.try_get(0)?,
        generation: generation_from(&row, 1)?,
        expires_ms: row.try_get(2)?,
        rotated_ms: row.try_get(3)?,
        revoked_ms: row.try_get(4)?,
        user: user_from(&row, 5)?,
    }))
}

fn generation_from(row: &Row, column: usize) -> Result<u32, StoreError> {
    u32::try_from(row.try_get::<_, i64>(column)?).map_err(|_| StoreError::Damaged)
}

async fn token_row(tx: &Transaction<'_>, hash: &TokenHash) -> Result<Option<TokenRow>, StoreError> {
    let sql =
        "SELECT family, generation, token_id, issued_ms, expires_ms FROM refresh_tokens WHERE hash = $1";
    let Some(row) = tx.query_opt(sql, &[&hash.as_slice()]).await? else { return Ok(None) };
    Ok(Some(TokenRow {
        family_id: row.try_get(0)?,
        generation: generation_from(&row, 1)?,
        token_id: row.try_get(2)?,
        issued_ms: row.try_get(3)?,
        expires_ms: row.try_get(4)?,
    }))
}

async fn insert_family(tx: &Transaction<'_>, row: &TokenRow, wallet: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO families (id, wallet, created_ms, expires_ms) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[&row.family_id, &wallet, &row.issued_ms, &row.expires_ms]).await?;
    Ok(())
}

async fn insert_token(tx: &Transaction<'_>, hash: &TokenHash, row: &TokenRow) -> Result<(), StoreError> {
    let TokenRow { family_id, generation, token_id, issued_ms, expires_ms } = row;
    let sql = "INSERT INTO refresh_tokens (hash, family, generation, token_id, issued_ms, expires_ms)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let generation = i64::from(*generation);
    tx.execute(sql, &[&hash.as_slice(), family_id, &generation, token_id, issued_ms, expires_ms]).await?;
    Ok(())
}

async fn replace_token(
    tx: &Transaction<'_>,
    hash: &TokenHash,
    next: &TokenHash,
    row: &TokenRow,
) -> Result<(), StoreError> {
    let sql = "UPDATE refresh_tokens SET rotated_ms = $2 WHERE hash = $1";
    tx.execute(sql, &[&hash.as_slice(), &row.issued_ms]).await?;
    insert_token(tx, next, row).await?;
    let sql = "UPDATE families SET expires_ms = $2 WHERE id = $1";
    tx.execute(sql, &[&row.family_id, &row.expires_ms]).await?;
    Ok(())
}

async fn revoke_family(
    client: &impl GenericClient,
    family_id: Uuid,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE families SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL";
    Ok(client.execute(sql, &[&family_id, &now_ms]).await? > 0)
}

fn event_from(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        time_ms: row.try_get(0)?,
        kind: row.try_get(1)?,
        outcome: row.try_get(2)?,
        level: level_of(row.try_get(3)?)?,
        user: row.try_get(4)?,
        ip: row.try_get(5)?,
        user_agent: row.try_get(6)?,
        detail: row.try_get(7)?,
        repeated: row.try_get::<_, Option<i64>>(8)?.map(|times| u32::try_from(times).unwrap_or(u32::MAX)),
    })
}

impl From<tokio_postgres::Error> for StoreError {
    /// By code alone: a message of the server may repeat values.
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error as _;
        let Some(code) = error.code() else {
            let lost = error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
            // Otherwise a column of another type, or an answer that is none.
            return if lost { Self::Unreachable } else { Self::Damaged };
        };
        let busy = [
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        let read_only =
            [SqlState::DISK_FULL, SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::INSUFFICIENT_PRIVILEGE];
        let leaving = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
        let damaged = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
        if busy.contains(code) {
            Self::Busy
        } else if read_only.contains(code) {
            Self::ReadOnly
        } else if leaving.contains(code) {
            Self::Unreachable
        } else if damaged.contains(code) {
            Self::Damaged
        } else {
            Self::Refused { code: code.code().into() }
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
