//! Challenges that wallets answer: kept until answered or expired, each good for one attempt.
//!
//! Everything that grows is bounded: challenges in all, and per network of the one who asks.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use alloy_primitives::{Address, hex};
use tidegate_protocol::SlidingWindow;

use super::siwe::{Malformed, Message, Timestamp};
use super::wallet::{SignatureRefused, recover_signer};
use crate::transport::network;

/// Challenges kept at the same time. A flood of them cannot take more memory than this.
const CHALLENGES_MAX: usize = 100_000;
/// Challenges that one network may leave unanswered.
const WAITING_PER_NETWORK_MAX: u32 = 20;
/// Challenges that one network may ask for in any minute.
const PER_MINUTE_MAX: usize = 60;
const MINUTE_MS: u64 = 60_000;
/// Networks that are remembered. Those with nothing to remember are forgotten every so often.
const NETWORKS_MAX: usize = CHALLENGES_MAX;
const FORGET_EVERY_MS: i64 = 10_000;

/// What wallets show to the person who signs.
const STATEMENT: &str = "Sign in to Tidegate. This costs nothing and sends no transaction.";
/// What stands before the nonce in a message.
const NONCE_LABEL: &str = "Nonce: ";

/// Challenges that wait for an answer.
#[derive(Debug)]
pub struct Challenges {
    lifetime_ms: i64,
    chain_id: u64,
    store: Mutex<Store>,
}

/// A challenge for a wallet to sign.
#[derive(Debug)]
pub struct Challenge {
    /// What to sign with `personal_sign`.
    pub message: String,
    /// The random part of it.
    pub nonce: String,
    /// Until when, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// Why no challenge is given out now. The text is for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyChallenges {
    /// The store holds as many challenges as it may.
    #[error("too many sign-ins are waiting: try again in a minute")]
    InAll,
    /// The network left too many challenges unanswered.
    #[error(
        "{WAITING_PER_NETWORK_MAX} sign-ins from your network wait for a signature: answer one, or try again when they expire"
    )]
    Waiting,
    /// The network asked too often.
    #[error(
        "more than {PER_MINUTE_MAX} sign-ins a minute from your network: try again in {} s",
        retry_after_ms.div_ceil(1_000)
    )]
    PerMinute {
        /// When a challenge would be given out, in milliseconds from now.
        retry_after_ms: u64,
    },
}

