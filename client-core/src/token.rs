//! When to ask for a fresh token, and what to think of the answer. Never logs a token.

use alloc::string::String;
use core::fmt;

use crate::RequestId;
use crate::backoff::backoff_ms;
use crate::random::Random;
use crate::state::NEVER;

/// How long the application may take to answer, in milliseconds.
const ANSWER_MS: u64 = 10_000;
/// A connection is not worth opening with a token that has less left, in milliseconds.
const MIN_LEFT_MS: u64 = 15_000;
/// How long a token counts as just fetched, in milliseconds: as one of unknown lifetime it is used that long.
const FRESH_MS: u64 = 60_000;
/// How long the server may take to accept a token on a live connection, in milliseconds.
const ACCEPT_MS: u64 = 10_000;
/// Shortest time between two attempts to refresh, in milliseconds.
const MIN_RETRY_MS: u64 = 1_000;

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[derive(Clone, Debug)]
struct Token {
    text: Secret,
    /// `None`: unknown, or what the application says cannot be.
    expires_at_ms: Option<u64>,
    fetched_at_ms: u64,
    /// The server said when it expires.
    confirmed: bool,
}

/// What an answer of the application is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Good to be tried.
    Fresh,
    /// The one that has expired, or is in use: asking again later can help.
    Same,
    /// The one that the server refused: asking again cannot help.
    Refused,
}

