//! The HTTP side: signing in and market data.

use serde_json::{Value, json};
use tidegate_server::auth::keys::{KeyKind, SigningKey};
use tidegate_server::auth::token::Tokens;
use tidegate_server::config::{SigningKeyFile, TrustedIssuer};

use crate::command_line::Folder;
use crate::sessions::{refresh, signed_in};
use crate::support::late::Late;
use crate::support::wallet::Wallet;
use crate::support::{Gateway, V1, config};

async fn challenge(gateway: &Gateway, wallet: &Wallet) -> Value {
    let body = json!({"wallet_address": wallet.address().to_string().to_lowercase()});
    let (status, challenge) = gateway.post("/api/auth/challenge", &body.to_string()).await;
    assert_eq!(status, 200, "{challenge}");
    challenge
}

async fn verify(gateway: &Gateway, wallet: &Wallet, message: &str, signature: &str) -> (u16, Value) {
    let body =
        json!({"wallet_address": wallet.address().to_string(), "message": message, "signature": signature});
    gateway.post("/api/auth/verify", &body.to_string()).await
}

#[tokio::test]
async fn a_wallet_signs_in_and_connects_with_its_token() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(9);
    let challenge = challenge(&gateway, &wallet).await;
    let message = challenge["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{} wants you to sign in", gateway.address)), "{message}");
    let (status, answer) = verify(&gateway, &wallet, message, &wallet.sign(message)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["wallet_address"], wallet.address().to_checksum(None));
    let path = format!("/ws?token={}", answer["token"].as_str().unwrap());
    let mut client = gateway.upgrade(&path, &[]).await.unwrap();
    assert_eq!(client.expect("connected").await["payload"]["user_id"], answer["wallet_address"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_signature_counts_once_for_its_own_wallet_and_message() {
    let gateway = Gateway::start().await;
    let (wallet, other) = (Wallet::new(9), Wallet::new(10));
    let issued = challenge(&gateway, &wallet).await;
    let message = issued["message"].as_str().unwrap();
    let signature = wallet.sign(message);
    assert_eq!(verify(&gateway, &wallet, message, &signature).await.0, 200);
    let (status, again) = verify(&gateway, &wallet, message, &signature).await;
    assert_eq!((status, &again["code"]), (401, &json!("invalid_token")));

    let issued = challenge(&gateway, &wallet).await;
    let message = issued["message"].as_str().unwrap();
    let stolen = verify(&gateway, &other, message, &other.sign(message)).await;
    let forged = verify(&gateway, &wallet, message, &other.sign(message)).await;
    let made_up = verify(&gateway, &wallet, "hello", &wallet.sign("hello")).await;
    assert_eq!([stolen.0, forged.0, made_up.0], [401; 3]);
    assert!(stolen.1 == forged.1 && forged.1 == made_up.1, "all are answered alike");
    gateway.stop().await;
}

/// T-23: whatever is changed in a message, and signed all the same, gets one and the same refusal.
#[tokio::test]
async fn t_23_a_changed_challenge_is_refused_without_a_reason_and_burns_its_nonce() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(9);
    let own = wallet.address().to_checksum(None);
    let other = Wallet::new(10).address().to_checksum(None);
    let address = gateway.address.to_string();
    let mut refusals = Vec::new();
    for (part, instead) in [
        (format!("{address} wants"), "evil.example wants".to_owned()),
        (format!("URI: http://{address}"), "URI: http://evil.example".into()),
        ("Chain ID: 1".into(), "Chain ID: 2".into()),
        (own.clone(), other),
        (own.clone(), own.to_lowercase()),
        ("Issued At: 2".into(), "Issued At: 3".into()),
        ("\nExpiration Time: 2".into(), "\nExpiration Time: 3".into()),
        ("Nonce: ".into(), "Nonce: 0".into()),
        ("costs nothing".into(), "costs nöthing".into()),
        ("\n".into(), "\r\n".into()),
        ("\nNonce".into(), "\nRequest ID: 1\nNonce".into()),
    ] {
        let issued = challenge(&gateway, &wallet).await;
        let message = issued["message"].as_str().unwrap();
        let changed = message.replace(&part, &instead);
        assert_ne!(message, changed, "{part}");
        let (status, refused) = verify(&gateway, &wallet, &changed, &wallet.sign(&changed)).await;
        assert_eq!(status, 401, "{instead}: {refused}");
        refusals.push(refused);
        if !instead.starts_with("Nonce") {
            let late = verify(&gateway, &wallet, message, &wallet.sign(message)).await;
            assert_eq!(late.0, 401, "{instead} burns the nonce");
        }
    }
    assert!(refusals.iter().all(|refused| *refused == refusals[0]), "{refusals:?}");
    let huge = "x".repeat(1 << 20);
    assert_eq!(verify(&gateway, &wallet, &huge, "0x").await.0, 413);
    gateway.stop().await;
}

/// Whoever checks our tokens elsewhere asks for our keys: here another gateway does.
#[tokio::test]
async fn public_keys_are_published_and_another_gateway_accepts_tokens_by_them() {
    let folder = Folder::new();
    let mut signing = config();
    signing.auth.jwt_secret = Default::default();
    signing.auth.issuer = "https://first.example".into();
    for (name, kind) in [("new", KeyKind::EdDsa), ("old", KeyKind::Es256)] {
        let file = folder.path(name).into();
        std::fs::write(&file, SigningKey::generate(kind).as_bytes()).unwrap();
        signing.auth.signing_keys.push(SigningKeyFile { file, kid: Some(name.into()) });
    }
    let minted = Tokens::open(&signing.auth).unwrap();
    let first = Gateway::with(signing).await;
    let (status, published) = first.get("/.well-known/jwks.json").await;
    let keys = published["keys"].as_array().unwrap();
    assert_eq!((status, keys.len()), (200, 2), "{published}");
    assert_eq!(
        [&keys[0]["kid"], &keys[1]["kid"], &keys[0]["alg"]],
        [&json!("new"), &json!("old"), &json!("EdDSA")]
    );
    assert!(keys.iter().all(|key| key.get("d").is_none() && key["use"] == "sig"), "{published}");

    let mut trusting = config();
    trusting.auth.trusted_issuers.push(TrustedIssuer {
        issuer: "https://first.example".into(),
        audience: "tidegate".into(),
        jwks_url: Some(format!("http://{}/.well-known/jwks.json", first.address)),
        public_key_file: None,
        roles: vec!["user".into()],
    });
    let second = Gateway::with(trusting).await;
    assert_eq!(
        second.get("/.well-known/jwks.json").await,
        (200, json!({"keys": []})),
        "a secret is no public key"
    );
    let token =
        minted.mint(crate::support::WALLET, &["user"], "s", "j", tidegate_server::clock::wall_ms()).token;
    let mut client = second.upgrade(&format!("/ws?token={token}"), &[V1]).await.unwrap();
    assert_eq!(client.hear().await["type"], "connected");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn t_25_too_many_unanswered_challenges_are_refused_with_429() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(9);
    for _ in 0..20 {
        challenge(&gateway, &wallet).await;
    }
    let body = json!({"wallet_address": Wallet::new(10).address().to_string()});
    let (status, error) = gateway.post("/api/auth/challenge", &body.to_string()).await;
    assert_eq!((status, &error["code"]), (429, &json!("rate_limited")));
    assert!(error["error"].as_str().unwrap().starts_with("20 sign-ins from your network wait"), "{error}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_valid_is_told_why() {
    let gateway = Gateway::start().await;
    let (status, error) = gateway.post("/api/auth/challenge", "{\"wallet_address\":\"0x12\"}").await;
    assert_eq!(status, 400);
    assert_eq!(error["error"], "`wallet_address` must be `0x` and 40 hexadecimal digits");
    assert_eq!(gateway.post("/api/auth/challenge", "{").await.0, 400);
    assert_eq!(gateway.post("/api/auth/verify", "[]").await.0, 400);
    assert_eq!(gateway.post("/api/auth/verify", &" ".repeat(20_000)).await.0, 413);
    let table = [
        ("/api/perps/klines", 400, "`symbol` is missing: one of BTCUSDT, ETHUSDT"),
        ("/api/perps/klines?symbol=X", 404, "Unknown symbol `X`. Available: BTCUSDT, ETHUSDT"),
        (
            "/api/perps/klines?symbol=BTCUSDT&interval=2m",
            400,
            "`interval` must be one of 1m, 5m, 15m, 1h, 4h, 1d",
        ),
        ("/api/perps/klines?symbol=BTCUSDT&limit=0", 400, "`limit` must be a whole number from 1 to 1500"),
        ("/api/perps/scalp-indicator?symbol=x", 404, "Unknown symbol `x`. Available: BTCUSDT, ETHUSDT"),
        (
            "/api/signals/hold/BTCUSDT",
            404,
            "Unknown strategy `hold`. Available: range_trading, momentum, scalp",
        ),
        ("/api/signals/scalp/BTCUSDT?limit=513", 400, "`limit` must be a whole number from 1 to 512"),
        (
            "/api/signals/scalp/BTCUSDT?since=x",
            400,
            "`since` must be a whole number from 0 to 9007199254740991",
        ),
        (
            "/api/outcomes/scalp/BTCUSDT?fee=lots",
            400,
            "`fee` must be a number from 0 to 5, in percent a side",
        ),
        ("/api/nothing", 404, "there is nothing at this address"),
    ];
    assert_eq!(gateway.post("/api/nothing", "{}").await.0, 404);
    for (path, status) in [
        ("/api/perps/klines?symbol=A&symbol=B", 400),
        ("/api/signals/%ff/BTCUSDT", 400),
        ("/api/auth/challenge", 405),
    ] {
        let (found, error) = gateway.get(path).await;
        assert_eq!(found, status, "{path}");
        assert!(error["code"].is_string() && error["error"].is_string(), "{path}: {error}");
    }
    for (path, status, text) in table {
        let (found, error) = gateway.get(path).await;
        assert_eq!((found, error["error"].as_str()), (status, Some(text)), "{path}");
        assert!(error["code"].is_string(), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn market_data_is_served_for_every_symbol_and_interval() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get("/health").await, (200, json!({"status": "ok"})));
    let (_, symbols) = gateway.get("/api/perps/symbols").await;
    assert_eq!(symbols["symbols"], json!(["BTCUSDT", "ETHUSDT"]));
    assert_eq!((&symbols["count"], &symbols["interval"]), (&json!(2), &json!("1m")));
    for (interval, minutes) in [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60), ("4h", 240)] {
        let path = format!("/api/perps/klines?symbol=BTCUSDT&interval={interval}&limit=4");
        let (_, klines) = gateway.get(&path).await;
        let klines = klines.as_array().unwrap();
        assert_eq!(klines.len(), 4, "{interval}");
        for pair in klines.windows(2) {
            assert_eq!(pair[1][0].as_i64().unwrap() - pair[0][0].as_i64().unwrap(), minutes * 60_000);
            assert_eq!(pair[0][6].as_i64().unwrap() + 1, pair[1][0].as_i64().unwrap());
        }
        let price = |column: usize| klines[0][column].as_str().unwrap().parse::<f64>().unwrap();
        assert!(price(3) <= price(1) && price(1) <= price(2) && price(3) <= price(4) && price(4) <= price(2));
    }
    let (_, default) = gateway.get("/api/perps/klines?symbol=ETHUSDT").await;
    assert_eq!(default.as_array().unwrap().len(), 100);
    let (_, scalp) = gateway.get("/api/perps/scalp-indicator?symbol=ETHUSDT").await;
    assert_eq!(scalp["symbol"], "ETHUSDT");
    assert_eq!(scalp["tp_percent"], 0.15);
    let (_, momentum) = gateway.get("/api/perps/momentum-indicator?symbol=ETHUSDT").await;
    assert_eq!((&momentum["symbol"], &momentum["sl_percent"]), (&json!("ETHUSDT"), &json!(0.2)));
    let (_, range) = gateway.get("/api/perps/range-trading-indicator?symbol=ETHUSDT").await;
    assert!(range["range_24h"]["high"].as_f64() > range["range_24h"]["low"].as_f64(), "{range}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_history_of_a_feed_is_served_as_it_was_sent() {
    let gateway = Gateway::start().await;
    let (_, newest) = gateway.get("/api/signals/scalp/BTCUSDT?limit=3").await;
    let newest = newest["signals"].as_array().unwrap();
    assert_eq!(newest.len(), 3);
    assert_eq!(newest[1]["prev"], newest[0]["seq"]);
    let path = format!("/api/signals/scalp/BTCUSDT?since={}&limit=2", newest[0]["seq"]);
    let (_, after) = gateway.get(&path).await;
    assert_eq!(after["signals"][0], newest[1]);
    assert_eq!(after["signals"][1], newest[2]);
    let (_, kept) = gateway.get("/api/signals/scalp/BTCUSDT?limit=512").await;
    let with_a_side =
        kept["signals"].as_array().unwrap().iter().filter(|kept| kept["data"]["side"] != "NEUTRAL");
    let seqs: Vec<_> = with_a_side.map(|kept| &kept["seq"]).collect();
    let judged: Vec<_> = kept["outcomes"].as_array().unwrap().iter().map(|outcome| &outcome["seq"]).collect();
    assert_eq!(judged, seqs, "each that was LONG or SHORT");
    let (_, outcomes) = gateway.get("/api/outcomes/scalp/BTCUSDT?fee=0.02").await;
    assert!(outcomes["signals"].as_u64().unwrap() > 20, "{outcomes}");
    assert!((outcomes["break_even_rate"].as_f64().unwrap() - 0.56).abs() < 1e-9, "{outcomes}");
    gateway.stop().await;
}

/// Signs in and gives the whole answer.
#[tokio::test]
async fn t_20_a_refresh_token_is_exchanged_once_and_an_honest_retry_gets_the_same_pair() {
    let gateway = Gateway::start().await;
    let first = signed_in(&gateway, &Wallet::new(3)).await;
    assert!(first["refresh_expires_at"].as_str().unwrap() > first["expires_at"].as_str().unwrap());
    let both =
        tokio::join!(refresh(&gateway, &first["refresh_token"]), refresh(&gateway, &first["refresh_token"]));
    assert_eq!(both.0, both.1, "two at once get the same pair");
    let (status, second) = both.0;
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let path = format!("/ws?token={}", second["token"].as_str().unwrap());
    let mut client = gateway.upgrade(&path, &[]).await.expect("the new token is good");
    client.expect("connected").await;
    let (status, refused) = refresh(&gateway, &json!("tgr_made_up")).await;
    assert_eq!((status, &refused["code"]), (401, &json!("invalid_token")));
    assert_eq!(gateway.post("/api/auth/refresh", "{}").await.0, 400);
    gateway.stop().await;
}

#[tokio::test]
async fn t_21_signing_out_ends_the_session_and_its_connections() {
    let late = Late::watch();
    let gateway = Gateway::start().await;
    let (one, other) =
        (signed_in(&gateway, &Wallet::new(4)).await, signed_in(&gateway, &Wallet::new(4)).await);
    let path = |answer: &Value| format!("/ws?token={}", answer["token"].as_str().unwrap());
    let mut ended = gateway.upgrade(&path(&one), &[V1]).await.unwrap();
    let mut kept = gateway.upgrade(&path(&other), &[V1]).await.unwrap();
    ended.expect("connected").await;
    kept.expect("connected").await;
    let started = std::time::Instant::now();
    let body = json!({ "refresh_token": one["refresh_token"] }).to_string();
    assert_eq!(gateway.post("/api/auth/logout", &body).await.0, 204);
    assert_eq!(ended.closed().await, (4001, "Session revoked".into()));
    println!("figure: closed {:?} after signing out", started.elapsed());
    assert!(started.elapsed() < std::time::Duration::from_secs(1) + late.by());
    assert_eq!(refresh(&gateway, &one["refresh_token"]).await.0, 401);
    assert_eq!(gateway.upgrade(&path(&one), &[]).await.err().map(|refused| refused.0), Some(401));
    kept.ask(json!({"type": "ping"}), "pong").await;
    assert_eq!(refresh(&gateway, &other["refresh_token"]).await.0, 200);
    assert_eq!(gateway.post("/api/auth/logout", &body).await.0, 204, "once more changes nothing");
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_in_a_file_survives_a_restart() {
    let folder = Folder::new();
    let mut config = config();
    config.store.file = folder.path("tidegate.db").into();
    let gateway = Gateway::with(config.clone()).await;
    let first = signed_in(&gateway, &Wallet::new(5)).await;
    gateway.stop().await;
    let gateway = Gateway::with(config).await;
    let (status, second) = refresh(&gateway, &first["refresh_token"]).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(second["wallet_address"], first["wallet_address"]);
    gateway.stop().await;
}
