//! Floods of equal events, told in one line each. No files, no clock.
//!
//! Per event, outcome and network, ten events within ten seconds are told as they are. Those beyond are counted and
//! told as one when the ten seconds are over; while the flood lasts, so is everything in every ten seconds after.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Event, EventKind, Outcome};
use crate::transport::network;

/// Equal events that are told one by one.
const SINGLE_MAX: u32 = 10;
/// How long events are counted before they are told as one, in milliseconds.
pub(super) const WINDOW_MS: i64 = 10_000;
/// Floods that are told apart. Those beyond, from still more networks, are told together.
const FLOODS_MAX: usize = 1_000;

/// What the log is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened; of several events, what they have in common.
    pub event: Event,
    /// Where from; of several events, their common address or network.
    pub ip: Option<String>,
    /// When, in Unix milliseconds; of several events, the last.
    pub time_ms: i64,
    /// How many events this stands for, if not for one.
    pub repeated: Option<u64>,
}

/// The events of the last seconds.
#[derive(Debug, Default)]
pub struct Summary {
    floods: HashMap<Key, Flood>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: EventKind,
    outcome: Outcome,
    /// None as well for all networks that are one too many.
    network: Option<IpAddr>,
}

#[derive(Debug)]
struct Flood {
    started_ms: i64,
    single: u32,
    held: Option<Held>,
}

/// Events that wait to be told as one.
#[derive(Debug)]
struct Held {
    event: Event,
    /// They come from more than one address.
    scattered: bool,
    count: u64,
    last_ms: i64,
}

impl Told {
    /// One event as it is.
    #[must_use]
    pub fn single(event: Event, time_ms: i64) -> Self {
        let ip = event.ip.map(|ip| ip.to_string());
        Self { event, ip, time_ms, repeated: None }
    }
}

impl Summary {
    /// What to say at once about an event of `now_ms`: itself, or nothing yet.
    pub fn offer(&mut self, event: Event, now_ms: i64) -> Option<Told> {
        let flood = self.flood(&event, now_ms);
        if flood.single < SINGLE_MAX {
            flood.single += 1;
            return Some(Told::single(event, now_ms));
        }
        match &mut flood.held {
            Some(held) => held.add(event, now_ms),
            held => *held = Some(Held { event, scattered: false, count: 1, last_ms: now_ms }),
        }
        None
    }

    /// What to say at `now_ms` about floods whose ten seconds are over.
    pub fn due(&mut self, now_ms: i64) -> Vec<Told> {
        // Also when the clock was set back: nothing may wait for hours.
        self.take(|flood| !(flood.started_ms..flood.started_ms + WINDOW_MS).contains(&now_ms), now_ms)
    }

    /// What there is left to say, at the end.
    pub fn finish(&mut self) -> Vec<Told> {
        let told = self.take(|_| true, 0);
        self.floods.clear();
        told
    }

    fn flood(&mut self, event: &Event, now_ms: i64) -> &mut Flood {
        let mut key = Key { kind: event.kind, outcome: event.outcome, network: event.ip.map(network) };
        if !self.floods.contains_key(&key) && self.floods.len() >= FLOODS_MAX {
            key.network = None;
        }
        self.floods.entry(key).or_insert(Flood { started_ms: now_ms, single: 0, held: None })
    }

    fn take(&mut self, over: impl Fn(&Flood) -> bool, now_ms: i64) -> Vec<Told> {
        let mut told = Vec::new();
        self.floods.retain(|key, flood| {
            if !over(flood) {
                return true;
            }
            let Some(held) = flood.held.take() else { return false };
            told.push(held.told(key.network));
            *flood = Flood { started_ms: now_ms, single: SINGLE_MAX, held: None };
            true
        });
        told.sort_by_key(|told| told.time_ms);
        told
    }
}

impl Held {
    /// Keeps of both only what they have in common.
    fn add(&mut self, event: Event, now_ms: i64) {
        let Event { kind: _, outcome: _, level, user, ip, user_agent, detail } = event;
        let common = &mut self.event;
        common.level = common.level.max(level);
        common.user.take_if(|common| user.as_ref() != Some(common));
        common.user_agent.take_if(|common| user_agent.as_ref() != Some(common));
        common.detail.take_if(|common| detail.as_ref() != Some(common));
        self.scattered |= common.ip != ip;
        self.count += 1;
        self.last_ms = now_ms;
    }

    fn told(self, network: Option<IpAddr>) -> Told {
        let ip = match (self.scattered, network) {
            (false, _) => self.event.ip.map(|ip| ip.to_string()),
            (true, Some(network)) => Some(format!("{network}/64")),
            (true, None) => None,
        };
        Told { event: self.event, ip, time_ms: self.last_ms, repeated: Some(self.count) }
    }
}
