//! Token sources: asked when needed, never twice at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_client_native::{Block, NotLive, Options, Token, TokenError, TokenSource};
use tidegate_protocol::{ClientMessage, CloseCode, ServerMessage, TokenExpiring, TokenExpiringPayload};

use crate::server::{authenticated, client_with};

/// A source that takes a while and gives `token-1`, `token-2`…, and how often it was asked.
fn counting() -> (TokenSource, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let source = TokenSource::new(move || {
        let count = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(Token { text: format!("token-{count}"), expires_in: Some(Duration::from_secs(900)) })
        }
    });
    (source, asked)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_on_the_live_connection() {
    let (source, asked) = counting();
    let (client, mut listener) = client_with(Options::new("ws://test/ws", source));
    let mut peer = listener.accept().await;
    assert_eq!(peer.let_in().await.0, "token-1");
    client.live().await.unwrap();
    let payload = TokenExpiringPayload { expires_at: "2025-11-04T10:45:00Z".into() };
    peer.say(&ServerMessage::TokenExpiring(TokenExpiring { payload })).await;
    let ClientMessage::Authenticate(message) = peer.hear().await else { panic!("authenticate") };
    assert_eq!((message.token.as_str(), message.session), ("token-2", None));
    peer.say(&authenticated(message.id.unwrap())).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(client.live().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_replaced_before_the_next_connection() {
    let (source, _) = counting();
    let (client, mut listener) = client_with(Options::new("ws://test/ws", source));
    let mut peer = listener.accept().await;
    peer.let_in().await;
    client.live().await.unwrap();
    peer.close(CloseCode::TOKEN_EXPIRED).await;
    assert_eq!(listener.accept().await.let_in().await.0, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_no_blocks_the_client_until_there_is_a_new_token() {
    let answers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answers);
    let source = TokenSource::new(move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match first {
                true => Err(TokenError::Denied("signed out".into())),
                false => Ok(Token { text: "token".into(), expires_in: None }),
            }
        }
    });
    let (client, mut listener) = client_with(Options::new("ws://test/ws", source));
    assert_eq!(client.live().await, Err(NotLive::Blocked(Block::TokenDenied)));
    assert!(!listener.is_dialled_within(Duration::from_secs(600)).await);
    client.new_token();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    assert!(client.live().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_or_hangs_is_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let source = TokenSource::new(move || {
        let count = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match count {
                0 => Err(TokenError::Unavailable("the identity provider is down".into())),
                1 => std::future::pending().await,
                _ => Ok(Token { text: "token".into(), expires_in: None }),
            }
        }
    });
    let (client, mut listener) = client_with(Options::new("ws://test/ws", source));
    let mut peer = listener.accept().await;
    peer.let_in().await;
    assert!(client.live().await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}
