//! Who may connect, from where, with which token, and what each role may do: over real sockets.

use serde_json::{Value, json};
use tidegate_server::clock::wall_ms;

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

#[tokio::test]
async fn t_01_t_02_every_way_accepts_a_valid_token_and_refuses_others_as_its_client_can_understand() {
    let gateway = gateway().await;
    let expired = token_at(WALLET, wall_ms() - 3_600_000);
    let mut forged = token(WALLET);
    forged.pop();
    for way in ["header", "subprotocol", "query", "cookie"] {
        // This way is offered beside the protocol, so whoever takes it is a v1 client.
        let plain_too = way != "subprotocol";
        let v1 = if plain_too { &[V1][..] } else { &[] };
        for extra in [&[][..], v1] {
            let mut client = upgrade(&gateway, way, &token(WALLET), extra).await.expect(way);
            assert_eq!(client.hear().await["type"], "connected", "{way}");
            drop(client);
        }
        for bad in [expired.as_str(), forged.as_str(), "x"] {
            if plain_too {
                let refused = upgrade(&gateway, way, bad, &[]).await.err();
                assert_eq!(refused, Some((401, "Invalid authentication token".into())), "{way}");
            }
            let mut told = upgrade(&gateway, way, bad, v1).await.unwrap();
            let error = told.hear().await;
            assert_eq!(error["type"], "auth_error", "{way}");
            assert_eq!(told.closed().await, (4001, "Invalid token".into()), "{way}");
        }
    }
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
    for origin in ["https://app.example", "http://app.example.evil.example", "null", "http://app.example:81"]
    {
        for way in ["header", "query"] {
            let (status, body) =
                upgrade(&gateway, way, &token, &[("origin", origin)]).await.err().expect("refused");
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, &body["error"]), (403, &json!("Origin not allowed")), "{origin}");
        }
    }
    let cookie = format!("access_token={token}");
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