/// The token in use, the one on its way, and when the next is due.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    current: Option<Token>,
    /// Sent on a live connection in the message with this id, not accepted yet.
    offered: Option<(u64, Token)>,
    /// Fingerprint of the token that the server refused last, and whether for good.
    refused: Option<(u64, bool)>,
    /// A token was refused for good, and none was accepted since.
    replaces_refused: bool,
    request: Option<(RequestId, u64)>,
    requests: u32,
    refresh_at_ms: u64,
    refresh_failures: u32,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self {
            current: None,
            offered: None,
            refused: None,
            replaces_refused: false,
            request: None,
            requests: 0,
            refresh_at_ms: NEVER,
            refresh_failures: 0,
        }
    }

    /// Whether a connection can be opened with what is held.
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        self.current.as_ref().is_some_and(|token| match token.expires_at_ms {
            Some(expires_at_ms) => expires_at_ms >= now_ms.saturating_add(MIN_LEFT_MS),
            None => now_ms < token.fetched_at_ms + FRESH_MS,
        })
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.current.as_ref().map(|token| token.text.0.as_str())
    }

    pub(crate) fn expires_at_ms(&self) -> Option<u64> {
        self.current.as_ref().and_then(|token| token.expires_at_ms)
    }

    /// The id of a new request; `None` while one is on its way: there is never a second.
    pub(crate) fn request(&mut self, now_ms: u64) -> Option<RequestId> {
        if self.request.is_some_and(|(_, until_ms)| now_ms < until_ms) {
            return None;
        }
        self.requests += 1;
        let request = RequestId(self.requests);
        self.request = Some((request, now_ms + ANSWER_MS));
        Some(request)
    }

    /// Whether an answer is to the request that is on its way. It is not any more, then.
    pub(crate) fn answers(&mut self, request: RequestId) -> bool {
        let current = self.request.is_some_and(|(id, _)| id == request);
        if current {
            self.request = None;
        }
        current
    }

    /// Whether the request has just run out of time.
    pub(crate) fn request_timed_out(&mut self, now_ms: u64) -> bool {
        let over = self.request.is_some_and(|(_, until_ms)| now_ms >= until_ms);
        if over {
            self.request = None;
        }
        over
    }

    /// Whatever is on its way is not wanted any more.
    pub(crate) fn abandon_request(&mut self) {
        self.request = None;
    }

    pub(crate) fn request_deadline_ms(&self) -> u64 {
        self.request.map_or(NEVER, |(_, until_ms)| until_ms)
    }

    /// Takes an answer for the next connection, if it is worth trying.
    pub(crate) fn accept(&mut self, text: String, expires_in_ms: Option<u64>, now_ms: u64) -> Worth {
        let worth = self.worth(&text, now_ms);
        let known = self.current.as_ref().is_some_and(|current| current.text.0 == text && current.confirmed);
        if worth == Worth::Fresh && !known {
            self.current = Some(Token::new(text, expires_in_ms, now_ms));
        }
        worth
    }

    /// Takes an answer for the live connection, to be sent in the message `id`, if it is worth trying.
    pub(crate) fn offer(&mut self, id: u64, text: String, expires_in_ms: Option<u64>, now_ms: u64) -> Worth {
        if self.text() == Some(&text) {
            return Worth::Same;
        }
        let worth = self.worth(&text, now_ms);
        if worth == Worth::Fresh {
            self.offered = Some((id, Token::new(text, expires_in_ms, now_ms)));
            self.refresh_at_ms = now_ms + ACCEPT_MS;
        }
        worth
    }

    /// The token that was offered last.
    pub(crate) fn offered_text(&self) -> Option<&str> {
        self.offered.as_ref().map(|(_, token)| token.text.0.as_str())
    }

    /// Whether a fresh token for a live connection is on its way.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.request.is_some() || self.offered.is_some()
    }

    /// The server accepted the token of a new connection.
    pub(crate) fn connected(&mut self, expires_in_ms: u64, now_ms: u64, random: &mut Random) {
        self.refused = None;
        self.replaces_refused = false;
        self.refresh_failures = 0;
        self.refresh_at_ms = now_ms.saturating_add(refresh_in_ms(expires_in_ms, random));
        if let Some(token) = &mut self.current {
            token.expires_at_ms = Some(now_ms.saturating_add(expires_in_ms));
            token.confirmed = true;
        }
    }

    /// The server accepted the token of message `id` on a live connection, if that is the one offered.
    pub(crate) fn refreshed(&mut self, id: u64, expires_in_ms: u64, now_ms: u64, random: &mut Random) {
        if let Some((_, token)) = self.offered.take_if(|(offered, _)| *offered == id) {
            self.current = Some(token);
            self.connected(expires_in_ms, now_ms, random);
        }
    }

    /// Whether message `id` offered a token. It was refused: the one in use stays. `everywhere`: and it is no
    /// good for another connection either.
    pub(crate) fn offer_refused(&mut self, id: u64, everywhere: bool) -> bool {
        let Some((_, token)) = self.offered.take_if(|(offered, _)| *offered == id) else { return false };
        self.refresh_at_ms = NEVER;
        if everywhere {
            self.refused = Some((fingerprint(&token.text.0), false));
        }
        true
    }

    /// When to ask for the next token, while live.
    pub(crate) fn refresh_at_ms(&self) -> u64 {
        self.refresh_at_ms
    }

    /// The refresh that was due has begun.
    pub(crate) fn refresh_started(&mut self) {
        self.refresh_at_ms = NEVER;
        self.offered = None;
    }

    /// The refresh did not work: try again, as long as the token in use lasts.
    pub(crate) fn refresh_failed(&mut self, now_ms: u64, random: &mut Random) {
        let wait_ms = backoff_ms(self.refresh_failures, false, random).max(MIN_RETRY_MS);
        self.refresh_failures = self.refresh_failures.saturating_add(1);
        self.refresh_at_ms = now_ms + wait_ms;
    }

    /// The server refused the token in use. `for_good`: not because it has expired. Returns whether asking
    /// for another one cannot help, because this one was fresh and took the place of a refused one.
    pub(crate) fn refuse(&mut self, for_good: bool, now_ms: u64) -> bool {
        let token = self.current.take();
        // One that was fetched long ago may have been revoked since, which says nothing about the next.
        let fresh = token.as_ref().is_none_or(|token| now_ms < token.fetched_at_ms + FRESH_MS);
        let hopeless = for_good && fresh && self.replaces_refused;
        self.replaces_refused |= for_good;
        if let Some(token) = token {
            self.refused = Some((fingerprint(&token.text.0), for_good));
        }
        hopeless
    }

    /// Somebody has a new token, or wants another try: what was refused is forgotten.
    pub(crate) fn forgive(&mut self) {
        self.refused = None;
        self.replaces_refused = false;
    }

    /// What is held is not to be used again.
    pub(crate) fn discard(&mut self) {
        self.current = None;
    }

    /// A connection ended: what was offered to it is what the next one uses.
    pub(crate) fn connection_lost(&mut self) {
        self.refresh_at_ms = NEVER;
        if let Some((_, token)) = self.offered.take() {
            self.current = Some(token);
        }
    }

    fn worth(&self, text: &str, now_ms: u64) -> Worth {
        match self.refused {
            Some((refused, for_good)) if refused == fingerprint(text) => {
                return if for_good { Worth::Refused } else { Worth::Same };
            }
            _ => {}
        }
        let expired = self
            .current
            .as_ref()
            .is_some_and(|current| current.text.0 == text && current.confirmed && !self.is_fresh(now_ms));
        if expired { Worth::Same } else { Worth::Fresh }
    }
}