/// Why an answer was refused: for the audit. The one who answered is told one and the same text in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerRefused {
    /// The text is no EIP-4361 message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The nonce was never issued, was used, or expired a while ago.
    #[error("the nonce was not issued, is used up or has expired")]
    UnknownNonce,
    /// The challenge came too late.
    #[error("the challenge has expired")]
    Expired,
    /// The named part is not what was issued.
    #[error("the {0} is not the one that was issued")]
    Differs(&'static str),
    /// The signature is not of the only accepted form, or nobody's.
    #[error(transparent)]
    Signature(#[from] SignatureRefused),
    /// Another wallet signed.
    #[error("another wallet signed")]
    WrongSigner,
}

impl Challenges {
    /// A store of challenges that last `minutes`.
    #[must_use]
    pub fn new(minutes: u32, chain_id: u64) -> Self {
        Self { lifetime_ms: i64::from(minutes) * 60_000, chain_id, store: Mutex::default() }
    }

    /// A new challenge for `address`, to be signed for the page at `uri` on `domain`, asked for from `ip`.
    ///
    /// # Errors
    /// [`TooManyChallenges`] when the store is full, or the network of `ip` asked for too many.
    pub fn issue(
        &self,
        address: Address,
        domain: &str,
        uri: &str,
        ip: IpAddr,
        now_ms: i64,
    ) -> Result<Challenge, TooManyChallenges> {
        let nonce = nonce();
        let expires_at_ms = now_ms + self.lifetime_ms;
        let issued = Issued {
            address,
            domain: domain.into(),
            uri: uri.into(),
            network: network(ip),
            issued_at_ms: now_ms,
            expires_at_ms,
        };
        let message = issued.message(&nonce, self.chain_id).to_string();
        self.store().add(nonce.clone(), issued, now_ms)?;
        Ok(Challenge { message, nonce, expires_at_ms })
    }

    /// Whether `address` signed `message` and the message was issued to it, in time and for the first time.
    /// A challenge is used up by any attempt that names its nonce, also by one that fails.
    ///
    /// # Errors
    /// [`AnswerRefused`], which only the audit is told.
    pub fn answer(
        &self,
        address: Address,
        message: &str,
        signature: &str,
        now_ms: i64,
    ) -> Result<(), AnswerRefused> {
        let parsed = Message::parse(message);
        // Also a text that is no message uses up the challenge whose nonce it names.
        let nonce =
            parsed.as_ref().map_or_else(|_| named_nonce(message), |parsed| Some(parsed.nonce.as_str()));
        let issued = nonce.and_then(|nonce| self.store().remove(nonce));
        let parsed = parsed?;
        let issued = issued.ok_or(AnswerRefused::UnknownNonce)?;
        if issued.expires_at_ms <= now_ms {
            return Err(AnswerRefused::Expired);
        }
        let expected = issued.message(&parsed.nonce, self.chain_id);
        compare(&expected, &parsed)?;
        // The gate: what is verified is exactly what was issued, byte for byte.
        if expected.to_string() != message {
            return Err(AnswerRefused::Differs("message"));
        }
        if issued.address != address {
            return Err(AnswerRefused::Differs("address"));
        }
        match recover_signer(message, signature)? {
            signer if signer == address => Ok(()),
            _ => Err(AnswerRefused::WrongSigner),
        }
    }

    /// Forgets challenges that have expired and networks that asked for nothing lately.
    pub fn purge(&self, now_ms: i64) {
        let mut store = self.store();
        store.expire(now_ms);
        store.forget(now_ms);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no holder panics")
    }
}

/// What has to be remembered of a challenge to write its message again.
#[derive(Debug)]
struct Issued {
    address: Address,
    domain: Box<str>,
    uri: Box<str>,
    network: IpAddr,
    issued_at_ms: i64,
    expires_at_ms: i64,
}

impl Issued {
    fn message(&self, nonce: &str, chain_id: u64) -> Message {
        Message {
            scheme: None,
            domain: self.domain.to_string(),
            address: self.address,
            statement: Some(STATEMENT.into()),
            uri: self.uri.to_string(),
            chain_id,
            nonce: nonce.into(),
            issued_at: Timestamp::from_unix_ms(self.issued_at_ms),
            expiration_time: Some(Timestamp::from_unix_ms(self.expires_at_ms)),
            not_before: None,
            request_id: None,
            resources: None,
        }
    }
}

/// The first part that differs, for the audit.
fn compare(expected: &Message, answered: &Message) -> Result<(), AnswerRefused> {
    let same = [
        ("domain", expected.domain == answered.domain),
        ("address", expected.address == answered.address),
        ("URI", expected.uri == answered.uri),
        ("chain id", expected.chain_id == answered.chain_id),
        ("nonce", expected.nonce == answered.nonce),
        ("Issued At", expected.issued_at == answered.issued_at),
        ("Expiration Time", expected.expiration_time == answered.expiration_time),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((part, _)) => Err(AnswerRefused::Differs(part)),
    }
}

fn named_nonce(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim().strip_prefix(NONCE_LABEL)).map(str::trim)
}

/// The challenges that wait, and what each network has asked for.
#[derive(Debug, Default)]
struct Store {
    by_nonce: HashMap<String, Issued>,
    /// By when they expire, so that those which have are found without looking at the others.
    by_expiry: BTreeSet<(i64, String)>,
    networks: HashMap<IpAddr, Asked>,
    forgotten_at_ms: i64,
}

/// What one network asked for.
#[derive(Debug)]
struct Asked {
    waiting: u32,
    recent: SlidingWindow,
}

impl Store {
    fn add(&mut self, nonce: String, issued: Issued, now_ms: i64) -> Result<(), TooManyChallenges> {
        self.expire(now_ms);
        self.forget(now_ms);
        let known = self.networks.contains_key(&issued.network);
        if self.by_nonce.len() >= CHALLENGES_MAX || (!known && self.networks.len() >= NETWORKS_MAX) {
            return Err(TooManyChallenges::InAll);
        }
        let asked = self
            .networks
            .entry(issued.network)
            .or_insert_with(|| Asked { waiting: 0, recent: SlidingWindow::new(PER_MINUTE_MAX, MINUTE_MS) });
        if asked.waiting >= WAITING_PER_NETWORK_MAX {
            return Err(TooManyChallenges::Waiting);
        }
        asked
            .recent
            .try_take(now_ms.unsigned_abs())
            .map_err(|retry_after_ms| TooManyChallenges::PerMinute { retry_after_ms })?;
        asked.waiting += 1;
        self.by_expiry.insert((issued.expires_at_ms, nonce.clone()));
        self.by_nonce.insert(nonce, issued);
        Ok(())
    }

    fn remove(&mut self, nonce: &str) -> Option<Issued> {
        let (nonce, issued) = self.by_nonce.remove_entry(nonce)?;
        self.by_expiry.remove(&(issued.expires_at_ms, nonce));
        if let Some(asked) = self.networks.get_mut(&issued.network) {
            asked.waiting -= 1;
        }
        Some(issued)
    }

