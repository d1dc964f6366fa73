//! Numbers and names in, facts out; events in, numbers and names out. The other side of it is `npm/src/host.ts`.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_client_core::{
    Client, Fact, FeedId, FeedStatus, Granted, Input, Rejected, State, Status, Verdict, Warning, error_code,
};
use tidegate_protocol::Limits;

use crate::Host;

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
///
/// Of `subscribed`, `numbers` are handle, interval and recovered of each feed that was granted. Of `rejected`, which is
/// one entry of the same frame, it is the handle. Of all others they are what `NUMBERS` and `LIMITS` in `npm/src/host.ts`
/// list, in that order; what is missing is NaN. `text` is the session of `connected`, else the error code.
pub(crate) fn fact_of(core: &Client, kind: &str, id: u64, numbers: &[f64], text: String) -> Fact {
    let number = |index: usize| numbers.get(index).copied().map_or(0, whole);
    match kind {
        "pong" => Fact::Pong { id },
        "heartbeat" => Fact::Heartbeat,
        "token_expiring" => Fact::TokenExpiring,
        "unsubscribed" => Fact::Unsubscribed { id },
        "connected" => Fact::Connected {
            session_id: text,
            expires_in_ms: number(0),
            heartbeat_seconds: number(3) as u32,
            // A server that does not say has those of the protocol.
            limits: match number(4) as u32 {
                0 => Limits::default(),
                messages_per_minute => Limits {
                    messages_per_minute,
                    subscriptions_per_connection: number(5) as u32,
                    connections_per_user: number(6) as u32,
                    max_message_bytes: number(7) as u32,
                },
            },
        },
        "authenticated" => Fact::Authenticated { id, expires_in_ms: number(0) },
        "auth_error" => Fact::AuthError { id, code: error_code(&text) },
        "error" => {
            let retry_after_ms = numbers.get(1).filter(|number| !number.is_nan()).copied().map(whole);
            Fact::Error { id, code: error_code(&text), retry_after_ms }
        }
        "going_away" => Fact::GoingAway { reconnect_after_ms: number(2) },
        "subscribed" => Fact::Subscribed { id, granted: granted(core, numbers), rejected: Vec::new() },
        "rejected" => {
            let feed = core.name_of(FeedId(number(0) as u32));
            let rejected = feed.map(|feed| Rejected { feed, code: error_code(&text) });
            Fact::Subscribed { id, granted: Vec::new(), rejected: Vec::from_iter(rejected) }
        }
        _ => Fact::Other,
    }
}

/// A feed that is not known here is none that was asked for.
fn granted(core: &Client, numbers: &[f64]) -> Vec<Granted> {
    let read = |entry: &[f64]| {
        let [handle, interval_ms, recovered] = *entry else { return None };
        let feed = core.name_of(FeedId(whole(handle) as u32))?;
        Some(Granted { feed, interval_ms: whole(interval_ms), recovered: recovered != 0.0 })
    };
    numbers.chunks_exact(3).filter_map(read).collect()
}

/// Tells JavaScript how the connection stands. Times become distances, because only JavaScript knows the date,
/// and those that are not known become NaN.
pub(crate) fn tell_status(host: &Host, status: &Status, now: f64) {
    let in_ms = |at_ms: Option<u64>| at_ms.map_or(f64::NAN, |at_ms| at_ms as f64 - now);
    let block = match status.state {
        State::Blocked(block) => block.as_str(),
        _ => "",
    };
    let flags = u8::from(status.probing) | u8::from(status.draining) << 1 | u8::from(status.refreshing) << 2;
    let limits = &status.limits;
    let numbers = [
        f64::from(flags),
        f64::from(status.attempt),
        in_ms(status.retry_at_ms),
        in_ms(status.token_expires_at_ms),
        in_ms(status.paced_until_ms),
        status.rtt_ms.map_or(f64::NAN, |rtt_ms| rtt_ms as f64),
        f64::from(limits.messages_per_minute),
        f64::from(limits.subscriptions_per_connection),
        f64::from(limits.connections_per_user),
    ];
    host.on_status(status.state.as_str(), block, &numbers);
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

/// The feed that a warning is about; 0 where it is about none.
pub(crate) fn warning_feed(warning: &Warning) -> u32 {
    match warning {
        Warning::FeedRejected(feed, _) => feed.0,
        _ => 0,
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
