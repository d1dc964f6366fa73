//! What is wrong with what came over a socket, as the refusal that its peer is told.

use tokio_tungstenite::tungstenite;

use super::guard::{Tripped, UNAUTHENTICATED_MAX_BYTES};
use crate::refusal::Refusal;

/// What is wrong with what came over a socket.
pub trait Faulty {
    /// The refusal to tell the peer; none if there is nobody left to tell.
    fn refusal(&self, max_message_bytes: u32) -> Option<Refusal>;
}

impl Faulty for tungstenite::Error {
    fn refusal(&self, max_message_bytes: u32) -> Option<Refusal> {
        match self {
            Self::Capacity(_) => Some(Refusal::MessageTooLarge(max_message_bytes)),
            Self::Utf8(_) => Some(Refusal::NotUtf8),
            // There is nobody left.
            Self::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
            Self::Protocol(_) => Some(Refusal::BrokenFrame),
            Self::Io(error) => Tripped::behind(error).map(|tripped| match tripped {
                Tripped::Unauthenticated => Refusal::TooMuchUnauthenticated(UNAUTHENTICATED_MAX_BYTES),
                Tripped::ControlFrames => Refusal::Flooding,
                Tripped::Unfinished => Refusal::Unfinished,
            }),
            _ => None,
        }
    }
}
