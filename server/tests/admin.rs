//! What administrators do over HTTP and operators on the command line: roles, doors, sessions, the audit log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_server::clock::wall_ms;
use tidegate_server::config::Config;

use crate::command_line::{Folder, tidegate};
use crate::sessions::{refresh, signed_in};
use crate::support::late::Late;
use crate::support::wallet::Wallet;
use crate::support::{Gateway, V1, config, token_of};

const ADMIN: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
/// What revocation promises on one gateway, and here also across two.
const AT_ONCE: Duration = Duration::from_secs(1);

fn bearer(roles: &[&str]) -> String {
    format!("Bearer {}", token_of(ADMIN, roles, wall_ms()))
}

async fn ask(gateway: &Gateway, method: &str, path: &str, body: &str) -> (u16, Value) {
    gateway.send(method, path, &[("authorization", &bearer(&["admin"]))], body).await
}

fn with_store(folder: &Folder) -> Config {
    let mut config = config();
    config.store.file = folder.path("tidegate.db").into();
    config
}

#[tokio::test]
async fn t_53_t_95_only_administrators_administer_and_no_cookie_does() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(21).address().to_checksum(None);
    let user = format!("/api/admin/users/{wallet}");
    let requests = [
        ("GET", user.clone()),
        ("PUT", format!("{user}/roles")),
        ("POST", format!("{user}/disable")),
        ("POST", format!("{user}/enable")),
        ("POST", format!("{user}/revoke")),
        ("POST", "/api/admin/sessions/x/revoke".into()),
        ("GET", "/api/admin/audit".into()),
    ];
    let cookie = format!("access_token={}", token_of(ADMIN, &["admin"], wall_ms()));
    for (method, path) in &requests {
        for (headers, status) in [
            (vec![], 401),
            (vec![("cookie", cookie.clone())], 401),
            (vec![("authorization", "Bearer x".to_owned())], 401),
            (vec![("authorization", bearer(&["admin"])), ("authorization", bearer(&["admin"]))], 400),
            (vec![("authorization", bearer(&["user"]))], 403),
            (vec![("authorization", bearer(&["moderator", "service"]))], 403),
            (vec![("authorization", bearer(&["Admin"]))], 403),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (found, error) = gateway.send(method, path, &headers, "{}").await;
            assert_eq!(found, status, "{method} {path} {headers:?}: {error}");
            assert!(error["error"].is_string() && error["code"].is_string(), "{error}");
        }
    }
    let (status, error) = ask(&gateway, "GET", &user, "").await;
    assert!(
        status == 404 && error["error"].as_str().unwrap().contains("has never signed in here"),
        "{error}"
    );
    assert_eq!(ask(&gateway, "GET", "/api/admin/users/0x1", "").await.0, 400);
    // On its way through the log's thread and the store's.
    let mut told = 0;
    for _ in 0..100 {
        let (_, found) = ask(&gateway, "GET", "/api/admin/audit?level=warning&limit=1000", "").await;
        let events = found["events"].as_array().unwrap();
        told = events.iter().filter(|event| event["event"] == "forbidden" && event["user"] == ADMIN).count();
        if told >= 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told >= 10, "{told} refusals were written down");
    gateway.stop().await;
}

