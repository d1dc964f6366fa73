//! Refresh families over HTTP: exchanged, repeated, stolen, and what becomes of their connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command_line::Folder;
use crate::support::late::Late;
use crate::support::wallet::Wallet;
use crate::support::{Gateway, V1, config};

/// Signs in and says what came of it.
pub(crate) async fn sign_in(gateway: &Gateway, wallet: &Wallet) -> (u16, Value) {
    let address = wallet.address().to_checksum(None);
    let body = json!({ "wallet_address": address }).to_string();
    let (status, challenge) = gateway.post("/api/auth/challenge", &body).await;
    assert_eq!(status, 200, "{challenge}");
    let message = challenge["message"].as_str().unwrap();
    let body = json!({"wallet_address": address, "message": message, "signature": wallet.sign(message)});
    gateway.post("/api/auth/verify", &body.to_string()).await
}

pub(crate) async fn signed_in(gateway: &Gateway, wallet: &Wallet) -> Value {
    let (status, answer) = sign_in(gateway, wallet).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

pub(crate) async fn refresh(gateway: &Gateway, refresh_token: &Value) -> (u16, Value) {
    gateway.post("/api/auth/refresh", &json!({ "refresh_token": refresh_token }).to_string()).await
}

/// A gateway on a file, in which a test can make an exchange look older than it is.
struct Aged {
    gateway: Gateway,
    folder: Folder,
}

impl Aged {
    async fn start() -> Self {
        let folder = Folder::new();
        let mut config = config();
        config.store.file = folder.path("tidegate.db").into();
        Self { gateway: Gateway::with(config).await, folder }
    }

    /// All exchanges happened so much earlier.
    fn age(&self, milliseconds: i64) {
        let database = rusqlite::Connection::open(self.folder.path("tidegate.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        let sql = "UPDATE refresh_tokens SET rotated_ms = rotated_ms - ?1 WHERE rotated_ms IS NOT NULL";
        assert!(database.execute(sql, [milliseconds]).unwrap() > 0);
    }
}

#[tokio::test]
async fn t_20_many_parallel_exchanges_of_one_token_give_one_pair_and_one_living_family() {
    let Aged { gateway, folder } = Aged::start().await;
    let first = signed_in(&gateway, &Wallet::new(31)).await;
    let answers =
        futures_util::future::join_all((0..8).map(|_| refresh(&gateway, &first["refresh_token"]))).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 200);
    let (status, third) = refresh(&gateway, &answers[0].1["refresh_token"]).await;
    assert_eq!(status, 200, "{third}");
    let (status, replayed) = refresh(&gateway, &first["refresh_token"]).await;
    assert_eq!((status, &replayed), (200, &answers[0].1), "inside of the grace the answer is the same again");
    gateway.stop().await;
    let database = rusqlite::Connection::open(folder.path("tidegate.db")).unwrap();
    let living = "SELECT count(*) FROM refresh_tokens JOIN families ON id = family
                  WHERE rotated_ms IS NULL AND revoked_ms IS NULL";
    let living: u32 = database.query_row(living, [], |row| row.get(0)).unwrap();
    assert_eq!(living, 1, "one living token");
}

#[tokio::test]
async fn t_20_a_token_that_is_used_again_after_the_grace_ends_its_family_and_closes_its_sockets() {
    let late = Late::watch();
    let aged = Aged::start().await;
    let gateway = &aged.gateway;
    let (stolen, other) =
        (signed_in(gateway, &Wallet::new(32)).await, signed_in(gateway, &Wallet::new(32)).await);
    let (_, thief) = refresh(gateway, &stolen["refresh_token"]).await;
    let mut clients = Vec::new();
    for token in [&stolen["token"], &thief["token"], &other["token"]] {
        let path = format!("/ws?token={}", token.as_str().unwrap());
        let mut client = gateway.upgrade(&path, &[V1]).await.unwrap();
        client.expect("connected").await;
        clients.push(client);
    }
    // The grace is ten seconds: at its very end an answer that was lost is still given again.
    aged.age(9_000);
    assert_eq!(refresh(gateway, &stolen["refresh_token"]).await, (200, thief.clone()));
    aged.age(1_100);
    let started = Instant::now();
    let (status, refused) = refresh(gateway, &stolen["refresh_token"]).await;
    assert_eq!((status, &refused["code"]), (401, &json!("invalid_token")));
    let mut kept = clients.pop().unwrap();
    for client in &mut clients {
        assert_eq!(client.closed().await, (4001, "Session revoked".into()));
    }
    println!(
        "figure: its sockets were closed {:?} after a stolen refresh token was used again",
        started.elapsed()
    );
    assert!(started.elapsed() < Duration::from_secs(1) + late.by(), "{:?}", started.elapsed());
    for token in [&stolen, &thief] {
        assert_eq!(refresh(gateway, &token["refresh_token"]).await.0, 401, "none of the family lives");
        let path = format!("/ws?token={}", token["token"].as_str().unwrap());
        assert_eq!(gateway.upgrade(&path, &[]).await.err().map(|refused| refused.0), Some(401));
    }
    kept.ask(json!({"type": "ping"}), "pong").await;
    assert_eq!(refresh(gateway, &other["refresh_token"]).await.0, 200, "another session of the user lives");
    aged.gateway.stop().await;
}

#[tokio::test]
async fn t_18_a_refresh_token_opens_no_connection_and_an_access_token_refreshes_nothing() {
    let gateway = Gateway::start().await;
    let session = signed_in(&gateway, &Wallet::new(33)).await;
    let path = format!("/ws?token={}", session["refresh_token"].as_str().unwrap());
    assert_eq!(gateway.upgrade(&path, &[]).await.err().map(|refused| refused.0), Some(401));
    let (status, refused) = refresh(&gateway, &session["token"]).await;
    assert_eq!((status, &refused["code"]), (401, &json!("invalid_token")));
    assert_eq!(refresh(&gateway, &session["refresh_token"]).await.0, 200, "and the session goes on");
    gateway.stop().await;
}

/// The gateway runs on one thread here, and there is one more for what takes a while.
#[test]
fn t_62_a_signer_is_recovered_beside_the_threads_that_serve_sockets() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let gateway = Gateway::start().await;
        let wallet = Wallet::new(34);
        let address = wallet.address().to_checksum(None);
        let body = json!({ "wallet_address": address }).to_string();
        let (_, challenge) = gateway.post("/api/auth/challenge", &body).await;
        let message = challenge["message"].as_str().unwrap();
        let body = json!({"wallet_address": address, "message": message, "signature": wallet.sign(message)});
        let body = body.to_string();
        let mut client = gateway.signed_in().await;
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || held.recv().is_err());
        {
            let mut sign_in = std::pin::pin!(gateway.post("/api/auth/verify", &body));
            for id in 0..20 {
                tokio::select! {
                    biased;
                    answer = &mut sign_in => panic!("recovered on a thread that serves sockets: {answer:?}"),
                    pong = client.ask(json!({"type": "ping", "id": id}), "pong") => assert_eq!(pong["id"], id),
                }
            }
            drop(let_go);
            assert!(busy.await.unwrap());
            assert_eq!(sign_in.await.0, 200);
        }
        gateway.stop().await;
    });
}
