//! What happens to a refresh token that somebody shows: the rules, without a database.

use uuid::Uuid;

use super::{Issued, RefreshToken, RotateRefused, Settings, User};

/// A rotated token may be shown again for this long, in milliseconds: its answer may have been lost on the way.
pub const REUSE_GRACE_MS: i64 = 10_000;

/// A token that was found by its hash, with its family and its user.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) family_id: Uuid,
    pub(super) generation: u32,
    pub(super) expires_ms: i64,
    pub(super) rotated_ms: Option<i64>,
    pub(super) revoked_ms: Option<i64>,
    pub(super) user: User,
}

/// What is to be done about a token that was shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Exchange it.
    Rotate,
    /// Answer as before.
    Repeat,
    /// Revoke its family.
    Revoke,
    /// Refuse it.
    Refuse(RotateRefused),
}

impl Shown {
    /// Reuse counts before expiry and before a disabled user: otherwise a thief who was faster than an owner who
    /// comes back late would keep the family.
    pub(super) fn decide(&self, now_ms: i64) -> Decision {
        if self.revoked_ms.is_some() {
            return Decision::Refuse(RotateRefused::Revoked);
        }
        match self.rotated_ms {
            Some(rotated_ms) if !is_within_grace(rotated_ms, now_ms) => Decision::Revoke,
            _ if self.user.disabled => Decision::Refuse(RotateRefused::Disabled),
            Some(_) => Decision::Repeat,
            None if self.expires_ms <= now_ms => Decision::Refuse(RotateRefused::Expired),
            None => Decision::Rotate,
        }
    }

    pub(super) fn reused(&self) -> RotateRefused {
        RotateRefused::Reused { family_id: self.family_id, wallet: self.user.wallet.clone() }
    }
}

/// Both directions: of two exchanges at once the later in the queue may have looked at the clock first; and a clock
/// that was set back must not make the grace longer.
fn is_within_grace(rotated_ms: i64, now_ms: i64) -> bool {
    now_ms.abs_diff(rotated_ms) <= REUSE_GRACE_MS.unsigned_abs()
}

/// A token as a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenRow {
    pub(super) family_id: Uuid,
    pub(super) generation: u32,
    pub(super) token_id: Uuid,
    pub(super) issued_ms: i64,
    pub(super) expires_ms: i64,
}

impl TokenRow {
    /// The first token of a new family.
    pub(super) fn first(settings: &Settings, now_ms: i64) -> Self {
        Self::new(Uuid::now_v7(), 0, settings, now_ms)
    }

    /// The token after the one that was shown.
    pub(super) fn after(shown: &Shown, settings: &Settings, now_ms: i64) -> Self {
        Self::new(shown.family_id, shown.generation.saturating_add(1), settings, now_ms)
    }

    fn new(family_id: Uuid, generation: u32, settings: &Settings, now_ms: i64) -> Self {
        let expires_ms = now_ms.saturating_add(settings.refresh_lifetime_ms);
        Self { family_id, generation, token_id: Uuid::now_v7(), issued_ms: now_ms, expires_ms }
    }

    pub(super) fn issued(self, refresh_token: RefreshToken, user: User) -> Issued {
        let Self { family_id, generation, token_id, issued_ms, expires_ms } = self;
        let User { wallet, roles, .. } = user;
        Issued { family_id, wallet, roles, refresh_token, token_id, generation, issued_ms, expires_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rotated_ms: Option<i64>, revoked_ms: Option<i64>, disabled: bool) -> Shown {
        let user = User { wallet: "0x0".into(), roles: vec![], disabled, created_ms: 0, seen_ms: 0 };
        let family_id = Uuid::nil();
        Shown { family_id, generation: 0, expires_ms: 100_000, rotated_ms, revoked_ms, user }
    }

    #[test]
    fn every_state_of_a_token_has_its_decision() {
        use Decision::{Refuse, Repeat, Revoke, Rotate};
        use RotateRefused::{Disabled, Expired, Revoked};
        for (rotated_ms, revoked_ms, disabled, now_ms, expected) in [
            (None, None, false, 99_999, Rotate),
            (None, None, false, 100_000, Refuse(Expired)),
            (None, None, true, 0, Refuse(Disabled)),
            (None, Some(1), false, 2, Refuse(Revoked)),
            (Some(50_000), None, false, 60_000, Repeat),
            (Some(50_000), None, false, 60_001, Revoke),
            (Some(50_000), None, false, 40_000, Repeat),
            (Some(50_000), None, false, 39_999, Revoke),
            (Some(50_000), None, false, 200_000, Revoke),
            (Some(99_000), None, false, 100_001, Repeat),
            (Some(50_000), None, true, 50_001, Refuse(Disabled)),
            (Some(50_000), None, true, 60_001, Revoke),
            (Some(50_000), Some(50_001), false, 50_002, Refuse(Revoked)),
        ] {
            let token = shown(rotated_ms, revoked_ms, disabled);
            assert_eq!(token.decide(now_ms), expected, "{token:?} at {now_ms}");
        }
    }
}