    fn expire(&mut self, now_ms: i64) {
        while let Some((_, nonce)) =
            self.by_expiry.first().filter(|(expires_at_ms, _)| *expires_at_ms <= now_ms)
        {
            let nonce = nonce.clone();
            self.remove(&nonce);
        }
    }

    /// Looks at every network, so not every time.
    fn forget(&mut self, now_ms: i64) {
        if (self.forgotten_at_ms..self.forgotten_at_ms + FORGET_EVERY_MS).contains(&now_ms) {
            return;
        }
        self.forgotten_at_ms = now_ms;
        self.networks.retain(|_, asked| asked.waiting > 0 || asked.recent.used(now_ms.unsigned_abs()) > 0);
    }
}

/// 128 random bits, as the letters and digits that EIP-4361 asks for.
fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::testing::Wallet;

    const NOW_MS: i64 = 1_762_252_200_000;
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn issue(challenges: &Challenges, wallet: &Wallet) -> Challenge {
        challenges.issue(wallet.address(), "127.0.0.1:8080", "http://127.0.0.1:8080", HERE, NOW_MS).unwrap()
    }

    fn ask(challenges: &Challenges, ip: IpAddr, now_ms: i64) -> Result<Challenge, TooManyChallenges> {
        challenges.issue(Address::repeat_byte(1), "a", "http://a", ip, now_ms)
    }

    fn v4(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_challenge_is_answered_once_by_the_wallet_it_was_made_for() {
        let challenges = Challenges::new(5, 1);
        let wallet = Wallet::new(1);
        let challenge = issue(&challenges, &wallet);
        assert!(challenge.message.contains(&format!("Nonce: {}", challenge.nonce)));
        assert!(
            challenge.message.ends_with("Expiration Time: 2025-11-04T10:35:00Z"),
            "{}",
            challenge.message
        );
        assert_eq!(Message::parse(&challenge.message).unwrap().to_string(), challenge.message);
        let signature = wallet.sign(&challenge.message);
        let answer = || challenges.answer(wallet.address(), &challenge.message, &signature, NOW_MS + 1);
        assert_eq!(answer(), Ok(()));
        assert_eq!(answer(), Err(AnswerRefused::UnknownNonce), "used");
    }

    /// T-23: an answer that was changed in one place, signed all the same, is refused and uses the challenge up.
    #[test]
    fn t_23_whatever_differs_from_what_was_issued_is_refused_and_burns_the_nonce() {
        let other = Wallet::new(2);
        let foreign = other.address().to_checksum(None);
        let own = Wallet::new(1).address().to_checksum(None);
        let table: [(&str, &str, AnswerRefused); 14] = [
            ("127.0.0.1:8080 wants", "evil.example wants", AnswerRefused::Differs("domain")),
            ("URI: http://127.0.0.1:8080", "URI: http://evil.example", AnswerRefused::Differs("URI")),
            ("Chain ID: 1", "Chain ID: 2", AnswerRefused::Differs("chain id")),
            (&own, &foreign, AnswerRefused::Differs("address")),
            ("At: 2025-11-04T10:30", "At: 2025-11-04T10:31", AnswerRefused::Differs("Issued At")),
            (
                "At: 2025-11-04T10:30:00Z",
                "At: 2025-11-04T11:30:00+01:00",
                AnswerRefused::Differs("Issued At"),
            ),
            ("Time: 2025", "Time: 2035", AnswerRefused::Differs("Expiration Time")),
            ("\nExpiration Time: 2025-11-04T10:35:00Z", "", AnswerRefused::Differs("Expiration Time")),
            ("costs nothing", "costs everything", AnswerRefused::Differs("message")),
            ("10:35:00Z", "10:35:00Z\nRequest ID: 1", AnswerRefused::Differs("message")),
            ("10:35:00Z", "10:35:00Z\n", Malformed::Trailing.into()),
            ("\n", "\r\n", Malformed::Missing("heading").into()),
            (&own, &own.to_lowercase(), Malformed::Invalid("address").into()),
            ("nothing", "nöthing", Malformed::Invalid("statement").into()),
        ];
        for (part, instead, reason) in table {
            let challenges = Challenges::new(5, 1);
            let wallet = Wallet::new(1);
            let challenge = issue(&challenges, &wallet);
            assert!(challenge.message.contains(part), "{part}");
            let changed = challenge.message.replace(part, instead);
            let refused = challenges.answer(wallet.address(), &changed, &wallet.sign(&changed), NOW_MS);
            assert_eq!(refused, Err(reason), "{instead:?}");
            let good = wallet.sign(&challenge.message);
            let again = challenges.answer(wallet.address(), &challenge.message, &good, NOW_MS);
            assert_eq!(again, Err(AnswerRefused::UnknownNonce), "{instead:?} burns the nonce");
        }
    }

    #[test]
    fn t_23_a_wrong_or_late_answer_uses_the_challenge_up() {
        let challenges = Challenges::new(5, 1);
        let (wallet, other) = (Wallet::new(1), Wallet::new(2));
        let challenge = issue(&challenges, &wallet);
        let good = wallet.sign(&challenge.message);
        let answer = |message: &str, signature: &str, now_ms| {
            challenges.answer(wallet.address(), message, signature, now_ms)
        };
        let forged = other.sign(&challenge.message);
        assert_eq!(answer(&challenge.message, &forged, NOW_MS), Err(AnswerRefused::WrongSigner));
        assert_eq!(answer(&challenge.message, &good, NOW_MS), Err(AnswerRefused::UnknownNonce), "burnt");

        let broken = issue(&challenges, &wallet);
        let good = wallet.sign(&broken.message);
        assert_eq!(answer(&broken.message, "0x", NOW_MS), Err(SignatureRefused::Form.into()));
        assert_eq!(answer(&broken.message, &good, NOW_MS), Err(AnswerRefused::UnknownNonce), "burnt");

        let late = issue(&challenges, &wallet);
        let signature = wallet.sign(&late.message);
        assert_eq!(answer(&late.message, &signature, NOW_MS + 300_000), Err(AnswerRefused::Expired));

        let foreign = issue(&challenges, &wallet);
        let signature = other.sign(&foreign.message);
        let stolen = challenges.answer(other.address(), &foreign.message, &signature, NOW_MS);
        assert_eq!(stolen, Err(AnswerRefused::Differs("address")));

        let huge = "x".repeat(1 << 20);
        assert_eq!(answer(&huge, &wallet.sign(&huge), NOW_MS), Err(Malformed::TooLong.into()));
        let store = challenges.store();
        assert_eq!((store.by_nonce.len(), store.by_expiry.len()), (0, 0));
        assert_eq!(store.networks[&HERE].waiting, 0);
    }

    #[test]
    fn t_25_a_network_may_leave_twenty_waiting_and_ask_sixty_times_a_minute() {
        let challenges = Challenges::new(5, 1);
        let wallet = Wallet::new(1);
        for _ in 0..20 {
            issue(&challenges, &wallet);
        }
        assert_eq!(ask(&challenges, HERE, NOW_MS).unwrap_err(), TooManyChallenges::Waiting);
        assert!(ask(&challenges, v4(1), NOW_MS).is_ok(), "another network is not affected");
        assert!(ask(&challenges, HERE, NOW_MS + 300_000).is_ok(), "expired ones make room");

        let busy = v4(2);
        for _ in 0..60 {
            let challenge = ask(&challenges, busy, NOW_MS).unwrap();
            let _ = challenges.answer(wallet.address(), &challenge.message, "", NOW_MS);
        }
        let refused = ask(&challenges, busy, NOW_MS + 1_000).unwrap_err();
        assert_eq!(refused, TooManyChallenges::PerMinute { retry_after_ms: 59_000 });
        assert!(refused.to_string().ends_with("try again in 59 s"), "{refused}");
        assert!(ask(&challenges, busy, NOW_MS + 60_000).is_ok());
    }

    #[test]
    fn t_25_addresses_of_one_network_count_together() {
        let challenges = Challenges::new(5, 1);
        for host in 0..20_u128 {
            let ip = Ipv6Addr::from_bits((0x2001_0db8 << 96) | host);
            ask(&challenges, ip.into(), NOW_MS).unwrap();
        }
        let neighbour = "2001:db8::ffff:1".parse().unwrap();
        assert_eq!(ask(&challenges, neighbour, NOW_MS).unwrap_err(), TooManyChallenges::Waiting);
        assert!(ask(&challenges, "2001:db8:0:1::1".parse().unwrap(), NOW_MS).is_ok());
    }

    #[test]
    fn t_25_a_flood_from_many_networks_is_refused_and_old_challenges_make_room() {
        let challenges = Challenges::new(5, 1);
        for number in 0..CHALLENGES_MAX {
            let issued = Issued {
                address: Address::ZERO,
                domain: "a".into(),
                uri: "http://a".into(),
                network: v4(u32::try_from(number / 20).unwrap()),
                issued_at_ms: NOW_MS,
                expires_at_ms: NOW_MS + 300_000,
            };
            challenges.store().add(number.to_string(), issued, NOW_MS).unwrap();
        }
        assert_eq!(ask(&challenges, v4(1 << 31), NOW_MS).unwrap_err(), TooManyChallenges::InAll);
        assert!(ask(&challenges, v4(1 << 31), NOW_MS + 300_000).is_ok());
        let store = challenges.store();
        assert_eq!((store.by_nonce.len(), store.by_expiry.len(), store.networks.len()), (1, 1, 1));
    }
}
