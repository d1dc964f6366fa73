//! Who may connect, from where, with which token, and what each role may do: over real sockets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_server::auth::token::Tokens;
use tidegate_server::clock::wall_ms;
use tidegate_server::config::Secret;

use crate::command_line::{Folder, tidegate};
use crate::support::{Client, Gateway, V1, WALLET, config, token, token_at, token_of};

const ADMIN: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

/// Every way to show a token with the handshake: the path's query and the headers.
fn shown(way: &str, token: &str) -> (String, Vec<(&'static str, String)>) {
    let page = || ("origin", "http://app.example".to_owned());
    match way {
        "header" => ("/ws".into(), vec![("authorization", format!("Bearer {token}"))]),
        "subprotocol" => {
            ("/ws".into(), vec![("sec-websocket-protocol", format!("tidegate.v1, tidegate.bearer.{token}"))])
        }
        "query" => (format!("/ws?token={token}"), Vec::new()),
        "cookie" => ("/ws".into(), vec![page(), ("cookie", format!("access_token={token}"))]),
        other => panic!("{other}"),
    }
}

async fn gateway() -> Gateway {
    let mut config = config();
    config.server.allowed_origins = vec!["http://app.example".into()];
    Gateway::with(config).await
}

async fn upgrade(
    gateway: &Gateway,
    way: &str,
    token: &str,
    extra: &[(&str, &str)],
) -> Result<Client, (u16, String)> {
    let (path, headers) = shown(way, token);
    let headers: Vec<_> =
        extra.iter().copied().chain(headers.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    gateway.upgrade(&path, &headers).await
}

/// Tokens of one kind; `None` is none at all.
fn tokens_of(state: &str) -> Vec<Option<String>> {
    let good = token(WALLET);
    let [header, claims, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let admin = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap().replace("user", "admin");
    let elsewhere = Secret::new("another secret, as long as that of the gateway".into());
    let elsewhere = Tokens::new(&elsewhere, "tidegate", "tidegate", 15);
    let none = encoded(r#"{"typ":"at+jwt","alg":"none"}"#);
    let mut cut = good.clone();
    cut.pop();
    let tokens = match state {
        "valid" => vec![good.clone()],
        "expired" => vec![token_at(WALLET, wall_ms() - 3_600_000)],
        "forged" => vec![
            cut,
            "x".into(),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{header}.{}.{signature}", encoded(&admin)),
            elsewhere.mint(WALLET, &["user"], "s", "j", wall_ms()).token,
            token_at(WALLET, wall_ms() + 60_000),
        ],
        "absent" => return vec![None],
        other => panic!("{other}"),
    };
    tokens.into_iter().map(Some).collect()
}

/// Shows `token` in this way; with none, the same handshake without it.
async fn show(gateway: &Gateway, way: &str, token: Option<&str>, v1: bool) -> Result<Client, (u16, String)> {
    let v1 = if v1 { &[V1][..] } else { &[] };
    let Some(token) = token else { return gateway.upgrade("/ws", v1).await };
    if way != "message" {
        // Who offers the token as a subprotocol offers the real one beside it anyway.
        let extra = if way == "subprotocol" { &[] } else { v1 };
        return upgrade(gateway, way, token, extra).await;
    }
    let mut client = gateway.upgrade("/ws", v1).await?;
    client.say(json!({"type": "authenticate", "id": 7, "token": token})).await;
    Ok(client)
}

#[tokio::test]
async fn t_01_t_02_every_source_with_every_kind_of_token_for_both_kinds_of_client() {
    let gateway = gateway().await;
    let mut cases = 0;
    for way in ["header", "subprotocol", "query", "cookie", "message"] {
        // The token as a subprotocol is for v1 clients alone: without `tidegate.v1` beside it nothing is agreed on.
        for v1 in [false, true].into_iter().filter(|v1| *v1 || way != "subprotocol") {
            for state in ["valid", "expired", "forged", "absent"] {
                for token in tokens_of(state) {
                    cases += 1;
                    let what = format!("{way}, {state}, v1 {v1}: {token:?}");
                    let shown = show(&gateway, way, token.as_deref(), v1).await;
                    judge(&what, shown, way, state, v1).await;
                }
            }
        }
    }
    assert_eq!(cases, 9 * 10);
    gateway.stop().await;
}

/// What section 2 of the protocol says comes of it.
async fn judge(what: &str, shown: Result<Client, (u16, String)>, way: &str, state: &str, v1: bool) {
    let id = json!(if way == "message" { 7 } else { 0 });
    let refused_before = !v1 && way != "message" && matches!(state, "expired" | "forged");
    if refused_before {
        assert_eq!(shown.err(), Some((401, "Invalid authentication token".into())), "{what}");
        return;
    }
    let mut client = shown.unwrap_or_else(|refused| panic!("{what}: {refused:?}"));
    match state {
        "valid" => {
            if way == "message" {
                let reply = client.hear().await;
                assert_eq!((&reply["type"], &reply["id"]), (&json!("authenticated"), &id), "{what}");
            }
            assert_eq!(client.hear().await["type"], "connected", "{what}");
        }
        "absent" => {
            let told = client.ask(json!({"type": "ping", "id": 3}), "error").await;
            assert_eq!(told["payload"]["code"], "unauthenticated", "{what}");
        }
        _ => {
            let error = client.hear().await;
            let code = if state == "expired" { "token_expired" } else { "invalid_token" };
            let payload = json!({"error": "Invalid authentication token", "code": code});
            assert_eq!(error, json!({"type": "auth_error", "id": id, "payload": payload}), "{what}");
            let close = if v1 { 4001 } else { 1008 };
            assert_eq!(client.closed().await, (close, "Invalid token".into()), "{what}");
        }
    }
}

#[tokio::test]
async fn t_04_a_token_in_an_odd_place_or_of_an_odd_form_lets_nobody_in() {
    let gateway = gateway().await;
    let good = token(WALLET);
    let invalid = Some((401, "Invalid authentication token".to_owned()));
    for path in [
        format!("/ws?token={good}%00"),
        format!("/ws?token=%00{good}"),
        format!("/ws?token={}", "x".repeat(5 * 1_024)),
        "/ws?token=".into(),
        format!("/ws?token={good}%20"),
        format!("/ws?token={}", good.replace('.', "%2e")),
    ] {
        assert_eq!(gateway.upgrade(&path, &[]).await.err(), invalid, "{path}");
    }
    let twice = format!("/ws?token={good}&token={good}");
    let ambiguous = Some((400, "Ambiguous credentials".to_owned()));
    assert_eq!(gateway.upgrade(&twice, &[]).await.err(), ambiguous);
    // These are no places for a token: whoever is upgraded has shown none.
    for path in [format!("/ws?Token={good}"), format!("/ws?access_token={good}"), format!("/ws/{good}")] {
        let mut client = gateway.upgrade(&path, &[]).await.unwrap();
        let told = client.ask(json!({"type": "ping"}), "error").await;
        assert_eq!(told["payload"]["code"], "unauthenticated", "{path}");
    }
    // A fragment never leaves a client that keeps to the rules; one that does not gets no further.
    let (status, _) = gateway.get(&format!("/ws#token={good}")).await;
    assert!((400..500).contains(&status), "{status}");
    gateway.stop().await;
}

#[tokio::test]
async fn t_03_two_tokens_are_ambiguous_and_a_cookie_beside_one_is_ignored() {
    let gateway = gateway().await;
    let token = token(WALLET);
    let bearer = format!("Bearer {token}");
    for way in ["subprotocol", "query"] {
        let refused = upgrade(&gateway, way, &token, &[("authorization", &bearer)]).await.err();
        assert_eq!(refused, Some((400, "Ambiguous credentials".into())), "{way}");
    }
    let mut client = upgrade(&gateway, "header", &token, &[("cookie", "access_token=bad")]).await.unwrap();
    assert_eq!(client.hear().await["type"], "connected");
    gateway.stop().await;
}

#[tokio::test]
async fn t_05_t_06_foreign_pages_are_refused_and_a_cookie_needs_a_page() {
    let gateway = gateway().await;
    let token = token(WALLET);
    for origin in [
        "null",
        "https://app.example",
        "http://app.example:81",
        "http://app.example:80",
        "http://evil-app.example",
        "http://app.example.evil.example",
        "http://evil.example/http://app.example",
        "http://APP.example",
        "http://app.example.",
        "http://app.example/",
        "http://user@app.example",
        "http://xn--pp-xqa.example",
        "file://",
    ] {
        for way in ["header", "query"] {
            let (status, body) =
                upgrade(&gateway, way, &token, &[("origin", origin)]).await.err().expect("refused");
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, &body["error"]), (403, &json!("Origin not allowed")), "{origin}");
        }
    }
    let cookie = format!("access_token={token}");
    let twice = [("origin", "http://app.example"), ("origin", "http://app.example")];
    for origins in [&twice[..], &[("origin", "http://app.example"), ("origin", "http://evil.example")]] {
        let headers = [origins, &[("cookie", cookie.as_str())]].concat();
        assert_eq!(gateway.upgrade("/ws", &headers).await.err().map(|refused| refused.0), Some(403), "twice");
    }
    assert_eq!(
        gateway.upgrade("/ws", &[("cookie", &cookie)]).await.err().map(|refused| refused.0),
        Some(403)
    );
    let own = format!("http://{}", gateway.address);
    let mut client = gateway.upgrade("/ws", &[("origin", &own), ("cookie", &cookie)]).await.unwrap();
    assert_eq!(client.hear().await["type"], "connected", "the gateway's own page");
    gateway.stop().await;
}

#[tokio::test]
async fn t_31_a_second_authenticate_renews_and_one_of_somebody_else_changes_nothing() {
    let gateway = gateway().await;
    let mut client = gateway.upgrade("/ws/0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", &[V1]).await.unwrap();
    let own = token(ADMIN);
    client.ask(json!({"type": "authenticate", "id": 1, "token": own}), "authenticated").await;
    client.expect("connected").await;
    let renewed =
        client.ask(json!({"type": "authenticate", "id": 2, "token": token(ADMIN)}), "authenticated").await;
    assert!(renewed["payload"]["expires_in_ms"].as_u64().unwrap() > 890_000);
    for (bad, code) in [
        (token(WALLET), "identity_mismatch"),
        (token_at(ADMIN, wall_ms() - 3_600_000), "token_expired"),
        ("x.y.z".into(), "invalid_token"),
    ] {
        let refused = client.ask(json!({"type": "authenticate", "id": 3, "token": bad}), "auth_error").await;
        assert_eq!(refused["payload"]["code"], code);
    }
    client.ask(json!({"type": "ping", "id": 4}), "pong").await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_53_t_55_each_role_may_do_what_the_table_says() {
    let mut config = config();
    config.permissions.service.clear();
    let gateway = Gateway::with(config).await;
    let statistics = |roles: &'static [&'static str]| {
        let token = token_of(ADMIN, roles, wall_ms());
        let gateway = &gateway;
        async move { gateway.get_with("/ws/stats", &[("authorization", &format!("Bearer {token}"))]).await }
    };
    assert_eq!(gateway.get("/ws/stats").await.0, 401);
    let cookie = format!("access_token={}", token_of(ADMIN, &["admin"], wall_ms()));
    assert_eq!(gateway.get_with("/ws/stats", &[("cookie", &cookie)]).await.0, 401, "no cookies here");
    assert_eq!(gateway.get_with("/ws/stats", &[("authorization", "Bearer x")]).await.0, 401);
    for (roles, status) in [(&["user"][..], 403), (&["moderator"], 200), (&["admin"], 200), (&["root"], 403)]
    {
        assert_eq!(statistics(roles).await.0, status, "{roles:?}");
    }
    let mut client = gateway.signed_in_v1().await;
    let (_, answer) = statistics(&["admin"]).await;
    assert_eq!(answer["success"], true);
    let stats = &answer["stats"];
    assert_eq!(stats["websocket_manager"]["active_connections"], 1);
    assert_eq!(stats["websocket_manager"]["connection_types"], json!({"plain": 0, "v1": 1}));
    assert_eq!(stats["authentication"]["unique_users"], 1);
    assert_eq!(stats["security"]["max_connections_per_user"], 3);
    assert!(answer["timestamp"].as_str().unwrap().ends_with('Z'));
    client.ask(json!({"type": "subscribe", "symbol": "BTCUSDT"}), "subscribed").await;

    let path = format!("/ws?token={}", token_of(ADMIN, &["service"], wall_ms()));
    let mut service = gateway.upgrade(&path, &[V1]).await.unwrap();
    service.expect("connected").await;
    let refused = service.ask(json!({"type": "subscribe", "id": 1, "symbol": "BTCUSDT"}), "error").await;
    assert_eq!(refused["payload"]["error"], "Access denied: this needs the permission signals.read");
    assert_eq!(refused["payload"]["code"], "forbidden");
    service.ask(json!({"type": "ping"}), "pong").await;
    gateway.stop().await;
}

#[tokio::test]
async fn tokens_in_the_url_can_be_switched_off() {
    let mut config = config();
    config.auth.query_tokens = false;
    let gateway = Gateway::with(config).await;
    let refused = upgrade(&gateway, "query", &token(WALLET), &[]).await.err();
    assert_eq!(
        refused,
        Some((400, "Tokens in the URL are switched off: send it in the first message".into()))
    );
    assert!(upgrade(&gateway, "header", &token(WALLET), &[]).await.is_ok());
    gateway.stop().await;
}

#[tokio::test]
async fn what_happens_at_the_door_is_written_down_and_the_chain_holds() {
    let folder = Folder::new();
    let file = folder.path("audit.jsonl");
    let mut config = config();
    config.audit.file = file.clone().into();
    let gateway = Gateway::with(config).await;
    let mut client = gateway.upgrade(&format!("/ws?token={}", token(WALLET)), &[V1]).await.unwrap();
    client.expect("connected").await;
    let origin = ("origin", "http://evil.example");
    assert!(gateway.upgrade("/ws", &[origin, ("user-agent", "evil \"agent\"")]).await.is_err());
    assert!(gateway.upgrade("/ws?token=not-a-token", &[]).await.is_err());
    gateway.stop().await;
    let mut text = String::new();
    for _ in 0..100 {
        text = std::fs::read_to_string(&file).unwrap();
        if text.contains("token_refused") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["event"].as_str().unwrap(), line["level"].as_str().unwrap()))
        .filter(|(event, _)| *event != "opened")
        .collect();
    assert_eq!(told, [("connected", "info"), ("origin_refused", "warning"), ("token_refused", "warning")]);
    let connected = lines.iter().find(|line| line["event"] == "connected").unwrap();
    assert_eq!((&connected["user"], &connected["ip"]), (&json!(WALLET), &json!("127.0.0.1")));
    assert!(!text.contains("not-a-token") && text.is_ascii(), "{text}");
    let verified = tidegate(&["audit", "verify", &file]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    std::fs::write(&file, text.replacen("warning", "info", 1)).unwrap();
    assert_eq!(tidegate(&["audit", "verify", &file]).output().unwrap().status.code(), Some(7));
}