impl Token {
    /// A lifetime that is over before the token was used says more about the client's clock than about the
    /// token: it counts as unknown.
    fn new(text: String, expires_in_ms: Option<u64>, now_ms: u64) -> Self {
        let plausible = expires_in_ms.filter(|expires_in_ms| *expires_in_ms >= MIN_LEFT_MS);
        Self {
            text: Secret(text),
            expires_at_ms: plausible.map(|expires_in_ms| now_ms.saturating_add(expires_in_ms)),
            fetched_at_ms: now_ms,
            confirmed: false,
        }
    }
}

/// When to ask for the next token, in milliseconds from now, for one that lasts `ttl_ms`: early enough to try
/// several times, and not for all clients at the same time.
fn refresh_in_ms(ttl_ms: u64, random: &mut Random) -> u64 {
    let lead_ms = (ttl_ms / 5).clamp(10_000, 120_000).min(ttl_ms / 2);
    ttl_ms - lead_ms + random.up_to(lead_ms / 5)
}

/// FNV-1a: enough to recognise a text without keeping it.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_comes_a_fifth_before_the_end_within_bounds() {
        let mut random = Random::new(3);
        for (ttl_ms, earliest, latest) in [
            (900_000, 780_000, 804_000),
            (300_000, 240_000, 252_000),
            (30_000, 20_000, 22_000),
            (10_000, 5_000, 6_000),
            (0, 0, 0),
        ] {
            for _ in 0..100 {
                let refresh_ms = refresh_in_ms(ttl_ms, &mut random);
                assert!((earliest..=latest).contains(&refresh_ms), "{ttl_ms}: {refresh_ms}");
            }
        }
    }

    #[test]
    fn a_token_that_was_just_fetched_is_tried_whatever_the_clock_says() {
        for expires_in_ms in [None, Some(0), Some(14_999), Some(15_000), Some(4_500_000)] {
            let mut tokens = Tokens::new();
            assert_eq!(tokens.accept("a".into(), expires_in_ms, 1_000), Worth::Fresh);
            assert!(tokens.is_fresh(1_000), "{expires_in_ms:?}");
        }
    }

    #[test]
    fn the_server_knows_better_when_a_token_expires() {
        let mut tokens = Tokens::new();
        tokens.accept("a".into(), Some(4_500_000), 0);
        tokens.connected(900_000, 0, &mut Random::new(1));
        assert!(tokens.is_fresh(885_000));
        assert!(!tokens.is_fresh(885_001));
        assert_eq!(tokens.accept("a".into(), Some(4_500_000), 890_000), Worth::Same);
        assert_eq!(tokens.accept("b".into(), None, 890_000), Worth::Fresh);
    }

    #[test]
    fn a_refused_token_is_recognised_when_it_comes_again() {
        for (for_good, worth) in [(true, Worth::Refused), (false, Worth::Same)] {
            let mut tokens = Tokens::new();
            tokens.accept("a".into(), None, 0);
            assert!(!tokens.refuse(for_good, 5));
            assert_eq!(tokens.accept("a".into(), None, 10), worth);
            tokens.forgive();
            assert_eq!(tokens.accept("a".into(), None, 20), Worth::Fresh);
        }
    }

    #[test]
    fn a_fresh_token_that_is_refused_after_another_one_is_hopeless_and_an_old_one_is_not() {
        for (age_ms, hopeless) in [(59_999, true), (60_000, false)] {
            let mut tokens = Tokens::new();
            tokens.accept("a".into(), None, 0);
            assert!(!tokens.refuse(true, 0));
            tokens.accept("b".into(), None, 0);
            assert_eq!(tokens.refuse(true, age_ms), hopeless);
        }
    }

    #[test]
    fn nothing_that_is_printed_shows_a_token() {
        let mut tokens = Tokens::new();
        tokens.accept("eyJsecret".into(), None, 0);
        tokens.offer(1, "eyJfresh".into(), None, 0);
        let printed = format!("{tokens:?}");
        assert!(!printed.contains("eyJ"), "{printed}");
    }
}
