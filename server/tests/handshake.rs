//! How a connection becomes authenticated, and how it does not.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_server::auth::keys::{KeyKind, SigningKey};
use tidegate_server::auth::token::Tokens;
use tidegate_server::clock::wall_ms;
use tidegate_server::config::{AuthConfig, SigningKeyFile, TrustedIssuer};
use tokio::net::TcpListener;

use crate::command_line::Folder;
use crate::support::raw::{Raw, handshake};
use crate::support::{Client, Gateway, OTHER_WALLET, V1, WALLET, config, token, token_at};

#[tokio::test]
async fn a_token_is_accepted_in_the_url_in_the_header_and_in_the_first_message() {
    let gateway = Gateway::start().await;
    let token = token(WALLET);
    let mut by_url = gateway.upgrade(&format!("/ws?token={token}"), &[]).await.unwrap();
    let header = format!("Bearer {token}");
    let mut by_header = gateway.upgrade("/ws", &[("authorization", &header)]).await.unwrap();
    for client in [&mut by_url, &mut by_header] {
        let connected = client.hear().await;
        assert_eq!(connected["type"], "connected");
        assert_eq!(connected["id"], 0);
        assert_eq!(connected["payload"]["wallet_address"], WALLET);
        assert_eq!(connected["payload"]["limits"]["messages_per_minute"], 30);
    }
    let mut by_message = gateway.connect().await;
    by_message.say(json!({"type": "authenticate", "id": 4, "token": token})).await;
    let (first, second) = (by_message.hear().await, by_message.hear().await);
    assert_eq!((&first["type"], &first["id"]), (&json!("authenticated"), &json!(4)));
    assert_eq!((&second["type"], &second["id"]), (&json!("connected"), &json!(0)));
    assert_ne!(second["payload"]["session_id"], "");
    gateway.stop().await;
}

