use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::store::model::{self, LIFETIME_MS};
use crate::store::suite::{CASES, Folder, NOW_MS, Nodes, WALLET, pair, settings};
use crate::store::{REFRESH_LIFETIME_MS, REUSE_GRACE_MS, RotationKey};

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, settings())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_keep_every_rule() {
    for (name, case) in CASES {
        println!("{name}");
        let folder = Folder::new();
        let node = || Arc::new(open(&folder.0.join("tidegate.db")).unwrap());
        case([node(), node()]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_memory_keeps_every_rule() {
    for (name, case) in CASES {
        println!("{name}");
        let node: Arc<dyn Store> = Arc::new(SqliteStore::in_memory(settings()).unwrap());
        let nodes: Nodes = [Arc::clone(&node), node];
        case(nodes).await;
    }
}

#[tokio::test]
async fn a_file_keeps_what_it_was_told_over_a_restart() {
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");
    let store = open(&path).unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let first = store.begin_family(WALLET, NOW_MS).await.unwrap();
    let next = store.rotate(&first.refresh_token.to_text(), NOW_MS).await.unwrap();
    let ended = store.begin_family(WALLET, NOW_MS).await.unwrap();
    store.revoke_family(ended.family_id, NOW_MS).await.unwrap();
    drop(store);

    let store = open(&path).unwrap();
    assert_eq!(store.user(WALLET).await.unwrap().unwrap().created_ms, NOW_MS);
    assert!(!store.family_is_live(ended.family_id, NOW_MS).await.unwrap());
    let repeated = store.rotate(&first.refresh_token.to_text(), NOW_MS + REUSE_GRACE_MS).await.unwrap();
    assert_eq!(pair(&repeated), pair(&next), "the grace goes on");
    drop(store);

    // Another key: what is out stays valid, but a repeat cannot be answered.
    let settings = Settings { rotation_key: RotationKey::random(), refresh_lifetime_ms: REFRESH_LIFETIME_MS };
    let store = SqliteStore::open(&path, settings).unwrap();
    let newer = store.rotate(&next.refresh_token.to_text(), NOW_MS + 20_000).await.unwrap();
    assert_eq!(newer.generation, 2);
    let refusal = store.rotate(&first.refresh_token.to_text(), NOW_MS + 1).await.unwrap_err();
    assert!(matches!(refusal, RotateRefused::Reused { .. }), "{refusal:?}");
}

#[tokio::test]
async fn no_file_holds_a_token_in_clear() {
    let folder = Folder::new();
    let store = open(&folder.0.join("tidegate.db")).unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let first = store.begin_family(WALLET, NOW_MS).await.unwrap();
    let next = store.rotate(&first.refresh_token.to_text(), NOW_MS).await.unwrap();
    let written: Vec<u8> = std::fs::read_dir(&folder.0)
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let holds = |needle: &[u8]| written.windows(needle.len()).any(|window| window == needle);
    assert!(holds(WALLET.as_bytes()), "the search works");
    for token in [&first.refresh_token, &next.refresh_token] {
        let text = token.to_text();
        let bytes = alloy_primitives::hex::decode(&text[4..]).unwrap();
        assert!(!holds(text.as_bytes()) && !holds(&text.as_bytes()[4..]) && !holds(&bytes));
        assert!(holds(&token.hash()));
    }
    let shown = format!("{first:?} {store:?}");
    assert!(!shown.contains(&first.refresh_token.to_text()[4..12]), "{shown}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = open(&path).unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and its index");
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");

    let garbage = "this is no database, and it is longer than the header of one would be. ".repeat(20);
    std::fs::write(&path, &garbage).unwrap();
    assert_eq!(open(&path).unwrap_err(), StoreError::Damaged);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);

    std::fs::remove_file(&path).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(foreign);
    assert!(matches!(open(&path).unwrap_err(), StoreError::Foreign { .. }));

    let missing = folder.0.join("no-such-folder").join("tidegate.db");
    for path in [missing.as_path(), folder.0.as_path()] {
        let error = open(path).unwrap_err();
        assert!(matches!(&error, StoreError::Open { place, .. } if *place == path.display().to_string()));
        assert!(error.to_string().starts_with("the database "), "{error}");
    }
}

#[test]
fn a_new_file_is_made_once_by_many_at_the_same_time() {
    for _ in 0..10 {
        let folder = Folder::new();
        let path = folder.0.join("tidegate.db");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for store in opened {
            store.unwrap();
        }
    }
}

#[test]
fn a_store_waits_for_another_program_that_writes() {
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        other.execute_batch("COMMIT").unwrap();
    });
    open(&path).unwrap();
    release.join().unwrap();
}

#[test]
fn a_newer_file_is_refused_with_the_way_out() {
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");
    drop(open(&path).unwrap());
    for version in [7, -1] {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found, known: 2, .. } if found == version), "{error:?}");
        assert!(error.to_string().contains("run the newer program"), "{error}");
    }
}

#[tokio::test]
async fn damage_inside_of_a_file_is_an_error_and_nothing_worse() {
    let folder = Folder::new();
    let path = folder.0.join("tidegate.db");
    let store = open(&path).unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let token = store.begin_family(WALLET, NOW_MS).await.unwrap().refresh_token.to_text();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4_096..] {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.user(WALLET).await.unwrap_err(), StoreError::Damaged);
    let refusal = store.rotate(&token, NOW_MS).await.unwrap_err();
    assert_eq!(refusal, RotateRefused::Store(StoreError::Damaged));
    assert!(!refusal.to_string().contains(&token[4..]));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_damage() {
    let store = SqliteStore::in_memory(settings()).unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let spoil = |database: &mut Database| {
        database.connection.execute("UPDATE users SET roles = 'nonsense'", [])?;
        Ok::<_, StoreError>(())
    };
    store.run(spoil).await.unwrap();
    assert_eq!(store.user(WALLET).await.unwrap_err(), StoreError::Damaged);
}

/// Tokens and families that live by the database's own account.
async fn living(store: &SqliteStore, now_ms: i64) -> (u32, u32) {
    let count = move |database: &mut Database| {
        let sql = "SELECT count(*), count(DISTINCT family) FROM refresh_tokens JOIN families ON id = family
                   WHERE rotated_ms IS NULL AND refresh_tokens.expires_ms > ?1 AND revoked_ms IS NULL";
        Ok::<_, StoreError>(
            database.connection.query_row(sql, [now_ms], |row| Ok((row.get(0)?, row.get(1)?)))?,
        )
    };
    store.run(count).await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p10_no_sequence_leaves_more_than_one_living_token(steps in model::steps()) {
        let settings = Settings { refresh_lifetime_ms: LIFETIME_MS, ..settings() };
        let store = SqliteStore::in_memory(settings).unwrap();
        runtime().block_on(async {
            let (now_ms, expected) = model::play(&store, WALLET, &steps).await;
            assert_eq!(living(&store, now_ms).await, (expected, expected));
        });
    }
}
