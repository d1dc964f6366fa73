//! Bringing the schema of a PostgreSQL database up to date.

use tokio_postgres::Client;

use crate::store::StoreError;

/// What leads from each version to the next. Never changed once released, only added to.
const MIGRATIONS: [&str; 2] = [
    // The last index of tokens holds by itself that a family has one living token at most.
    "CREATE TABLE users (
        wallet TEXT PRIMARY KEY,
        roles TEXT NOT NULL,
        disabled BOOLEAN NOT NULL,
        created_ms BIGINT NOT NULL,
        seen_ms BIGINT NOT NULL
    );
    CREATE TABLE families (
        id UUID PRIMARY KEY,
        wallet TEXT NOT NULL REFERENCES users (wallet) ON DELETE CASCADE,
        created_ms BIGINT NOT NULL,
        expires_ms BIGINT NOT NULL,
        revoked_ms BIGINT
    );
    CREATE INDEX families_of_wallet ON families (wallet);
    CREATE TABLE refresh_tokens (
        hash BYTEA PRIMARY KEY,
        family UUID NOT NULL REFERENCES families (id) ON DELETE CASCADE,
        generation BIGINT NOT NULL,
        token_id UUID NOT NULL,
        issued_ms BIGINT NOT NULL,
        expires_ms BIGINT NOT NULL,
        rotated_ms BIGINT,
        UNIQUE (family, generation)
    );
    CREATE UNIQUE INDEX one_living_token ON refresh_tokens (family) WHERE rotated_ms IS NULL;
    CREATE TABLE events (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        time_ms BIGINT NOT NULL,
        kind TEXT NOT NULL,
        outcome TEXT NOT NULL,
        level SMALLINT NOT NULL,
        wallet TEXT,
        ip TEXT,
        user_agent TEXT,
        detail TEXT
    );
    CREATE INDEX events_in_time ON events (time_ms);
    CREATE INDEX events_of_wallet ON events (wallet, time_ms);",
    // Every node asks all the time what was revoked just now.
    "ALTER TABLE events ADD COLUMN repeated BIGINT;
    CREATE INDEX families_by_revocation ON families (revoked_ms) WHERE revoked_ms IS NOT NULL;",
];

/// Any number that all nodes agree on: they migrate one after the other.
const LOCK: i64 = 0x5447_4154;

/// Runs the migrations that are missing, all or none.
pub(super) async fn migrate(client: &mut Client, place: &str) -> Result<(), StoreError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    // Asked first: a role that may only use the schema may not say CREATE, not even IF NOT EXISTS.
    let there: bool =
        tx.query_one("SELECT to_regclass('tidegate.schema_version') IS NOT NULL", &[]).await?.try_get(0)?;
    if !there {
        tx.batch_execute(
            "CREATE SCHEMA IF NOT EXISTS tidegate;
             CREATE TABLE tidegate.schema_version (version BIGINT NOT NULL);
             INSERT INTO tidegate.schema_version VALUES (0);",
        )
        .await?;
    }
    let found: i64 = tx.query_one("SELECT max(version) FROM schema_version", &[]).await?.try_get(0)?;
    let known = MIGRATIONS.len();
    let Some(missing) = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(StoreError::Newer { place: place.into(), found, known: known as i64 });
    };
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        tx.batch_execute(migration).await?;
    }
    tx.execute("UPDATE schema_version SET version = $1", &[&(known as i64)]).await?;
    Ok(tx.commit().await?)
}
