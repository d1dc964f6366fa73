//! What the gateway counts, for Prometheus. Labels are of small fixed sets (strategy, reason, outcome): never users,
//! addresses or symbols.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidegate_protocol::Strategy;

use crate::refusal::Refusal;

/// From a tenth of a millisecond to the ten seconds after which a slow reader is cut.
const DELIVERY_SECONDS: [f64; 13] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0];
/// From a flap to a connection that is asked to move for its age.
const SESSION_SECONDS: [f64; 8] = [1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

type Label = [(&'static str, Cow<'static, str>); 1];

/// Counters that differ in one label.
#[derive(Clone, Debug)]
pub struct By {
    label: &'static str,
    counters: Family<Label, Counter>,
}

impl By {
    /// With the values that there are from the start, at zero: what is missing cannot be told from what never was.
    fn new(label: &'static str, values: &[&'static str]) -> Self {
        let by = Self { label, counters: Family::default() };
        values.iter().for_each(|value| by.inc_by(*value, 0));
        by
    }

    /// Counts one.
    pub fn inc(&self, value: impl Into<Cow<'static, str>>) {
        self.inc_by(value, 1);
    }

    /// Counts so many.
    pub fn inc_by(&self, value: impl Into<Cow<'static, str>>, count: u64) {
        self.counters.get_or_create(&[(self.label, value.into())]).inc_by(count);
    }

    /// What has been counted.
    #[must_use]
    pub fn get(&self, value: impl Into<Cow<'static, str>>) -> u64 {
        self.counters.get(&[(self.label, value.into())]).map_or(0, |counter| counter.get())
    }
}

/// A metric for each strategy, all of which are there from the start.
#[derive(Clone, Debug)]
struct ByStrategy<M> {
    family: Family<Label, M, fn() -> M>,
    each: [M; Strategy::ALL.len()],
}

impl<M: Clone> ByStrategy<M> {
    fn new(make: fn() -> M) -> Self {
        let family: Family<Label, M, fn() -> M> = Family::new_with_constructor(make);
        let each = Strategy::ALL
            .map(|strategy| family.get_or_create_owned(&[("strategy", strategy.as_str().into())]));
        Self { family, each }
    }

    fn of(&self, strategy: Strategy) -> &M {
        &self.each[strategy as usize]
    }
}