#[tokio::test]
async fn t_21_an_administrator_ends_the_sessions_of_a_user_within_a_second() {
    let late = Late::watch();
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(22);
    let address = wallet.address().to_checksum(None);
    let [one, two] = [signed_in(&gateway, &wallet).await, signed_in(&gateway, &wallet).await];
    let by_hand = token_of(&address, &["user"], wall_ms());
    let mut clients = Vec::new();
    for token in [one["token"].as_str().unwrap(), two["token"].as_str().unwrap(), &by_hand] {
        let mut client = gateway.upgrade(&format!("/ws?token={token}"), &[V1]).await.unwrap();
        client.expect("connected").await;
        clients.push(client);
    }
    let mut bystander = gateway.signed_in_v1().await;
    let revoke = format!("/api/admin/users/{}/revoke", address.to_lowercase());
    let started = Instant::now();
    assert_eq!(ask(&gateway, "POST", &revoke, "").await, (200, json!({"sessions": 3})));
    for client in &mut clients {
        assert_eq!(client.closed().await, (4001, "Session revoked".into()));
    }
    assert!(started.elapsed() < AT_ONCE + late.by(), "{:?}", started.elapsed());
    for token in [&one["token"], &two["token"], &json!(by_hand)] {
        let path = format!("/ws?token={}", token.as_str().unwrap());
        assert_eq!(gateway.upgrade(&path, &[]).await.err().map(|refused| refused.0), Some(401));
    }
    assert_eq!(refresh(&gateway, &one["refresh_token"]).await.0, 401);
    bystander.ask(json!({"type": "ping"}), "pong").await;
    assert_eq!(signed_in(&gateway, &wallet).await["wallet_address"], address, "revoked is not kept out");
    assert_eq!(ask(&gateway, "POST", &revoke, "").await.1, json!({"sessions": 1}));

    let again = signed_in(&gateway, &wallet).await;
    let claims = tidegate_server::auth::token::Tokens::read(again["token"].as_str().unwrap()).unwrap().claims;
    let session = format!("/api/admin/sessions/{}/revoke", claims["sid"].as_str().unwrap());
    let mut client =
        gateway.upgrade(&format!("/ws?token={}", again["token"].as_str().unwrap()), &[V1]).await.unwrap();
    client.expect("connected").await;
    assert_eq!(ask(&gateway, "POST", &session, "").await, (200, json!({"connections": 1})));
    assert_eq!(client.closed().await.0, 4001);
    assert_eq!(refresh(&gateway, &again["refresh_token"]).await.0, 401);
    gateway.stop().await;
}

