//! The Tidegate client core in the browser: the class that JavaScript sees, and nothing else.
//!
//! It decides nothing: an `if` about the protocol belongs in `tidegate-client-core`. It parses nothing either, and owns
//! neither socket nor timer: JavaScript hands over what frames say as numbers, and does what [`Host`] asks for. Why it is
//! cut this way is measured in `README.md`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod convert;
mod driver;
#[cfg(target_arch = "wasm32")]
mod runtime;

use alloc::string::String;

use tidegate_client_core::{FeedId, Input, Options, RequestId, SocketId};
use tidegate_protocol::Feed;
use wasm_bindgen::prelude::*;

use crate::convert::{fact_of, input_of, verdict_number, whole};
use crate::driver::Driver;

#[wasm_bindgen]
extern "C" {
    /// What the JavaScript side does for the machine. No method may throw: what a handler of the application throws is
    /// caught there. Each may call back into [`Engine`].
    pub type Host;

    /// Opens a socket; answered by `opened` or `closed`.
    #[wasm_bindgen(method, js_name = openSocket)]
    fn open_socket(this: &Host, socket: u32);

    /// Detaches from the socket and closes it: nothing is to be heard of it any more.
    #[wasm_bindgen(method, js_name = closeSocket)]
    fn close_socket(this: &Host, socket: u32, code: u16);

    /// Sends a text frame; it may hold a token.
    #[wasm_bindgen(method)]
    fn send(this: &Host, socket: u32, text: &str);

    /// Asks the application for a token; answered by `tokenOk` or `tokenErr`.
    #[wasm_bindgen(method, js_name = fetchToken)]
    fn fetch_token(this: &Host, request: u32);

    /// Sets the one timer, in place of the one that was set: then call `input('tick')`. Negative: no timer.
    #[wasm_bindgen(method, js_name = setTimer)]
    fn set_timer(this: &Host, in_ms: f64);

    /// The connection changed. The numbers are: flags (1 probing, 2 draining, 4 refreshing), failed attempts,
    /// milliseconds to the next attempt, to the token's expiry and to the end of pacing, round trip time,
    /// and the limits of messages, subscriptions and connections; NaN where one is not known.
    #[wasm_bindgen(method, js_name = onStatus)]
    fn on_status(this: &Host, state: &str, block: &str, numbers: &[f64]);

    /// A feed changed. `code` is that of the refusal, or empty.
    #[wasm_bindgen(method, js_name = onFeed)]
    fn on_feed(this: &Host, feed: u32, status: &str, code: &str);

    /// Signals between these two are missing.
    #[wasm_bindgen(method, js_name = onGap)]
    fn on_gap(this: &Host, feed: u32, after: f64, before: f64);

    /// Something is wrong. `code` is an error code of the protocol or empty, `number` a close code or a time, `feed` 0
    /// where it is about none.
    #[wasm_bindgen(method, js_name = onWarning)]
    fn on_warning(this: &Host, name: &str, code: &str, number: f64, feed: u32);
}

/// One client: the machine, and what it asks its host for.
///
/// Every method takes `&self` and may be called from inside a callback of [`Host`]. `now`: milliseconds of a clock that
/// never goes back, and that goes on while the computer sleeps.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    driver: Driver,
}

#[wasm_bindgen]
impl Engine {
    /// A client that wants nothing yet. The seed comes from the system's generator.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(host: Host, seed_high: u32, seed_low: u32, linger_ms: u32) -> Self {
        let seed = u64::from(seed_high) << 32 | u64::from(seed_low);
        let options = Options { linger_ms: linger_ms.into(), ..Options::new(seed) };
        Self { driver: Driver::new(host, options) }
    }

    /// Something happened that has a name and nothing else. A name that is not known is nothing.
    pub fn input(&self, input: &str, now: f64) {
        if let Some(input) = input_of(input) {
            self.driver.handle(input, now);
        }
    }

    /// Adds one reference to a feed; the answer is its handle, or 0 where there can be no such feed.
    #[must_use]
    pub fn subscribe(&self, symbol: &str, strategy: &str, now: f64) -> u32 {
        let (Ok(symbol), Ok(strategy)) = (symbol.parse(), strategy.parse()) else { return 0 };
        self.driver.step(now, |core, now_ms| core.subscribe(Feed { symbol, strategy }, now_ms)).0
    }

    /// The page holds a feed up to this signal already.
    pub fn held(&self, feed: u32, seq: f64, now: f64) {
        self.driver.step(now, |core, now_ms| core.held(FeedId(feed), whole(seq), now_ms));
    }

    /// Takes one reference away.
    pub fn release(&self, feed: u32, now: f64) {
        self.driver.step(now, |core, now_ms| core.release(FeedId(feed), now_ms));
    }

    /// The application has a token. How long it lasts is NaN where nobody knows.
    #[wasm_bindgen(js_name = tokenOk)]
    pub fn token_ok(&self, request: u32, token: String, expires_in_ms: f64, now: f64) {
        let expires_in_ms = (!expires_in_ms.is_nan()).then(|| whole(expires_in_ms));
        self.driver.handle(Input::TokenOk { request: RequestId(request), token, expires_in_ms }, now);
    }

    /// The application has no token.
    #[wasm_bindgen(js_name = tokenErr)]
    pub fn token_err(&self, request: u32, denied: bool, now: f64) {
        self.driver.handle(Input::TokenErr { request: RequestId(request), denied }, now);
    }

    /// A socket opened.
    pub fn opened(&self, socket: u32, now: f64) {
        self.driver.handle(Input::Open { socket: SocketId(socket) }, now);
    }

    /// A socket closed, or could not be opened.
    pub fn closed(&self, socket: u32, code: u16, now: f64) {
        let closed = Input::Closed { socket: SocketId(socket), code, reason: String::new() };
        self.driver.handle(closed, now);
    }

    /// A frame that is not a signal came: its `type`, its `id`, and what else it says, as `convert::fact_of` reads it.
    pub fn message(&self, socket: u32, kind: &str, id: f64, numbers: &[f64], text: String, now: f64) {
        let fact = self.driver.read(|core| fact_of(core, kind, whole(id), numbers, text));
        self.driver.handle(Input::Message { socket: SocketId(socket), fact }, now);
    }

    /// A signal came. The answer is one of `Verdict`: 0 drop, 1 deliver, 2 deliver after a gap, 3 backfill.
    #[must_use]
    pub fn signal(&self, socket: u32, feed: u32, seq: f64, prev: f64, now: f64) -> u8 {
        verdict_number(self.driver.signal(SocketId(socket), FeedId(feed), (whole(seq), whole(prev)), now))
    }

    /// Milliseconds until the next signal of a feed is due, negative when overdue; none where nobody knows.
    #[wasm_bindgen(js_name = dueInMs)]
    #[must_use]
    pub fn due_in_ms(&self, feed: u32, now: f64) -> Option<f64> {
        let due_at_ms = self.driver.read(|core| core.due_at_ms(FeedId(feed)))?;
        Some(due_at_ms as f64 - now)
    }

    /// Messages sent within the last minute.
    #[wasm_bindgen(js_name = messagesUsed)]
    #[must_use]
    pub fn messages_used(&self, now: f64) -> u32 {
        self.driver.read_at(now, |core, now_ms| core.usage(now_ms).messages)
    }

    /// Feeds that the server holds or was asked for.
    #[wasm_bindgen(js_name = subscriptionsUsed)]
    #[must_use]
    pub fn subscriptions_used(&self, now: f64) -> u32 {
        self.driver.read_at(now, |core, now_ms| core.usage(now_ms).subscriptions)
    }
}