/// Everything that is counted. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Open WebSockets, by kind of client.
    connections: Family<Label, Gauge>,
    /// Upgrades that succeeded.
    pub upgrades: Counter,
    /// Requests that were not upgraded, by reason.
    pub handshake_refusals: By,
    /// Sockets that got no further than the door, by reason: the node or their network has too many.
    pub sockets_turned_away: By,
    /// Requests that were refused before anybody looked at what they ask for, by status.
    pub requests_refused: By,
    /// How often the listener could not accept, for want of file descriptors for example.
    pub accept_failures: Counter,
    /// Tokens that were refused, by reason, at the handshake and later.
    pub authentication_failures: By,
    /// Messages of clients.
    pub messages_received: Counter,
    /// What was written to clients, by kind: signal or message.
    pub messages_sent: By,
    /// Messages that were over the rate limit.
    pub rate_limit_hits: Counter,
    /// `error` messages, by code.
    pub errors: By,
    subscriptions: ByStrategy<Gauge>,
    /// Signals of all markets, by strategy.
    pub signals_published: By,
    delivery: ByStrategy<Histogram>,
    /// Signals that wait to be written, of all connections together.
    pub outbox_depth: Gauge,
    /// Signals that gave way to newer ones of their feed, by strategy.
    pub conflations: By,
    /// Connections that were closed because they read too slowly.
    pub slow_reader_closes: Counter,
    /// Connections that named an earlier one when they signed in.
    pub reconnects: Counter,
    /// Subscriptions with `since`, by whether everything after it was there.
    pub resumes: By,
    /// Places taken over, by way: session or probe.
    pub takeovers: By,
    /// Connections that the gateway closed, by close code.
    pub closes: By,
    session_seconds: Histogram,
    /// Tasks of connections that panicked.
    pub panics: Counter,
    /// Market events that were refused, by reason.
    pub market_refusals: By,
    /// How often the history was saved, by outcome.
    pub history_saves: By,
    stale_feeds: ByStrategy<Gauge>,
    feed_age: ByStrategy<Gauge<f64, AtomicU64>>,
    runtime_delay: Gauge<f64, AtomicU64>,
    runtime_stalls: Counter,
    runtime_busy: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let strategies = Strategy::ALL.map(Strategy::as_str);
        let connections = Family::<Label, Gauge>::default();
        for client in ["plain", "v1"] {
            drop(connections.get_or_create(&[("client", client.into())]));
        }
        Self {
            connections,
            upgrades: Counter::default(),
            handshake_refusals: By::new(
                "reason",
                &[
                    "invalid_token",
                    "connection_limit",
                    "origin",
                    "node_full",
                    "memory",
                    "crowded",
                    "malformed",
                ],
            ),
            sockets_turned_away: By::new("reason", &["node_full", "crowded"]),
            requests_refused: By::new("status", &["400", "408", "413", "414", "421", "431"]),
            accept_failures: Counter::default(),
            authentication_failures: By::new("reason", &["invalid_token", "token_expired"]),
            messages_received: Counter::default(),
            messages_sent: By::new("kind", &["signal", "message"]),
            rate_limit_hits: Counter::default(),
            errors: By::new("code", &["rate_limited", "invalid_message", "auth_timeout"]),
            subscriptions: ByStrategy::new(Gauge::default),
            signals_published: By::new("strategy", &strategies),
            delivery: ByStrategy::new(|| Histogram::new(DELIVERY_SECONDS)),
            outbox_depth: Gauge::default(),
            conflations: By::new("strategy", &strategies),
            slow_reader_closes: Counter::default(),
            reconnects: Counter::default(),
            resumes: By::new("outcome", &["recovered", "lost"]),
            takeovers: By::new("way", &["session", "probe"]),
            closes: By::new("code", &["1012", "1013", "4000", "4001", "4002"]),
            session_seconds: Histogram::new(SESSION_SECONDS),
            panics: Counter::default(),
            market_refusals: By::new("reason", &["invalid", "jump", "gap"]),
            history_saves: By::new("outcome", &["saved", "failed"]),
            stale_feeds: ByStrategy::new(Gauge::default),
            feed_age: ByStrategy::new(Gauge::default),
            runtime_delay: Gauge::default(),
            runtime_stalls: Counter::default(),
            runtime_busy: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A connection of this kind of client (`plain` or `v1`) is open until what this gives is dropped.
    #[must_use]
    pub fn open(&self, client: &'static str) -> Open {
        let gauge = self.connections.get_or_create_owned(&[("client", client.into())]);
        gauge.inc();
        Open { gauge, seconds: self.session_seconds.clone(), since: tokio::time::Instant::now() }
    }

    /// Followers of a strategy's feeds.
    #[must_use]
    pub fn subscriptions(&self, strategy: Strategy) -> &Gauge {
        self.subscriptions.of(strategy)
    }

    /// A signal was written this long after it was published.
    pub fn delivered(&self, strategy: Strategy, after: Duration) {
        self.delivery.of(strategy).observe(after.as_secs_f64());
    }

    /// How many feeds of a strategy are stale, and the age of the oldest evaluation.
    pub fn freshness(&self, strategy: Strategy, stale: usize, age: Duration) {
        self.stale_feeds.of(strategy).set(i64::try_from(stale).unwrap_or(i64::MAX));
        self.feed_age.of(strategy).set(age.as_secs_f64());
    }

    /// A task that was due ran so much later; longer than `stall`, the runtime was starved.
    pub fn ran_late(&self, late: Duration, stall: Duration) {
        self.runtime_delay.set(late.as_secs_f64());
        if late >= stall {
            self.runtime_stalls.inc();
        }
    }

    /// The worker thread that paused longest ago has been running this long.
    pub fn busy(&self, longest: Duration) {
        self.runtime_busy.set(longest.as_secs_f64());
    }

    /// An upgrade was refused.
    pub fn refused(&self, refusal: &Refusal) {
        self.handshake_refusals.inc(refusal.label());
    }

    /// Everything, in the text form that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry()).expect("a string takes what is written");
        text
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tidegate");
        self.register_connections(&mut registry);
        self.register_messages(&mut registry);
        self.register_signals(&mut registry);
        self.register_operation(&mut registry);
        registry
    }

    fn register_connections(&self, to: &mut Registry) {
        to.register("connections", "Open WebSockets, by kind of client", self.connections.clone());
        to.register("upgrades", "Upgrades to a WebSocket", self.upgrades.clone());
        to.register(
            "handshake_refusals",
            "Requests that were not upgraded, by reason",
            self.handshake_refusals.counters.clone(),
        );
        to.register(
            "authentication_failures",
            "Tokens that were refused, by reason",
            self.authentication_failures.counters.clone(),
        );
        to.register(
            "sockets_turned_away",
            "Sockets that were closed at once, by reason",
            self.sockets_turned_away.counters.clone(),
        );
        to.register(
            "requests_refused",
            "Requests that were refused for their form, by status",
            self.requests_refused.counters.clone(),
        );
        to.register(
            "accept_failures",
            "Times that the listener could not accept",
            self.accept_failures.clone(),
        );
        to.register("reconnects", "Connections that named an earlier one", self.reconnects.clone());
        to.register(
            "takeovers",
            "Places of earlier connections that were taken over, by way",
            self.takeovers.counters.clone(),
        );
        to.register("closes", "Connections that the gateway closed, by code", self.closes.counters.clone());
        to.register(
            "slow_reader_closes",
            "Connections that were closed because they read too slowly",
            self.slow_reader_closes.clone(),
        );
        to.register("session_seconds", "How long connections lasted", self.session_seconds.clone());
        to.register("panics", "Tasks of connections that panicked", self.panics.clone());
    }

    fn register_messages(&self, to: &mut Registry) {
        to.register("messages_received", "Messages of clients", self.messages_received.clone());
        to.register(
            "messages_sent",
            "What was written to clients, by kind",
            self.messages_sent.counters.clone(),
        );
        to.register("rate_limit_hits", "Messages over the rate limit", self.rate_limit_hits.clone());
        to.register("errors", "Error messages to clients, by code", self.errors.counters.clone());
    }

    fn register_signals(&self, to: &mut Registry) {
        to.register(
            "signals_published",
            "Signals of all markets, by strategy",
            self.signals_published.counters.clone(),
        );
        to.register("outbox_depth", "Signals that wait to be written", self.outbox_depth.clone());
        to.register(
            "conflations",
            "Signals that gave way to newer ones, by strategy",
            self.conflations.counters.clone(),
        );
        to.register("resumes", "Subscriptions with since, by outcome", self.resumes.counters.clone());
        to.register("subscriptions", "Feeds that are followed", self.subscriptions.family.clone());
        to.register(
            "delivery_seconds",
            "From the publishing of a signal until it was written to a connection",
            self.delivery.family.clone(),
        );
        to.register("stale_feeds", "Feeds without current market data", self.stale_feeds.family.clone());
        to.register(
            "feed_age_seconds",
            "Time since the evaluation of the feed that was evaluated longest ago",
            self.feed_age.family.clone(),
        );
    }

    fn register_operation(&self, to: &mut Registry) {
        to.register(
            "market_refusals",
            "Market events that were refused, by reason",
            self.market_refusals.counters.clone(),
        );
        to.register("history_saves", "Saves of the history, by outcome", self.history_saves.counters.clone());
        to.register(
            "runtime_delay_seconds",
            "How much later than due the watchdog's last task ran",
            self.runtime_delay.clone(),
        );
        to.register(
            "runtime_busy_seconds",
            "How long the worker thread has been running that paused longest ago",
            self.runtime_busy.clone(),
        );
        to.register("runtime_stalls", "Times that a task ran far too late", self.runtime_stalls.clone());
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub struct Open {
    gauge: Gauge,
    seconds: Histogram,
    since: tokio::time::Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
        self.seconds.observe(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_and_what_ends_is_not_counted_any_more() {
        let metrics = Metrics::default();
        let open = [metrics.open("v1"), metrics.open("v1"), metrics.open("plain")];
        metrics.delivered(Strategy::Scalp, Duration::from_millis(3));
        metrics.closes.inc("1013");
        let text = metrics.text();
        for line in [
            "tidegate_connections{client=\"v1\"} 2",
            "tidegate_connections{client=\"plain\"} 1",
            "tidegate_delivery_seconds_bucket{le=\"0.0025\",strategy=\"scalp\"} 0",
            "tidegate_delivery_seconds_bucket{le=\"0.005\",strategy=\"scalp\"} 1",
            "tidegate_closes_total{code=\"1013\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
        drop(open);
        let text = metrics.text();
        assert!(text.contains("tidegate_connections{client=\"v1\"} 0"), "{text}");
        assert!(text.contains("tidegate_session_seconds_count 3"), "{text}");
    }
}