#[tokio::test]
async fn a_plain_client_with_a_bad_token_is_refused_before_the_upgrade() {
    let gateway = Gateway::start().await;
    let expired = token_at(WALLET, wall_ms() - 3_600_000);
    for bad in ["wrong", &expired, "", &"x".repeat(5_000)] {
        let refused = gateway.upgrade(&format!("/ws?token={bad}"), &[]).await.err().expect("refused");
        assert_eq!(refused, (401, "Invalid authentication token".into()));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_v1_client_with_a_bad_token_is_upgraded_told_and_closed() {
    let gateway = Gateway::start().await;
    let mut client = gateway.upgrade("/ws?token=wrong", &[V1]).await.unwrap();
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "tidegate.v1");
    let told = client.hear().await;
    assert_eq!(
        told,
        json!({"type":"auth_error","id":0,"payload":{"error":"Invalid authentication token","code":"invalid_token"}})
    );
    assert_eq!(client.closed().await, (4001, "Invalid token".into()));
    let mut client = gateway.upgrade("/ws", &[V1]).await.unwrap();
    assert_eq!(
        client.ask(json!({"type":"authenticate","id":2,"token":"wrong"}), "auth_error").await["payload"]["code"],
        "invalid_token"
    );
    assert_eq!(client.closed().await, (4001, "Invalid token".into()));
    gateway.stop().await;
}

#[tokio::test]
async fn credentials_in_two_places_are_refused() {
    let gateway = Gateway::start().await;
    let token = token(WALLET);
    let header = format!("Bearer {token}");
    let path = format!("/ws?token={token}");
    let refused = gateway.upgrade(&path, &[("authorization", &header)]).await.err();
    assert_eq!(refused, Some((400, "Ambiguous credentials".into())));
    gateway.stop().await;
}

#[tokio::test]
async fn a_path_with_a_user_id_is_for_that_user_only() {
    let gateway = Gateway::start().await;
    let token = token(WALLET);
    let mut own = gateway.upgrade(&format!("/ws/{WALLET}?token={token}"), &[]).await.unwrap();
    own.expect("connected").await;
    let refused = gateway.upgrade(&format!("/ws/0xother?token={token}"), &[]).await.err();
    assert_eq!(refused.map(|(status, _)| status), Some(403));
    let mut later = gateway.upgrade("/ws/0xother", &[V1]).await.unwrap();
    later.say(json!({"type": "authenticate", "token": token})).await;
    assert_eq!(later.expect("error").await["payload"]["code"], "forbidden");
    assert_eq!(later.closed().await, (4003, "Access denied".into()));
    gateway.stop().await;
}

#[tokio::test]
async fn t_14_a_path_that_names_nobody_or_somebody_else_lets_nobody_in() {
    let gateway = Gateway::start().await;
    let token = token(WALLET);
    let long = "0".repeat(10 * 1_024);
    for (path, expected) in [
        ("/ws/..", 403),
        ("/ws/%2e%2e%2f", 403),
        ("/ws/%2F", 403),
        ("/ws/;", 403),
        ("/ws/%C3%A9", 403),
        ("/ws/%FF", 400),
        ("/ws/a/b", 404),
        ("/ws//", 404),
        (&format!("/ws/{OTHER_WALLET}"), 403),
        (&format!("/ws/{long}"), 414),
    ] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(handshake(&format!("{path}?token={token}"), "")).await;
        assert_eq!(raw.answer().await.status, expected, "{path:.60}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_does_not_authenticate_is_closed_after_five_seconds() {
    let gateway = Gateway::start().await;
    let started = Instant::now();
    let (mut plain, mut v1) = (gateway.connect().await, gateway.upgrade("/ws", &[V1]).await.unwrap());
    let early = plain.ask(json!({"type": "ping", "id": 8}), "error").await;
    assert_eq!(early["payload"], json!({"error": "Authentication required", "code": "unauthenticated"}));
    let told = plain.hear().await;
    assert_eq!(
        told["payload"]["error"],
        "Authentication timeout. You must authenticate within 5 seconds of connecting."
    );
    assert_eq!(plain.closed().await, (1008, "Authentication timeout".into()));
    assert_eq!(v1.closed().await, (4030, "Authentication timeout".into()));
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(4_900), "not before its time: {waited:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_fourth_connection_is_refused_until_one_leaves() {
    let gateway = Gateway::start().await;
    let [first, ..] =
        [gateway.signed_in().await, gateway.signed_in().await, gateway.signed_in().await].map(Client::idle);
    let path = format!("/ws?token={}", token(WALLET));
    let text = "Connection limit exceeded: maximum 3 connections per user";
    assert_eq!(gateway.upgrade(&path, &[]).await.err(), Some((429, text.into())));
    let mut v1 = gateway.upgrade(&path, &[V1]).await.unwrap();
    assert_eq!(v1.expect("error").await["payload"], json!({"error": text, "code": "connection_limit"}));
    assert_eq!(v1.closed().await, (4008, "Max connections reached".into()));
    let other = format!("/ws?token={}", token(OTHER_WALLET));
    assert!(gateway.upgrade(&other, &[]).await.is_ok(), "other users are not touched");
    first.abort();
    while gateway.upgrade(&path, &[]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_takes_the_place_of_its_own_ghost() {
    let gateway = Gateway::start().await;
    let mut ghost = gateway.upgrade(&format!("/ws?token={}", token(WALLET)), &[V1]).await.unwrap();
    let session = ghost.expect("connected").await["payload"]["session_id"].clone();
    let (_second, _third) = (gateway.signed_in().await, gateway.signed_in().await);
    let mut new = gateway.connect().await;
    new.say(json!({"type": "authenticate", "token": token(WALLET), "session": session})).await;
    new.expect("authenticated").await;
    new.expect("connected").await;
    assert_eq!(ghost.closed().await, (4000, "Replaced".into()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_stopping_gateway_tells_its_clients_when_to_come_back() {
    let gateway = Gateway::with(config()).await;
    let mut client = gateway.signed_in().await;
    let (_, told) = tokio::join!(gateway.stop(), async {
        let away = client.expect("going_away").await;
        (away, client.closed().await)
    });
    assert!(told.0["payload"]["reconnect_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{}", told.0);
    assert_eq!(told.1, (1012, "Server restarting".into()));
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_is_checked_with_the_keys_that_it_publishes() {
    let folder = Folder::new();
    let issuer_with = |pem: &str| {
        let file = PathBuf::from(folder.path("key.pem"));
        std::fs::write(&file, pem).unwrap();
        let config = AuthConfig {
            issuer: "https://login.example".into(),
            audience: "gateway".into(),
            signing_keys: vec![SigningKeyFile { file, kid: Some("k1".into()) }],
            ..AuthConfig::default()
        };
        Tokens::open(&config).unwrap()
    };
    let pem = SigningKey::generate(KeyKind::Es256);
    let elsewhere = issuer_with(&pem);
    let key = SigningKey::from_pem(&pem, Some("k1")).unwrap();
    let keys = json!({"keys": [key.verifying().public_jwk("k1")]});
    let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let jwks_url = format!("http://{}/keys", issuer.local_addr().unwrap());
    let router = axum::Router::new().route("/keys", axum::routing::get(|| async { axum::Json(keys) }));
    tokio::spawn(async move { axum::serve(issuer, router).await.unwrap() });

    let mut config = config();
    config.auth.trusted_issuers = vec![TrustedIssuer {
        issuer: "https://login.example".into(),
        audience: "gateway".into(),
        jwks_url: Some(jwks_url),
        public_key_file: None,
        roles: vec!["user".into()],
    }];
    let gateway = Gateway::with(config).await;
    let token = elsewhere.mint(WALLET, &["user", "admin"], "sid", "jti", wall_ms()).token;
    let mut client = gateway.upgrade(&format!("/ws?token={token}"), &[]).await.expect("it is trusted");
    let connected = client.expect("connected").await;
    assert_eq!(connected["payload"]["roles"], json!(["user"]), "admin is not theirs to give");

    let forger = issuer_with(&SigningKey::generate(KeyKind::Es256));
    let forged = forger.mint(WALLET, &["user"], "sid", "jti", wall_ms()).token;
    let refused = gateway.upgrade(&format!("/ws?token={forged}"), &[]).await.err();
    assert_eq!(refused, Some((401, "Invalid authentication token".into())));
    gateway.stop().await;
}
