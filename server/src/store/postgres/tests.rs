//! Against a server of its own, which the test starts when its programs are on this machine.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::*;
use crate::config::{Secret, StoreConfig};
use crate::store::model::{self, LIFETIME_MS};
use crate::store::suite::{CASES, Folder, NOW_MS, WALLET, pair, settings};

/// A PostgreSQL server on a socket in a folder; it ends with the value.
struct Server {
    folder: Folder,
    programs: PathBuf,
    /// Whom it runs as, if the test runs as root: PostgreSQL refuses that.
    run_as: Option<(u32, u32)>,
    process: Option<Child>,
}

impl Server {
    /// None without its programs.
    fn make() -> Option<Self> {
        let programs = programs()?;
        let folder = Folder::new();
        let is_root = folder.0.metadata().unwrap().uid() == 0;
        let run_as = if is_root { Some(unprivileged()?) } else { None };
        if let Some((user, group)) = run_as {
            std::os::unix::fs::chown(&folder.0, Some(user), Some(group)).unwrap();
        }
        let mut server = Self { folder, programs, run_as, process: None };
        let made = server
            .command("initdb")
            .args(["--auth=trust", "--username=tidegate", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start();
        Some(server)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.folder.0.join("data")).current_dir(&self.folder.0).stdin(Stdio::null());
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }

    fn start(&mut self) {
        let process = self
            .command("postgres")
            .arg("-k")
            .arg(&self.folder.0)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let stopped = self.command("pg_ctl").args(["stop", "-m", "fast"]).stdout(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = process.kill();
        }
        let _ = process.wait();
    }

    fn address(&self, database: &str) -> String {
        format!("host={} user=tidegate dbname={database}", self.folder.0.display())
    }

    /// A connection of its own, as soon as the server answers.
    async fn connect(&self, database: &str) -> Client {
        let mut refusal = None;
        for _ in 0..300 {
            match tokio_postgres::connect(&self.address(database), NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection.map(drop));
                    return client;
                }
                Err(error) => refusal = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not answer: {refusal:?}");
    }

    async fn fresh_database(&self, name: &str) -> String {
        let client = self.connect("postgres").await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        self.address(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder of `initdb` and its like: of the path, or the newest of those that Debian hides.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    let mut hidden: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    hidden.sort();
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
    };
    on_path.into_iter().chain(hidden.into_iter().rev()).find(complete)
}

/// User and group of somebody without rights.
fn unprivileged() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

/// One test, because a server takes seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_a_real_server_keep_every_rule() {
    let Some(mut server) = Server::make() else {
        return println!("skipped: no PostgreSQL programs (initdb, postgres, pg_ctl) on this machine");
    };
    for (number, (name, case)) in CASES.into_iter().enumerate() {
        println!("{name}");
        let address = server.fresh_database(&format!("case_{number}")).await;
        // At once: only one of them makes the schema.
        let (one, two) = tokio::join!(
            PostgresStore::open(&address, settings()),
            PostgresStore::open(&address, settings())
        );
        case([Arc::new(one.unwrap()), Arc::new(two.unwrap())]).await;
    }
    families_follow_the_model(&server).await;
    a_newer_schema_is_refused(&server).await;
    the_configuration_opens_it(&server).await;
    a_server_that_comes_back_is_found_again(&mut server).await;
}

/// As two gateways do, whose configurations share the database and the key.
async fn the_configuration_opens_it(server: &Server) {
    let address = server.fresh_database("configured").await;
    let config = |address: &str| StoreConfig {
        postgres: Secret::new(address.into()),
        rotation_key: Secret::new("fedcba9876543210fedcba9876543210".into()),
        ..StoreConfig::default()
    };
    let one = crate::store::open(&config(&address)).await.unwrap();
    let two = crate::store::open(&config(&address)).await.unwrap();
    one.signed_in(WALLET, NOW_MS).await.unwrap();
    let first = one.begin_family(WALLET, NOW_MS).await.unwrap().refresh_token.to_text();
    let answers = [one.rotate(&first, NOW_MS).await.unwrap(), two.rotate(&first, NOW_MS).await.unwrap()];
    assert_eq!(pair(&answers[0]), pair(&answers[1]), "one key, one successor");

    let failure = crate::store::open(&config("postgres://me:hunter2@127.0.0.1:1/nowhere")).await.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("TG-STO-001") && text.contains("check store.postgres"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

async fn families_follow_the_model(server: &Server) {
    let address = server.fresh_database("model").await;
    let settings = Settings { refresh_lifetime_ms: LIFETIME_MS, ..settings() };
    let store = PostgresStore::open(&address, settings).await.unwrap();
    let mut runner = TestRunner::deterministic();
    for number in 0..24 {
        let steps = model::steps().new_tree(&mut runner).unwrap().current();
        println!("{steps:?}");
        model::play(&store, &format!("0x{number:040x}"), &steps).await;
    }
}

async fn a_newer_schema_is_refused(server: &Server) {
    let address = server.fresh_database("newer").await;
    drop(PostgresStore::open(&address, settings()).await.unwrap());
    let client = server.connect("newer").await;
    client.batch_execute("UPDATE tidegate.schema_version SET version = 7").await.unwrap();
    let error = PostgresStore::open(&address, settings()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 7, known: 2, .. }), "{error:?}");

    let missing = PostgresStore::open(&server.address("nowhere"), settings()).await.unwrap_err();
    assert!(missing.to_string().contains("\"nowhere\" does not exist"), "{missing}");
}

async fn a_server_that_comes_back_is_found_again(server: &mut Server) {
    let address = server.fresh_database("restart").await;
    let store = PostgresStore::open(&address, settings()).await.unwrap();
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    let token = store.begin_family(WALLET, NOW_MS).await.unwrap().refresh_token.to_text();
    server.stop();
    let refusal = Store::rotate(&store, &token, NOW_MS).await.unwrap_err();
    assert!(matches!(refusal, RotateRefused::Store(_)), "{refusal:?}");
    assert!(!refusal.to_string().contains(&token[4..]));
    server.start();
    drop(server.connect("restart").await);
    // The first call may still be told that the old connection has ended.
    let _ = store.user(WALLET).await;
    assert_eq!(Store::rotate(&store, &token, NOW_MS).await.unwrap().generation, 1);
}

#[test]
fn a_connection_in_clear_stays_on_this_machine_unless_told_otherwise() {
    for address in [
        "postgres://me:secret@db.example/tidegate",
        "postgres://me:secret@10.0.0.7/tidegate?sslmode=prefer",
        "host=localhost,db.example user=me password=secret",
        "host=localhost hostaddr=10.0.0.7 user=me password=secret",
        "postgres://me:secret@db.example:port/tidegate",
        "nonsense=secret",
    ] {
        let error = parse(address).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    for (address, expected) in [
        ("postgres://me:secret@db.example/tidegate?sslmode=disable", "tidegate on db.example"),
        ("postgres://me:secret@127.0.0.1/tidegate", "tidegate on 127.0.0.1"),
        ("host=/run/postgresql user=me password=secret", "me on /run/postgresql"),
    ] {
        assert_eq!(place(&parse(address).unwrap()), expected);
    }
}