#[tokio::test]
async fn t_21_a_disabled_user_is_out_until_enabled_and_roles_come_with_the_next_token() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(23);
    let session = signed_in(&gateway, &wallet).await;
    let user = format!("/api/admin/users/{}", wallet.address().to_checksum(None));
    let (status, error) = ask(&gateway, "PUT", &format!("{user}/roles"), r#"{"roles":["root"]}"#).await;
    assert!(status == 400 && error["error"].as_str().unwrap().contains("no role `root`"), "{error}");
    let (status, changed) =
        ask(&gateway, "PUT", &format!("{user}/roles"), r#"{"roles":["user","moderator"]}"#).await;
    assert_eq!((status, &changed["roles"]), (200, &json!(["user", "moderator"])));
    let stats = |token: &Value| format!("Bearer {}", token.as_str().unwrap());
    let old = stats(&session["token"]);
    assert_eq!(gateway.get_with("/ws/stats", &[("authorization", &old)]).await.0, 403);
    let (_, renewed) = refresh(&gateway, &session["refresh_token"]).await;
    let new = stats(&renewed["token"]);
    assert_eq!(gateway.get_with("/ws/stats", &[("authorization", &new)]).await.0, 200);

    let (status, disabled) = ask(&gateway, "POST", &format!("{user}/disable"), "").await;
    assert_eq!((status, &disabled["disabled"]), (200, &json!(true)));
    assert_eq!(gateway.get_with("/ws/stats", &[("authorization", &new)]).await.0, 401);
    assert_eq!(refresh(&gateway, &renewed["refresh_token"]).await.0, 401);
    let (status, refused) = crate::sessions::sign_in(&gateway, &wallet).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    assert_eq!(ask(&gateway, "POST", &format!("{user}/enable"), "").await.1["disabled"], false);
    assert_eq!(crate::sessions::sign_in(&gateway, &wallet).await.0, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn the_audit_log_is_searched_over_http() {
    let gateway = Gateway::start().await;
    let wallet = Wallet::new(24);
    let address = wallet.address().to_checksum(None);
    signed_in(&gateway, &wallet).await;
    let user = format!("/api/admin/users/{address}");
    ask(&gateway, "PUT", &format!("{user}/roles"), r#"{"roles":["moderator"]}"#).await;
    let mut kinds = Vec::new();
    for _ in 0..100 {
        let (status, found) =
            ask(&gateway, "GET", &format!("/api/admin/audit?since=1h&user={}", address.to_lowercase()), "")
                .await;
        assert_eq!(status, 200, "{found}");
        kinds = found["events"].as_array().unwrap().clone();
        if kinds.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((&kinds[0]["event"], &kinds[0]["ip"]), (&json!("sign_in"), &json!("127.0.0.1")));
    assert_eq!((&kinds[1]["event"], &kinds[1]["level"]), (&json!("roles_changed"), &json!("notice")));
    assert_eq!(kinds[1]["detail"], format!("by {ADMIN}: moderator"));
    let (_, none) = ask(&gateway, "GET", "/api/admin/audit?level=alert", "").await;
    assert_eq!(none, json!({"events": []}));
    for (query, problem) in [
        ("since=yesterday", "`since`: write 90s"),
        ("level=loud", "`level` must be one of"),
        ("limit=0", "`limit` must be a whole number from 1 to 1000"),
    ] {
        let (status, error) = ask(&gateway, "GET", &format!("/api/admin/audit?{query}"), "").await;
        assert!(status == 400 && error["error"].as_str().unwrap().contains(problem), "{error}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_21_a_session_that_another_gateway_or_the_operator_ends_is_closed_here_too() {
    let late = Late::watch();
    let folder = Folder::new();
    let [here, elsewhere] =
        [Gateway::with(with_store(&folder)).await, Gateway::with(with_store(&folder)).await];
    let wallet = Wallet::new(25);
    let address = wallet.address().to_checksum(None);
    let file = folder.path("tidegate.toml");
    std::fs::write(&file, format!("[store]\nfile = \"{}\"\n", folder.path("tidegate.db"))).unwrap();
    let operator = |words: &[&str]| {
        let output = tidegate(&[&["user"], words, &["--config", &file]].concat()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), text)
    };
    let (code, text) = operator(&["show", &address]);
    assert!(code == 1 && text.contains("never signed in"), "{text}");
    assert_eq!(operator(&["show", "0x1"]).0, 2);

    for round in ["another gateway", "the operator"] {
        let session = signed_in(&here, &wallet).await;
        let path = format!("/ws?token={}", session["token"].as_str().unwrap());
        let mut client = here.upgrade(&path, &[V1]).await.unwrap();
        client.expect("connected").await;
        let started = if round == "the operator" {
            let (code, text) = operator(&["revoke", &address]);
            assert!(code == 0 && text.contains("1 sessions ended"), "{text}");
            Instant::now()
        } else {
            let body = json!({ "refresh_token": session["refresh_token"] }).to_string();
            let started = Instant::now();
            assert_eq!(elsewhere.post("/api/auth/logout", &body).await.0, 204);
            started
        };
        assert_eq!(client.closed().await, (4001, "Session revoked".into()), "{round}");
        assert!(started.elapsed() < 2 * AT_ONCE + late.by(), "{round}: {:?}", started.elapsed());
        assert_eq!(here.upgrade(&path, &[]).await.err().map(|refused| refused.0), Some(401));
    }
    let (code, text) = operator(&["roles", &address, "admin"]);
    assert!(code == 0 && text.contains("roles    admin"), "{text}");
    let (code, text) = operator(&["roles", &address, "root"]);
    assert!(code == 2 && text.contains("no role `root`"), "{text}");
    let session = signed_in(&elsewhere, &wallet).await;
    let own = format!("Bearer {}", session["token"].as_str().unwrap());
    let events =
        elsewhere.get_with(&format!("/api/admin/audit?user={address}"), &[("authorization", &own)]).await;
    let details: Vec<_> =
        events.1["events"].as_array().unwrap().iter().filter_map(|event| event["detail"].as_str()).collect();
    assert!(details.contains(&"by the operator, tidegate user: admin"), "{events:?}");
    here.stop().await;
    elsewhere.stop().await;
    // An access token of a revoked session has minutes left, also after a restart.
    let gateway = Gateway::with(with_store(&folder)).await;
    let body = json!({ "refresh_token": session["refresh_token"] }).to_string();
    assert_eq!(gateway.post("/api/auth/logout", &body).await.0, 204);
    gateway.stop().await;
    let gateway = Gateway::with(with_store(&folder)).await;
    assert_eq!(gateway.get_with("/api/admin/audit", &[("authorization", &own)]).await.0, 401);
    gateway.stop().await;
}
