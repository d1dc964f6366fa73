//! Challenges that wallets answer: kept until answered or expired, each good for one attempt.

use std::collections::HashMap;
use std::sync::Mutex;

use alloy_primitives::Address;

use super::wallet::{Statement, recover_signer};
use crate::clock::iso;

/// Challenges kept at the same time. A flood of them cannot take more memory than this.
const CHALLENGES_MAX: usize = 20_000;

/// Challenges that wait for an answer.
#[derive(Debug)]
pub struct Challenges {
    lifetime_ms: i64,
    chain_id: u64,
    /// By the whole message: what is verified is exactly what was issued, byte for byte.
    waiting: Mutex<HashMap<String, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    address: Address,
    expires_at_ms: i64,
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

/// The store holds as many challenges as it may.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyChallenges;

impl Challenges {
    /// A store of challenges that last `minutes`.
    #[must_use]
    pub fn new(minutes: u32, chain_id: u64) -> Self {
        Self { lifetime_ms: i64::from(minutes) * 60_000, chain_id, waiting: Mutex::default() }
    }

    /// A new challenge for `address`, to be signed for the page at `uri` on `domain`.
    ///
    /// # Errors
    /// [`TooManyChallenges`] when the store is full of challenges that have not expired.
    pub fn issue(
        &self,
        address: Address,
        domain: &str,
        uri: &str,
        now_ms: i64,
    ) -> Result<Challenge, TooManyChallenges> {
        let nonce = nonce();
        let expires_at_ms = now_ms + self.lifetime_ms;
        let message = Statement {
            domain,
            address,
            uri,
            chain_id: self.chain_id,
            nonce: &nonce,
            issued_at: &iso(now_ms),
            expiration_time: &iso(expires_at_ms),
        }
        .to_message();
        let mut waiting = self.waiting.lock().expect("no holder panics");
        if waiting.len() >= CHALLENGES_MAX {
            waiting.retain(|_, challenge| challenge.expires_at_ms > now_ms);
        }
        if waiting.len() >= CHALLENGES_MAX {
            return Err(TooManyChallenges);
        }
        waiting.insert(message.clone(), Waiting { address, expires_at_ms });
        Ok(Challenge { message, nonce, expires_at_ms })
    }

    /// Whether `address` signed `message` and the message was issued to it, in time and for the first time.
    /// A challenge is used up by any attempt, also a failed one.
    #[must_use]
    pub fn answer(&self, address: Address, message: &str, signature: &str, now_ms: i64) -> bool {
        let taken = self.waiting.lock().expect("no holder panics").remove(message);
        taken.is_some_and(|challenge| {
            challenge.address == address
                && challenge.expires_at_ms > now_ms
                && recover_signer(message, signature) == Some(address)
        })
    }
}

/// 128 random bits, as the letters and digits that EIP-4361 asks for.
fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    alloy_primitives::hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Wallet;

    const NOW_MS: i64 = 1_762_252_200_000;

    fn issue(challenges: &Challenges, wallet: &Wallet) -> Challenge {
        challenges.issue(wallet.address(), "127.0.0.1:8080", "http://127.0.0.1:8080", NOW_MS).unwrap()
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
        let signature = wallet.sign(&challenge.message);
        assert!(challenges.answer(wallet.address(), &challenge.message, &signature, NOW_MS + 1));
        assert!(!challenges.answer(wallet.address(), &challenge.message, &signature, NOW_MS + 2), "used");
    }

    #[test]
    fn a_wrong_or_late_answer_uses_the_challenge_up() {
        let challenges = Challenges::new(5, 1);
        let (wallet, other) = (Wallet::new(1), Wallet::new(2));
        let challenge = issue(&challenges, &wallet);
        let good = wallet.sign(&challenge.message);
        assert!(!challenges.answer(
            wallet.address(),
            &challenge.message,
            &other.sign(&challenge.message),
            NOW_MS
        ));
        assert!(!challenges.answer(wallet.address(), &challenge.message, &good, NOW_MS), "burnt");

        let late = issue(&challenges, &wallet);
        let signature = wallet.sign(&late.message);
        assert!(!challenges.answer(wallet.address(), &late.message, &signature, NOW_MS + 300_000));

        let foreign = issue(&challenges, &wallet);
        assert!(!challenges.answer(other.address(), &foreign.message, &other.sign(&foreign.message), NOW_MS));

        let made_up = format!("{}x", issue(&challenges, &wallet).message);
        assert!(!challenges.answer(wallet.address(), &made_up, &wallet.sign(&made_up), NOW_MS));
    }

    #[test]
    fn a_flood_of_challenges_is_refused_and_old_ones_make_room() {
        let challenges = Challenges::new(5, 1);
        let address = Wallet::new(1).address();
        for _ in 0..CHALLENGES_MAX {
            challenges.issue(address, "a", "http://a", NOW_MS).unwrap();
        }
        assert_eq!(challenges.issue(address, "a", "http://a", NOW_MS).unwrap_err(), TooManyChallenges);
        assert!(challenges.issue(address, "a", "http://a", NOW_MS + 300_000).is_ok());
    }
}
