//! In place of `trace.rs` where the host keeps its own report: remembers nothing.

use tidegate_protocol::Feed;

use crate::{Action, FeedId, Input, SocketId, Verdict};

/// What happened is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Trace;

impl Trace {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn input(&mut self, _: &Input, _: u64) {}

    pub(crate) fn subscribe(&mut self, _: Feed, _: u64) {}

    pub(crate) fn held(&mut self, _: FeedId, _: u64, _: u64) {}

    pub(crate) fn release(&mut self, _: FeedId, _: u64) {}

    pub(crate) fn signal(&mut self, _: (SocketId, FeedId), _: (u64, u64), _: Verdict, _: u64) {}

    pub(crate) fn action(&mut self, _: &Action, _: u64) {}
}
