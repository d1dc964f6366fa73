//! What one network may hold of the gateway before anybody there has signed in.
//!
//! A network is an IPv4 address or a /64 of IPv6. Everything gives itself back on drop, and networks of which there
//! is nothing to remember are forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate_protocol::SlidingWindow;
use tokio::time::Instant;

use super::network;
use crate::config::LimitsConfig;

const MINUTE_MS: u64 = 60_000;
/// Networks that are remembered before they are looked through for those of which there is nothing to remember.
const FORGET_ABOVE: usize = 4_096;
/// How often that happens, unless there are twice as many as the last time left.
const FORGET_EVERY_MS: u64 = 1_000;
/// With more than this, those that have nothing open are forgotten, however recent.
const NETWORKS_MAX: usize = 65_536;

/// Who is at the door, by network.
#[derive(Clone, Debug)]
pub struct Visitors {
    limits: Limits,
    started: Instant,
    networks: Arc<Mutex<Networks>>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    http: u32,
    unauthenticated: u32,
    new_per_minute: usize,
}

#[derive(Debug)]
struct Networks {
    by_ip: HashMap<IpAddr, Presence>,
    /// When they were looked through, and with how many that is due before its time: in a storm each newcomer pays for
    /// a few others, not for all.
    forgot_at_ms: u64,
    forget_above: usize,
}

#[derive(Debug)]
struct Presence {
    http: u32,
    unauthenticated: u32,
    new: SlidingWindow,
}

/// The network has as much as it may have. Trying again can help after so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded {
    /// When to try again.
    pub retry_after_ms: u64,
}

/// Something that a network holds, until dropped.
#[derive(Debug)]
pub struct Visit {
    network: IpAddr,
    kind: Kind,
    visitors: Visitors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Unauthenticated,
}

impl Visitors {
    /// Nobody, with the limits of the configuration.
    #[must_use]
    pub fn new(limits: &LimitsConfig) -> Self {
        let limits = Limits {
            http: limits.http_connections_per_ip,
            unauthenticated: limits.unauthenticated_connections_per_ip,
            new_per_minute: limits.new_connections_per_ip as usize,
        };
        Self { limits, started: Instant::now(), networks: Arc::default() }
    }

    /// A socket that may ask for something.
    ///
    /// # Errors
    /// [`Crowded`] when the network has too many of them.
    pub fn knock(&self, ip: IpAddr) -> Result<Visit, Crowded> {
        self.enter(ip, Kind::Http)
    }

    /// A WebSocket on which nobody has signed in yet; also counts as a new one of this minute.
    ///
    /// # Errors
    /// [`Crowded`] when the network has too many of them, or opened too many in the last minute.
    pub fn connect(&self, ip: IpAddr) -> Result<Visit, Crowded> {
        self.enter(ip, Kind::Unauthenticated)
    }

    fn enter(&self, ip: IpAddr, kind: Kind) -> Result<Visit, Crowded> {
        let network = network(ip);
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut networks = self.networks();
        networks.forget(now_ms);
        let presence = networks.by_ip.entry(network).or_insert_with(|| Presence {
            http: 0,
            unauthenticated: 0,
            new: SlidingWindow::new(self.limits.new_per_minute, MINUTE_MS),
        });
        if *presence.held(kind) >= self.limits.of(kind) {
            // Unless somebody leaves earlier, those who do not sign in are sent away.
            return Err(Crowded { retry_after_ms: 5_000 });
        }
        if kind == Kind::Unauthenticated {
            presence.new.try_take(now_ms).map_err(|retry_after_ms| Crowded { retry_after_ms })?;
        }
        *presence.held(kind) += 1;
        drop(networks);
        Ok(Visit { network, kind, visitors: self.clone() })
    }

    fn networks(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().expect("no holder panics")
    }
}

impl Limits {
    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Http => self.http,
            Kind::Unauthenticated => self.unauthenticated,
        }
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self { by_ip: HashMap::new(), forgot_at_ms: 0, forget_above: FORGET_ABOVE }
    }
}

