//! What outlives a restart: users and their roles, refresh families, audit events.
//!
//! It keeps no token, only hashes of them, and decides nothing about access tokens, sockets or HTTP: callers do.
//! Times are arguments, in Unix milliseconds.

mod error;
mod event;
mod family;
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;
mod token;

#[cfg(test)]
mod model;
#[cfg(test)]
mod suite;

use std::fmt;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::audit::Level;

pub use self::error::StoreError;
pub use self::event::Event;
pub use self::family::REUSE_GRACE_MS;
pub use self::open::open;
pub use self::token::{RefreshToken, RotationKey};

/// The role of a wallet that signs in for the first time.
pub const FIRST_ROLE: &str = "user";
/// How long a refresh token lasts by default, in milliseconds: 30 days.
pub const REFRESH_LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// What a [`Store`] answers, later.
pub type Answer<'a, T, E = StoreError> = BoxFuture<'a, Result<T, E>>;

/// Users, refresh families and audit events, in some database.
///
/// Every method is one transaction: it happened whole or not at all. A future that is dropped may still take
/// effect. All methods fail with [`StoreError`] when the database does.
pub trait Store: fmt::Debug + Send + Sync {
    /// Notes that `wallet` (EIP-55) signed in; one that is new becomes a user with the role [`FIRST_ROLE`].
    /// A disabled user is answered as well: look at [`User::disabled`].
    fn signed_in<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, User>;

    /// The user of `wallet`, if it ever signed in.
    fn user<'a>(&'a self, wallet: &'a str) -> Answer<'a, Option<User>>;

    /// Replaces the roles of a user. None if there is no such user.
    fn set_roles<'a>(&'a self, wallet: &'a str, roles: &'a [String]) -> Answer<'a, Option<User>>;

    /// Lets a user in or keeps it out. None if there is no such user. A disabled user gets no tokens, but its
    /// families stay: revoke them with [`Store::revoke_user`], or they work again once it is enabled.
    fn set_disabled<'a>(&'a self, wallet: &'a str, disabled: bool) -> Answer<'a, Option<User>>;

    /// Starts a refresh family for a user that has signed in.
    ///
    /// # Errors
    /// [`RotateRefused::Unknown`] without such a user, [`RotateRefused::Disabled`] if it is kept out.
    fn begin_family<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused>;

    /// Exchanges a refresh token for its successor. The same token again within [`REUSE_GRACE_MS`], also at the
    /// same moment, gets the same answer; later it revokes the family.
    ///
    /// # Errors
    /// [`RotateRefused`] says why not.
    fn rotate<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Issued, RotateRefused>;

    /// Ends the family that a refresh token belongs to, whether the token is the newest or an older one, and says
    /// which it was. None if the token is unknown. Ending it again changes nothing.
    fn end_session<'a>(&'a self, refresh_token: &'a str, now_ms: i64) -> Answer<'a, Option<Session>>;

    /// Revokes a family. False if it was unknown or had been revoked before.
    fn revoke_family(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool>;

    /// Revokes every family of a user and says which were not revoked before.
    fn revoke_user<'a>(&'a self, wallet: &'a str, now_ms: i64) -> Answer<'a, Vec<Uuid>>;

    /// The families that were revoked at or after `since_ms`, by whatever node or program.
    fn revoked_since(&self, since_ms: i64) -> Answer<'_, Vec<Uuid>>;

    /// Whether the family is known, not revoked, and its newest token has not expired.
    fn family_is_live(&self, family_id: Uuid, now_ms: i64) -> Answer<'_, bool>;

    /// Removes what no longer matters and says how many rows: families that ended more than one lifetime of a
    /// refresh token ago, and rotated tokens older than two. A token that old is unknown when it is used again.
    fn purge_families(&self, now_ms: i64) -> Answer<'_, u64>;

    /// Keeps an audit event.
    fn append_event<'a>(&'a self, event: &'a Event) -> Answer<'a, ()>;

    /// The newest `limit` events, oldest first, of those since `since_ms`, of `user` if one is named, and of at
    /// least `level`.
    fn events<'a>(
        &'a self,
        since_ms: i64,
        user: Option<&'a str>,
        level: Level,
        limit: u32,
    ) -> Answer<'a, Vec<Event>>;

    /// Removes the events before `before_ms`, and of the others all but the newest `keep`; says how many.
    fn purge_events(&self, before_ms: i64, keep: u32) -> Answer<'_, u64>;
}

/// What a store needs to know beforehand.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Derives refresh tokens from their predecessors. All nodes on one database need the same.
    pub rotation_key: RotationKey,
    /// How long a refresh token lasts, in milliseconds; its successor lasts as long from the rotation.
    pub refresh_lifetime_ms: i64,
}

/// A wallet that has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its address, EIP-55.
    pub wallet: String,
    /// What it may do.
    pub roles: Vec<String>,
    /// Whether it is kept out.
    pub disabled: bool,
    /// When it first signed in, in Unix milliseconds.
    pub created_ms: i64,
    /// When it last signed in, in Unix milliseconds.
    pub seen_ms: i64,
}

/// A refresh token that was just given out, and what its access token is made of. Two equal exchanges give equal
/// values, except for roles that changed in between.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The family: the `sid` of access tokens.
    pub family_id: Uuid,
    /// The user's address, EIP-55.
    pub wallet: String,
    /// What the user may do now.
    pub roles: Vec<String>,
    /// The token for the next exchange.
    pub refresh_token: RefreshToken,
    /// The `jti` of the access token that goes with it.
    pub token_id: Uuid,
    /// How many exchanges led to it: 0 at sign-in.
    pub generation: u32,
    /// When it was made, in Unix milliseconds; the access token is issued at the same time.
    pub issued_ms: i64,
    /// When it expires, in Unix milliseconds.
    pub expires_ms: i64,
}

/// A refresh family and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The family: the `sid` of access tokens.
    pub family_id: Uuid,
    /// The user's address, EIP-55.
    pub wallet: String,
}

/// Why there is no new refresh token. Peers are told only that there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateRefused {
    /// It was never given out, or so long ago that it is forgotten.
    #[error("the refresh token is not known")]
    Unknown,
    /// Its time has passed.
    #[error("the refresh token has expired")]
    Expired,
    /// Its family has ended.
    #[error("the session has been revoked")]
    Revoked,
    /// Its user is kept out.
    #[error("the user is disabled")]
    Disabled,
    /// It was exchanged before, so two parties have it: the family is revoked now.
    #[error("the refresh token was used before: its session is revoked")]
    Reused {
        /// The family.
        family_id: Uuid,
        /// The user's address, EIP-55.
        wallet: String,
    },
    /// The database does not work; nothing is known about the token.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Roles as one column.
fn roles_to_text(roles: &[String]) -> String {
    serde_json::Value::from(roles.to_vec()).to_string()
}

fn roles_from_text(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged)
}
