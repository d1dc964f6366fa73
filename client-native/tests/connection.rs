//! Sockets: opened, lost, replaced, closed.

use std::time::Duration;

use tidegate_client_native::{Block, Client, NotLive, Options, State, TokenSource, Warning};
use tidegate_protocol::{ClientMessage, CloseCode, ErrorCode, GoingAway, GoingAwayPayload, ServerMessage};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::server::{Peer, btc, client, next, signal};

#[tokio::test]
async fn a_signal_travels_over_a_real_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let client = Client::connect(Options::new(url, TokenSource::fixed("token-1"))).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer::upgrade(stream).await;
        assert_eq!(peer.let_in().await.0, "token-1");
        peer.grant().await;
        peer.say(&signal(10, 0)).await;
        peer.ping().await;
        peer.say(&signal(20, 10)).await;
        peer.hear_close().await
    });
    assert_eq!(client.live().await.unwrap().state, State::Live);
    let mut updates = client.subscribe(btc()).await.unwrap();
    assert_eq!(*updates.next_signal().await.unwrap(), signal(10, 0));
    assert_eq!(*updates.next_signal().await.unwrap(), signal(20, 10));
    client.close().await;
    assert_eq!(server.await.unwrap(), 1000);
    assert!(updates.next_signal().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_is_dialled_until_it_is() {
    let (client, mut listener) = client();
    for _ in 0..3 {
        drop(listener.stream().await);
    }
    let mut peer = listener.accept().await;
    peer.let_in().await;
    let status = client.live().await.unwrap();
    assert_eq!(status.attempt, 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_resumes_where_it_was() {
    let (client, mut listener) = client();
    let mut updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    let (_, session, requests) = peer.let_in().await;
    assert_eq!((session, requests[0].since), (None, None));
    peer.say(&signal(10, 0)).await;
    assert_eq!(next(&mut updates).await, "+10");
    drop(peer);
    let mut peer = listener.accept().await;
    let (_, session, requests) = peer.let_in().await;
    assert_eq!((session.as_deref(), requests[0].since), (Some("session-1"), Some(10)));
    for (seq, prev) in [(20, 10), (30, 20)] {
        peer.say(&signal(seq, prev)).await;
    }
    assert_eq!(next(&mut updates).await, "+20");
    assert_eq!(next(&mut updates).await, "+30");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_asked_and_then_replaced() {
    let (client, mut listener) = client();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    let start = tokio::time::Instant::now();
    assert!(matches!(peer.hear().await, ClientMessage::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 30);
    let mut second = listener.accept().await;
    assert_eq!(start.elapsed().as_secs(), 35);
    second.let_in().await;
    assert_eq!(peer.hear_close().await, 3008);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_connection_alive_for_an_hour() {
    let token = || async {
        Ok(tidegate_client_native::Token { text: "t".into(), expires_in: Some(Duration::from_secs(86_400)) })
    };
    let options = Options::new("ws://test/ws", TokenSource::new(token));
    let (client, mut listener) = crate::server::client_with(options);
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    tokio::spawn(peer.beat());
    assert!(!listener.is_dialled_within(Duration::from_secs(3_600)).await);
    assert_eq!(client.status().borrow().state, State::Live);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_is_left_in_peace_for_as_long_as_it_said() {
    let (client, mut listener) = client();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    let payload = GoingAwayPayload { reason: "Server restarting".into(), reconnect_after_ms: 20_000 };
    peer.say(&ServerMessage::GoingAway(GoingAway { payload })).await;
    peer.close(CloseCode::SERVICE_RESTART).await;
    let start = tokio::time::Instant::now();
    listener.accept().await;
    assert!((20..=30).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_the_upgrade_says_as_much_as_a_close_code() {
    let (client, mut listener) = client();
    Peer::refuse(listener.stream().await, StatusCode::TOO_MANY_REQUESTS).await;
    Peer::refuse(listener.stream().await, StatusCode::SERVICE_UNAVAILABLE).await;
    Peer::refuse(listener.stream().await, StatusCode::FORBIDDEN).await;
    assert_eq!(client.live().await, Err(NotLive::Blocked(Block::Stopped(4003))));
    assert!(!listener.is_dialled_within(Duration::from_secs(600)).await);
    client.reconnect();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    assert!(client.live().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_the_server_but_not_for_ever() {
    let (client, mut listener) = client();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    let other = client.clone();
    let start = tokio::time::Instant::now();
    client.close().await;
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(peer.hear_close().await, 1000);
    assert!(other.subscribe(btc()).await.is_err());
    assert_eq!(other.live().await, Err(NotLive::Closed));
    assert!(other.debug_report().await.is_err());
    assert!(!listener.is_dialled_within(Duration::from_secs(600)).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_nobody_holds_any_more_says_goodbye() {
    let (client, mut listener) = client();
    let updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    drop(client);
    // A subscription still holds it.
    tokio::time::sleep(Duration::from_secs(10)).await;
    peer.say(&signal(10, 0)).await;
    drop(updates);
    assert_eq!(peer.hear_close().await, 1000);
}

#[tokio::test(start_paused = true)]
async fn warnings_and_the_report_tell_what_went_wrong_without_a_secret() {
    let (client, mut listener) = client();
    let mut warnings = client.warnings();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    peer.close(CloseCode::UNAUTHENTICATED).await;
    assert_eq!(warnings.recv().await.unwrap(), Warning::TokenRefused(ErrorCode::InvalidToken));
    let report = client.debug_report().await.unwrap();
    assert!(report.contains("> closed 1 4001") && !report.contains("token-1"), "{report}");
}