impl Networks {
    /// Makes room, if there are many.
    fn forget(&mut self, now_ms: u64) {
        let many = self.by_ip.len();
        let is_due = many > FORGET_ABOVE && now_ms >= self.forgot_at_ms + FORGET_EVERY_MS;
        if !is_due && many <= self.forget_above {
            return;
        }
        self.forgot_at_ms = now_ms;
        let all_idle = many > NETWORKS_MAX;
        self.by_ip.retain(|_, presence| !(presence.is_over(now_ms) || all_idle && presence.is_idle()));
        self.forget_above = FORGET_ABOVE.max(2 * self.by_ip.len());
    }
}

impl Presence {
    fn held(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Http => &mut self.http,
            Kind::Unauthenticated => &mut self.unauthenticated,
        }
    }

    fn is_over(&mut self, now_ms: u64) -> bool {
        self.is_idle() && self.new.used(now_ms) == 0
    }

    fn is_idle(&self) -> bool {
        self.http == 0 && self.unauthenticated == 0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let now_ms = u64::try_from(self.visitors.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut networks = self.visitors.networks();
        if let Some(presence) = networks.by_ip.get_mut(&self.network) {
            *presence.held(self.kind) -= 1;
            if presence.is_over(now_ms) {
                networks.by_ip.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn visitors() -> Visitors {
        Visitors::new(&LimitsConfig {
            http_connections_per_ip: 2,
            unauthenticated_connections_per_ip: 3,
            new_connections_per_ip: 5,
            ..LimitsConfig::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_holds_so_many_unauthenticated_connections_and_opens_so_many_a_minute() {
        let visitors = visitors();
        let mut held: Vec<_> = (0..3).map(|_| visitors.connect(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(visitors.connect(ip("10.0.0.1")).unwrap_err(), Crowded { retry_after_ms: 5_000 });
        assert!(visitors.connect(ip("10.0.0.2")).is_ok(), "another network");
        for _ in 0..2 {
            held.pop();
            held.push(visitors.connect(ip("10.0.0.1")).unwrap());
        }
        held.pop();
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(visitors.connect(ip("10.0.0.1")).unwrap_err(), Crowded { retry_after_ms: 10_000 });
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(visitors.connect(ip("10.0.0.1")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_slash_64_is_one_network_and_nothing_of_it_is_kept_for_ever() {
        let visitors = visitors();
        let held: Vec<_> =
            (1..=2).map(|host| visitors.knock(ip(&format!("2001:db8::{host}"))).unwrap()).collect();
        assert!(visitors.knock(ip("2001:db8::ffff:1")).is_err());
        assert!(visitors.knock(ip("2001:db8:0:1::1")).is_ok());
        assert!(visitors.knock(ip("::ffff:10.0.0.1")).is_ok());
        drop(held);
        assert!(visitors.networks().by_ip.is_empty());
        for host in 0..u32::try_from(FORGET_ABOVE).unwrap() + 10 {
            drop(visitors.connect(IpAddr::from((host + (10 << 24)).to_be_bytes())));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        drop(visitors.connect(ip("192.0.2.1")));
        assert_eq!(visitors.networks().by_ip.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_networks_neither_fills_the_memory_nor_looks_through_all_of_them_each_time() {
        let visitors = visitors();
        let staying = visitors.connect(ip("192.0.2.1")).unwrap();
        for host in 0..4 * u32::try_from(NETWORKS_MAX).unwrap() {
            drop(visitors.connect(IpAddr::from((host + (10 << 24)).to_be_bytes())));
        }
        let networks = visitors.networks();
        assert!(networks.by_ip.len() <= 2 * NETWORKS_MAX, "{}", networks.by_ip.len());
        assert!(networks.by_ip[&ip("192.0.2.1")].unauthenticated == 1, "who is here stays");
        drop(networks);
        drop(staying);
    }
}
