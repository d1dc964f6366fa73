//! The Tidegate client as a state machine: when to dial, whom to tell, what to believe, when to give up.
//!
//! It parses nothing and does no I/O: no clock, no socket, no task, no randomness beyond [`Options::seed`].
//! A host (the browser shell, or the tokio host in `tidegate-client-native`) owns one socket, one timer and
//! one token callback, and turns the crank:
//!
//! 1. Something happens: call [`Client::handle`] with an [`Input`], or [`Client::handle_signal`] for the one
//!    frame that is hot. Both take the time of a monotonic clock in milliseconds.
//! 2. Empty [`Client::poll_output`]: perform each [`Action`], hand each [`Event`] to the application. The
//!    machine is at rest meanwhile, so a handler may call back into it.
//! 3. Set the one timer to [`Client::next_wakeup_ms`]; when it fires, `handle(Input::Tick, …)`.
//!
//! Whatever is asynchronous has an id ([`SocketId`], [`RequestId`], the `id` of a message), and an answer
//! with an old id is ignored.
//!
//! ```
//! use tidegate_client_core::{Action, Client, Input, Options, Output};
//!
//! let mut client = Client::new(Options::new(42));
//! let feed = tidegate_protocol::Feed { symbol: "BTCUSDT".parse()?, strategy: "scalp".parse()? };
//! let handle = client.subscribe(feed, 0);
//! client.handle(Input::Connect, 0);
//! // The first thing that the machine wants is a token.
//! let Some(Output::Action(Action::FetchToken { request })) = client.poll_output() else { panic!() };
//! client.handle(Input::TokenOk { request, token: "eyJ…".into(), expires_in_ms: Some(900_000) }, 40);
//! let opened = std::iter::from_fn(|| client.poll_output())
//!     .any(|output| matches!(output, Output::Action(Action::OpenSocket { .. })));
//! assert!(opened);
//! # let _ = handle;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod backoff;
mod client;
mod connection;
mod fact;
mod input;
mod live;
mod output;
mod pacing;
mod position;
mod random;
mod slot;
mod state;
mod status;
mod subscriptions;
mod token;
#[cfg_attr(not(feature = "report"), path = "untraced.rs")]
mod trace;
mod wire;

pub use client::{Client, Options};
pub use fact::{Fact, Granted, Rejected, error_code};
pub use input::{FeedId, Input, RequestId, SocketId, Verdict};
pub use output::{Action, Event, Output, Warning};
pub use status::{Block, FeedInfo, FeedStatus, State, Status, Usage};
