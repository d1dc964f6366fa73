//! Control frames in, events out: the one place where JavaScript objects are read and made.
//!
//! Frames are read by getters and never by serde: its buffering of tagged enums alone was 41 % of a full
//! build. A field of a wrong type counts as missing.

use js_sys::Array;
use tidegate_client_core::{
    Fact, FeedStatus, Granted, Input, Rejected, State, Status, Verdict, Warning, error_code,
};
use tidegate_protocol::{ErrorCode, Feed, Limits};
use wasm_bindgen::prelude::*;

use crate::Host;

#[wasm_bindgen]
extern "C" {
    /// Any object of a frame.
    #[derive(Debug)]
    pub type Frame;

    /// A property; `undefined` where there is none. One getter for all: thirty would be thirty imports.
    #[wasm_bindgen(method, structural, indexing_getter)]
    fn get(this: &Frame, key: &str) -> JsValue;
}

/// The inputs without particulars, by name.
pub(crate) fn input_of(name: &str) -> Option<Input> {
    Some(match name {
        "connect" => Input::Connect,
        "disconnect" => Input::Disconnect,
        "new_token" => Input::NewToken,
        "online" => Input::Online,
        "offline" => Input::Offline,
        "hidden" => Input::Hidden,
        "visible" => Input::Visible,
        "freeze" => Input::Freeze,
        "thaw" => Input::Thaw,
        "tick" => Input::Tick,
        _ => return None,
    })
}

/// What a control frame says.
pub(crate) fn fact_of(frame: &Frame) -> Fact {
    let id = frame.number("id");
    let kind = frame.text("type");
    let payload = frame.object("payload");
    match (kind.as_str(), &payload) {
        ("pong", _) => Fact::Pong { id },
        ("heartbeat", _) => Fact::Heartbeat,
        ("token_expiring", _) => Fact::TokenExpiring,
        ("unsubscribed", _) => Fact::Unsubscribed { id },
        ("connected", Some(payload)) => connected(payload),
        ("authenticated", Some(payload)) => {
            Fact::Authenticated { id, expires_in_ms: payload.number("expires_in_ms") }
        }
        ("auth_error", Some(payload)) => Fact::AuthError { id, code: payload.error_code() },
        ("subscribed", Some(payload)) => Fact::Subscribed {
            id,
            granted: payload.items("subscriptions", granted),
            rejected: payload.items("rejected", rejected),
        },
        ("error", Some(payload)) => Fact::Error {
            id,
            code: payload.error_code(),
            retry_after_ms: payload.get("retry_after_ms").as_f64().map(whole),
        },
        ("going_away", Some(payload)) => {
            Fact::GoingAway { reconnect_after_ms: payload.number("reconnect_after_ms") }
        }
        _ => Fact::Other,
    }
}

/// Fields of a frame; one of a wrong type counts as missing.
impl Frame {
    fn text(&self, key: &str) -> String {
        self.get(key).as_string().unwrap_or_default()
    }

    fn number(&self, key: &str) -> u64 {
        self.get(key).as_f64().map_or(0, whole)
    }

    fn small(&self, key: &str) -> u32 {
        self.number(key) as u32
    }

    fn object(&self, key: &str) -> Option<Frame> {
        object(self.get(key))
    }

    fn error_code(&self) -> ErrorCode {
        error_code(&self.text("code"))
    }

    /// The machine asks only for feeds that exist, so one that does not parse is not its own.
    fn feed(&self) -> Option<Feed> {
        let symbol = self.text("symbol").parse().ok()?;
        Some(Feed { symbol, strategy: self.text("strategy").parse().ok()? })
    }

    fn items<T>(&self, key: &str, read: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
        let value = self.get(key);
        let Some(array) = value.dyn_ref::<Array>() else { return Vec::new() };
        array.iter().filter_map(|item| read(&object(item)?)).collect()
    }
}

/// Tells JavaScript how the connection stands. Times become distances, because only JavaScript knows the date,
/// and those that are not known become NaN.
pub(crate) fn tell_status(host: &Host, status: &Status, now_ms: u64) -> Result<(), JsValue> {
    let in_ms = |at_ms: Option<u64>| at_ms.map_or(f64::NAN, |at_ms| at_ms as f64 - now_ms as f64);
    let block = match status.state {
        State::Blocked(block) => block.as_str(),
        _ => "",
    };
    let flags = u8::from(status.probing) | u8::from(status.draining) << 1 | u8::from(status.refreshing) << 2;
    let limits = &status.limits;
    host.on_status(
        status.state.as_str(),
        block,
        &[
            f64::from(flags),
            f64::from(status.attempt),
            in_ms(status.retry_at_ms),
            in_ms(status.token_expires_at_ms),
            in_ms(status.paced_until_ms),
            status.rtt_ms.map_or(f64::NAN, |rtt_ms| rtt_ms as f64),
            f64::from(limits.messages_per_minute),
            f64::from(limits.subscriptions_per_connection),
            f64::from(limits.connections_per_user),
        ],
    )
}

/// The code with which a feed was refused; empty if it was not.
pub(crate) fn rejection_of(status: &FeedStatus) -> &'static str {
    match status {
        FeedStatus::Rejected(code) => code.as_str(),
        _ => "",
    }
}

/// The error code of the protocol that a warning is about; empty where it is about none.
pub(crate) fn warning_code(warning: &Warning) -> &'static str {
    match warning {
        Warning::TokenRefused(code) | Warning::FeedRejected(_, code) | Warning::MessageRefused(code) => {
            code.as_str()
        }
        _ => "",
    }
}

/// The close code or the milliseconds that a warning is about; 0 where it is about neither.
pub(crate) fn warning_number(warning: &Warning) -> f64 {
    match warning {
        Warning::RateLimited(wait_ms) => *wait_ms as f64,
        Warning::ProtocolFault(code) | Warning::Stopped(code) => f64::from(*code),
        _ => 0.0,
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
        session_id: payload.text("session_id"),
        expires_in_ms: payload.number("expires_in_ms"),
        heartbeat_seconds: payload.small("heartbeat_seconds"),
        limits: payload.object("limits").as_ref().map_or_else(Limits::default, limits),
    }
}

fn limits(frame: &Frame) -> Limits {
    Limits {
        messages_per_minute: frame.small("messages_per_minute"),
        subscriptions_per_connection: frame.small("subscriptions_per_connection"),
        connections_per_user: frame.small("connections_per_user"),
        max_message_bytes: frame.small("max_message_bytes"),
    }
}

fn granted(frame: &Frame) -> Option<Granted> {
    let recovered = frame.get("recovered").is_truthy();
    Some(Granted { feed: frame.feed()?, interval_ms: frame.number("interval_ms"), recovered })
}

fn rejected(frame: &Frame) -> Option<Rejected> {
    Some(Rejected { feed: frame.feed()?, code: frame.error_code() })
}

fn object(value: JsValue) -> Option<Frame> {
    value.is_object().then(|| value.unchecked_into())
}
