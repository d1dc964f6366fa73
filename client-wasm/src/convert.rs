//! Control frames in, events out: the one place where JavaScript objects are read and made.
//!
//! Frames are read by getters and never by serde: its buffering of tagged enums alone was 41 % of a full
//! build. A field of a wrong type counts as missing.

use js_sys::{Array, Object, Reflect};
use tidegate_client_core::{
    Fact, FeedStatus, Granted, Rejected, State, Status, Verdict, Warning, error_code,
};
use tidegate_protocol::{Feed, Limits};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Any object of a frame: each getter answers for a property that may be missing or of any type.
    #[derive(Debug)]
    pub type Frame;

    #[wasm_bindgen(method, getter, js_name = type)]
    fn kind(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn id(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn payload(this: &Frame) -> Option<Frame>;
    #[wasm_bindgen(method, getter)]
    fn code(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn session_id(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn expires_in_ms(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn heartbeat_seconds(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn limits(this: &Frame) -> Option<Frame>;
    #[wasm_bindgen(method, getter)]
    fn messages_per_minute(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn subscriptions_per_connection(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn connections_per_user(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn max_message_bytes(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn subscriptions(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn rejected(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn symbol(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn strategy(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn interval_ms(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn recovered(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn retry_after_ms(this: &Frame) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn reconnect_after_ms(this: &Frame) -> JsValue;
}

/// What a control frame says.
pub(crate) fn fact_of(frame: &Frame) -> Fact {
    let id = number(&frame.id());
    let payload = frame.payload();
    let kind = text(&frame.kind());
    match (kind.as_str(), &payload) {
        ("pong", _) => Fact::Pong { id },
        ("heartbeat", _) => Fact::Heartbeat,
        ("token_expiring", _) => Fact::TokenExpiring,
        ("unsubscribed", _) => Fact::Unsubscribed { id },
        ("connected", Some(payload)) => connected(payload),
        ("authenticated", Some(payload)) => {
            Fact::Authenticated { id, expires_in_ms: number(&payload.expires_in_ms()) }
        }
        ("auth_error", Some(payload)) => Fact::AuthError { id, code: error_code(&text(&payload.code())) },
        ("subscribed", Some(payload)) => Fact::Subscribed {
            id,
            granted: items(&payload.subscriptions(), granted),
            rejected: items(&payload.rejected(), rejected),
        },
        ("error", Some(payload)) => Fact::Error {
            id,
            code: error_code(&text(&payload.code())),
            retry_after_ms: payload.retry_after_ms().as_f64().map(whole),
        },
        ("going_away", Some(payload)) => {
            Fact::GoingAway { reconnect_after_ms: number(&payload.reconnect_after_ms()) }
        }
        _ => Fact::Other,
    }
}

/// The status as an object for JavaScript. Times become distances: only JavaScript knows the date.
pub(crate) fn status_object(status: &Status, now_ms: u64) -> JsValue {
    let in_ms = |at_ms: Option<u64>| at_ms.map(|at_ms| at_ms as f64 - now_ms as f64);
    let object = Object::new();
    set(&object, "state", status.state.as_str());
    if let State::Blocked(block) = status.state {
        set(&object, "block", block.as_str());
    }
    set(&object, "probing", status.probing);
    set(&object, "draining", status.draining);
    set(&object, "refreshing", status.refreshing);
    set(&object, "attempt", status.attempt);
    set(&object, "retryInMs", in_ms(status.retry_at_ms));
    set(&object, "expiresInMs", in_ms(status.token_expires_at_ms));
    set(&object, "rttMs", status.rtt_ms.map(|ms| ms as f64));
    set(&object, "pacedForMs", in_ms(status.paced_until_ms));
    set(&object, "maxMessages", status.limits.messages_per_minute);
    set(&object, "maxSubscriptions", status.limits.subscriptions_per_connection);
    set(&object, "maxConnections", status.limits.connections_per_user);
    object.into()
}

/// The code with which a feed was refused; empty if it was not.
pub(crate) fn rejection_of(status: &FeedStatus) -> &'static str {
    match status {
        FeedStatus::Rejected(code) => code.as_str(),
        _ => "",
    }
}

/// What a warning is about: an error code, a close code or a time.
pub(crate) fn warning_detail(warning: &Warning) -> String {
    match warning {
        Warning::TokenRefused(code) | Warning::FeedRejected(_, code) => code.as_str().into(),
        Warning::RateLimited(wait_ms) => wait_ms.to_string(),
        Warning::ProtocolFault(code) | Warning::Stopped(code) => code.to_string(),
        _ => String::new(),
    }
}

/// The feed that a warning is about.
pub(crate) fn warning_feed(warning: &Warning) -> Option<u32> {
    match warning {
        Warning::FeedRejected(feed, _) => Some(feed.0),
        _ => None,
    }
}

/// A verdict as a number: nothing is allocated on the hot path.
pub(crate) const fn verdict_number(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Duplicate | Verdict::Unwanted => 0,
        Verdict::Deliver => 1,
        Verdict::Gap => 2,
        Verdict::Backfill => 3,
    }
}

/// A number of JavaScript as an integer: saturating, and 0 for what is none.
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

fn connected(payload: &Frame) -> Fact {
    Fact::Connected {
        session_id: text(&payload.session_id()),
        expires_in_ms: number(&payload.expires_in_ms()),
        heartbeat_seconds: number(&payload.heartbeat_seconds()) as u32,
        limits: payload.limits().as_ref().map_or_else(Limits::default, limits),
    }
}

fn limits(frame: &Frame) -> Limits {
    Limits {
        messages_per_minute: number(&frame.messages_per_minute()) as u32,
        subscriptions_per_connection: number(&frame.subscriptions_per_connection()) as u32,
        connections_per_user: number(&frame.connections_per_user()) as u32,
        max_message_bytes: number(&frame.max_message_bytes()) as u32,
    }
}

fn granted(frame: &Frame) -> Option<Granted> {
    let interval_ms = number(&frame.interval_ms());
    Some(Granted { feed: feed(frame)?, interval_ms, recovered: frame.recovered().is_truthy() })
}

fn rejected(frame: &Frame) -> Option<Rejected> {
    Some(Rejected { feed: feed(frame)?, code: error_code(&text(&frame.code())) })
}

/// The machine asks only for feeds that exist, so one that does not parse is not its own.
fn feed(frame: &Frame) -> Option<Feed> {
    let symbol = text(&frame.symbol()).parse().ok()?;
    Some(Feed { symbol, strategy: text(&frame.strategy()).parse().ok()? })
}

fn items<T>(value: &JsValue, read: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
    let Some(array) = value.dyn_ref::<Array>() else { return Vec::new() };
    array.iter().filter(JsValue::is_object).filter_map(|item| read(item.unchecked_ref())).collect()
}

fn text(value: &JsValue) -> String {
    value.as_string().unwrap_or_default()
}

fn number(value: &JsValue) -> u64 {
    value.as_f64().map_or(0, whole)
}

fn set(object: &Object, key: &str, value: impl Into<JsValue>) {
    // Setting a property of a fresh plain object cannot fail.
    let _ = Reflect::set(object, &key.into(), &value.into());
}
