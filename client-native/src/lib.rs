//! A Tidegate client for Rust programs: subscribe to feeds, get typed signals, and leave connections, tokens,
//! retries and resumption to it.
//!
//! The decisions are those of `tidegate-client-core`; this crate only performs them on tokio, one task a
//! client. It computes nothing from signals and stores nothing but the latest of each feed.
//!
//! ```no_run
//! use tidegate_client_native::{Client, Options, TokenSource, Update};
//! use tidegate_protocol::{Feed, Strategy};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = TokenSource::fixed(std::env::var("TIDEGATE_TOKEN")?);
//! let client = Client::connect(Options::new("ws://127.0.0.1:8080/ws", token))?;
//! let feed = Feed { symbol: "BTCUSDT".parse()?, strategy: Strategy::Scalp };
//! let mut updates = client.subscribe(feed).await?;
//! while let Some(update) = updates.next().await {
//!     match update {
//!         Update::Signal(signal) => println!("{}", signal.to_json()),
//!         Update::Gap { after, before } => eprintln!("signals between {after} and {before} are missing"),
//!         other => eprintln!("{other:?}"),
//!     }
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A token that can be renewed comes from a callback, which is asked again whenever a fresh one is needed:
//!
//! ```
//! use std::time::Duration;
//! use tidegate_client_native::{Token, TokenError, TokenSource};
//!
//! async fn sign_in() -> Result<Token, TokenError> {
//!     Ok(Token { text: "eyJ…".into(), expires_in: Some(Duration::from_secs(900)) })
//! }
//! let source = TokenSource::new(sign_in);
//! # let _ = source;
//! ```

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod client;
mod convert;
mod driver;
mod options;
mod subscription;
mod tls;
mod transport;

pub use client::{Client, Closed, NotLive};
pub use options::{InvalidUrl, Options, Token, TokenError, TokenSource};
pub use subscription::{Subscription, Update};
pub use tidegate_client_core::{Block, FeedStatus, State, Status, Warning};
pub use transport::{Dial, Tcp};
