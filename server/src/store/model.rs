//! Random lives of a refresh family, compared with the rules in their plainest form.

use proptest::prelude::*;

use super::suite::{NOW_MS, pair};
use super::*;

/// Short, so that tokens expire during a test.
pub(super) const LIFETIME_MS: i64 = 60_000;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Shows a token of the family: the newest, or one that is this many exchanges older.
    Rotate(usize),
    /// Lets time pass.
    Wait(i64),
    /// Ends the family.
    Revoke,
    /// Keeps the user out, or lets it in.
    Disable(bool),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let waits = vec![0, 1, 4_999, 9_999, 10_000, 10_001, 30_000, 59_999, 60_000];
    let step = prop_oneof![
        12 => prop_oneof![3 => Just(0), 3 => Just(1), 1 => 2usize..5].prop_map(Step::Rotate),
        8 => prop::sample::select(waits).prop_map(Step::Wait),
        1 => Just(Step::Revoke),
        2 => any::<bool>().prop_map(Step::Disable),
    ];
    prop::collection::vec(step, 1..40)
}

/// The rules, told again.
#[derive(Debug)]
struct Family {
    /// Each with the time of its exchange, if there was one.
    tokens: Vec<(Issued, Option<i64>)>,
    revoked: bool,
    disabled: bool,
}

impl Family {
    fn living(&self, now_ms: i64) -> u32 {
        let lives = |(issued, exchanged): &&(Issued, Option<i64>)| {
            !self.revoked && exchanged.is_none() && now_ms < issued.expires_ms
        };
        self.tokens.iter().filter(lives).map(|_| 1).sum()
    }

    /// Takes what the store answered to the token at `index`.
    fn check(&mut self, index: usize, now_ms: i64, answer: Result<Issued, RotateRefused>) {
        let (token, exchanged) = &self.tokens[index];
        if self.revoked {
            return assert_eq!(answer.unwrap_err(), RotateRefused::Revoked);
        }
        if exchanged.is_some_and(|at_ms| now_ms > at_ms + 10_000) {
            self.revoked = true;
            return assert!(matches!(answer.unwrap_err(), RotateRefused::Reused { .. }));
        }
        if self.disabled {
            return assert_eq!(answer.unwrap_err(), RotateRefused::Disabled);
        }
        if exchanged.is_some() {
            return assert_eq!(pair(&answer.unwrap()), pair(&self.tokens[index + 1].0));
        }
        if now_ms >= token.expires_ms {
            return assert_eq!(answer.unwrap_err(), RotateRefused::Expired);
        }
        let next = answer.unwrap();
        assert_eq!(next.generation, token.generation + 1);
        assert_eq!((next.issued_ms, next.expires_ms), (now_ms, now_ms + LIFETIME_MS));
        self.tokens[index].1 = Some(now_ms);
        self.tokens.push((next, None));
    }
}

/// Takes a new family of `wallet` through `steps`; answers when it is, and how many of its tokens live by the rules.
pub(super) async fn play(store: &dyn Store, wallet: &str, steps: &[Step]) -> (i64, u32) {
    let mut now_ms = NOW_MS;
    store.signed_in(wallet, now_ms).await.unwrap();
    let first = store.begin_family(wallet, now_ms).await.unwrap();
    let family_id = first.family_id;
    let mut family = Family { tokens: vec![(first, None)], revoked: false, disabled: false };
    for step in steps {
        match *step {
            Step::Rotate(older) => {
                let index = family.tokens.len().saturating_sub(1 + older);
                let text = family.tokens[index].0.refresh_token.to_text();
                family.check(index, now_ms, store.rotate(&text, now_ms).await);
            }
            Step::Wait(for_ms) => now_ms += for_ms,
            Step::Revoke => {
                assert_eq!(store.revoke_family(family_id, now_ms).await.unwrap(), !family.revoked);
                family.revoked = true;
            }
            Step::Disable(disabled) => {
                store.set_disabled(wallet, disabled).await.unwrap().unwrap();
                family.disabled = disabled;
            }
        }
        let living = family.living(now_ms);
        assert!(living <= 1);
        assert_eq!(store.family_is_live(family_id, now_ms).await.unwrap(), living == 1);
    }
    (now_ms, family.living(now_ms))
}
