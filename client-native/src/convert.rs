//! Frames to what the core wants to know of them.

use tidegate_client_core::{Fact, Granted, Rejected};
use tidegate_protocol::{Feed, RejectedSubscription, ServerMessage, Strategy, SubscriptionGranted};

/// The messages in one frame: one, or several in lines, as older servers batch them. A message that cannot be
/// read is `Err` with the reason: a newer server may say what we do not know.
pub(crate) fn messages(text: &str) -> Vec<Result<ServerMessage, String>> {
    match ServerMessage::parse(text) {
        Err(_) if text.trim_end().contains('\n') => {
            text.lines().filter(|line| !line.trim().is_empty()).map(ServerMessage::parse).collect()
        }
        parsed => vec![parsed],
    }
}

/// What the core wants to know of a message that is not a signal.
pub(crate) fn fact(message: ServerMessage) -> Fact {
    match message {
        ServerMessage::Connected(message) => Fact::Connected {
            session_id: message.payload.session_id,
            expires_in_ms: message.payload.expires_in_ms,
            heartbeat_seconds: message.payload.heartbeat_seconds,
            limits: message.payload.limits,
        },
        ServerMessage::Authenticated(message) => {
            Fact::Authenticated { id: message.id, expires_in_ms: message.payload.expires_in_ms }
        }
        ServerMessage::AuthError(message) => Fact::AuthError { id: message.id, code: message.payload.code },
        ServerMessage::Subscribed(message) => Fact::Subscribed {
            id: message.id,
            granted: message.payload.subscriptions.iter().map(granted).collect(),
            rejected: message.payload.rejected.iter().filter_map(rejected).collect(),
        },
        ServerMessage::Unsubscribed(message) => Fact::Unsubscribed { id: message.id },
        ServerMessage::Pong(message) => Fact::Pong { id: message.id },
        ServerMessage::Error(message) => Fact::Error {
            id: message.id,
            code: message.payload.code,
            retry_after_ms: message.payload.retry_after_ms,
        },
        ServerMessage::Heartbeat(_) => Fact::Heartbeat,
        ServerMessage::TokenExpiring(_) => Fact::TokenExpiring,
        ServerMessage::GoingAway(message) => {
            Fact::GoingAway { reconnect_after_ms: message.payload.reconnect_after_ms }
        }
        ServerMessage::Subscriptions(_)
        | ServerMessage::Scalp(_)
        | ServerMessage::Momentum(_)
        | ServerMessage::RangeTrading(_) => Fact::Other,
    }
}

fn granted(granted: &SubscriptionGranted) -> Granted {
    let feed = Feed { symbol: granted.symbol, strategy: granted.strategy };
    Granted { feed, interval_ms: granted.interval_ms, recovered: granted.recovered }
}

/// `None`: something that this client did not ask for.
fn rejected(rejected: &RejectedSubscription) -> Option<Rejected> {
    let strategy = match &rejected.strategy {
        Some(name) => name.parse().ok()?,
        None => Strategy::default(),
    };
    let feed = Feed { symbol: rejected.symbol.parse().ok()?, strategy };
    Some(Rejected { feed, code: rejected.code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_messages_in_one_frame_are_read_one_by_one() {
        let pong = r#"{"type":"pong","id":5,"server_time":"2025-11-04T10:30:05.001Z"}"#;
        let read = messages(&format!("{pong}\n{{\"type\":\"of_a_newer_server\"}}\n\n{pong}\n"));
        let known: Vec<bool> = read.iter().map(Result::is_ok).collect();
        assert_eq!(known, [true, false, true]);
        // A message may also be spread over several lines.
        assert_eq!(messages(&pong.replace(',', ",\n")).len(), 1);
    }
}
