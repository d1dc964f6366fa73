//! The feeds that one session follows: what may be taken up, what is held, and how it is listed.

use std::collections::BTreeMap;

use tidegate_protocol::{
    Feed, FeedRequest, Limits, RejectedSubscription, Strategy, SubscriptionList, SubscriptionRef, Symbol,
};

use crate::auth::permission::Permissions;
use crate::hub::Position;
use crate::refusal::Refusal;

/// What a session needs to know of the gateway.
#[derive(Debug)]
pub struct Rules {
    /// What one client may do.
    pub limits: Limits,
    /// Time to authenticate, in seconds.
    pub auth_timeout_seconds: u32,
    /// What each role may do.
    pub permissions: Permissions,
    /// The symbols that are tracked.
    pub symbols: Vec<Symbol>,
    /// Wall-clock milliseconds between two evaluations, by strategy.
    pub interval_ms: BTreeMap<Strategy, u64>,
}

/// The feeds of one session.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// In the order of subscribing; the last one of a symbol is the one that `strategies` names.
    feeds: Vec<Feed>,
}

impl Rules {
    fn known_symbol(&self, text: &str) -> Result<Symbol, Refusal> {
        let symbol = text.parse().ok().filter(|symbol| self.symbols.contains(symbol));
        symbol.ok_or_else(|| Refusal::UnknownSymbol { symbol: text.to_owned(), available: self.available() })
    }

    /// The symbols that are tracked, for people.
    #[must_use]
    pub fn available(&self) -> String {
        self.symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl Followed {
    /// Takes up one feed and says from where it goes on.
    pub(super) fn take_up(
        &mut self,
        request: &FeedRequest,
        rules: &Rules,
    ) -> Result<(Feed, Position), Refusal> {
        let symbol = rules.known_symbol(&request.symbol)?;
        let strategy = known_strategy(request)?.unwrap_or_default();
        let feed = Feed { symbol, strategy };
        let held = self.feeds.iter().position(|other| *other == feed);
        if let Some(index) = held {
            self.feeds.remove(index);
        } else if self.feeds.len() >= rules.limits.subscriptions_per_connection as usize {
            return Err(Refusal::SubscriptionLimit(rules.limits.subscriptions_per_connection));
        }
        self.feeds.push(feed);
        let position = match (request.since, held) {
            (Some(since), _) => Position::Since(since),
            (None, Some(_)) => Position::Current,
            (None, None) => Position::Latest,
        };
        Ok((feed, position))
    }

    /// Gives up what an `unsubscribe` means: one feed, or every strategy of a symbol.
    pub(super) fn give_up(&mut self, request: &FeedRequest, rules: &Rules) -> Result<Vec<Feed>, Refusal> {
        let symbol = rules.known_symbol(&request.symbol)?;
        let strategy = known_strategy(request)?;
        let meant = |feed: &mut Feed| feed.symbol == symbol && strategy.is_none_or(|s| s == feed.strategy);
        let given_up: Vec<_> = self.feeds.extract_if(.., meant).collect();
        if given_up.is_empty() {
            let what = strategy.map_or_else(|| symbol.to_string(), |strategy| format!("{symbol}/{strategy}"));
            return Err(Refusal::NotSubscribed(what));
        }
        Ok(given_up)
    }

    /// Gives up everything.
    pub(super) fn give_up_all(&mut self) -> Vec<Feed> {
        std::mem::take(&mut self.feeds)
    }

    /// Every symbol, and the most recently subscribed strategy of each.
    pub(super) fn summary(&self) -> (Vec<Symbol>, BTreeMap<Symbol, Strategy>) {
        let mut symbols = Vec::new();
        for feed in &self.feeds {
            if !symbols.contains(&feed.symbol) {
                symbols.push(feed.symbol);
            }
        }
        (symbols, self.feeds.iter().map(|feed| (feed.symbol, feed.strategy)).collect())
    }

    /// Everything that is followed, as it is sent.
    pub(super) fn list(&self, rejected: Vec<RejectedSubscription>) -> SubscriptionList {
        let (subscribed, strategies) = self.summary();
        let reference = |feed: &Feed| SubscriptionRef { symbol: feed.symbol, strategy: feed.strategy };
        let subscriptions = self.feeds.iter().map(reference).collect();
        SubscriptionList { subscribed, strategies, subscriptions, rejected }
    }

    /// The feeds themselves.
    #[cfg(test)]
    pub(super) fn feeds(&self) -> &[Feed] {
        &self.feeds
    }
}

fn known_strategy(request: &FeedRequest) -> Result<Option<Strategy>, Refusal> {
    let unknown = |_| Refusal::UnknownStrategy(request.strategy.clone().unwrap_or_default());
    request.parse_strategy().map_err(unknown)
}
