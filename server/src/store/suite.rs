//! What every store must do. Each case gets two stores on one fresh database, as two nodes have.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use uuid::Uuid;

use super::*;

pub(super) const NOW_MS: i64 = 1_762_252_200_000;
pub(super) const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
const OTHER: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

pub(super) type Nodes = [Arc<dyn Store>; 2];
type Case = fn(Nodes) -> BoxFuture<'static, ()>;

/// All cases, by name.
pub(super) const CASES: [(&str, Case); 14] = [
    ("users_are_made_once", |nodes| users_are_made_once(nodes).boxed()),
    ("roles_and_doors_are_changed_for_known_users", |nodes| roles_and_doors(nodes).boxed()),
    ("only_known_enabled_users_begin_families", |nodes| only_known_users_begin(nodes).boxed()),
    ("a_token_is_exchanged_for_its_successor", |nodes| rotation(nodes).boxed()),
    ("t20_a_repeat_within_the_grace_gets_the_same_pair", |nodes| repeat_within_grace(nodes).boxed()),
    ("t20_a_reuse_after_the_grace_ends_the_family", |nodes| reuse_after_grace(nodes).boxed()),
    ("t20_parallel_exchanges_give_one_pair", |nodes| parallel_exchanges(nodes).boxed()),
    ("t20_a_late_owner_ends_the_thiefs_family", |nodes| late_owner(nodes).boxed()),
    ("an_expired_or_made_up_token_is_refused", |nodes| expired_or_made_up(nodes).boxed()),
    ("t21_a_logout_ends_one_family", |nodes| logout(nodes).boxed()),
    ("t21_a_revoked_user_loses_every_family", |nodes| revoked_user(nodes).boxed()),
    ("t21_a_disabled_user_gets_nothing", |nodes| disabled_user(nodes).boxed()),
    ("what_has_ended_is_removed", |nodes| purge(nodes).boxed()),
    ("events_come_back_filtered_and_in_order", |nodes| audit_events(nodes).boxed()),
];

pub(super) fn settings() -> Settings {
    Settings { rotation_key: RotationKey::new(&[7; 32]), refresh_lifetime_ms: REFRESH_LIFETIME_MS }
}

/// A folder that goes away with the test.
#[derive(Debug)]
pub(super) struct Folder(pub(super) std::path::PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-store-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What an exchange gave, comparable.
pub(super) fn pair(issued: &Issued) -> (Uuid, String, Uuid, u32, i64, i64) {
    let Issued { family_id, refresh_token, token_id, generation, issued_ms, expires_ms, .. } = issued;
    (*family_id, refresh_token.to_text().to_string(), *token_id, *generation, *issued_ms, *expires_ms)
}

async fn begin(store: &dyn Store, wallet: &str) -> (Issued, String) {
    store.signed_in(wallet, NOW_MS).await.unwrap();
    let issued = store.begin_family(wallet, NOW_MS).await.unwrap();
    let text = issued.refresh_token.to_text().to_string();
    (issued, text)
}

async fn rotated(store: &dyn Store, token: &str, now_ms: i64) -> String {
    store.rotate(token, now_ms).await.unwrap().refresh_token.to_text().to_string()
}

async fn refused(store: &dyn Store, token: &str, now_ms: i64) -> RotateRefused {
    store.rotate(token, now_ms).await.unwrap_err()
}

async fn users_are_made_once([store, other]: Nodes) {
    assert_eq!(store.user(WALLET).await.unwrap(), None);
    let user = store.signed_in(WALLET, NOW_MS).await.unwrap();
    let expected = User {
        wallet: WALLET.into(),
        roles: vec!["user".into()],
        disabled: false,
        created_ms: NOW_MS,
        seen_ms: NOW_MS,
    };
    assert_eq!(user, expected);
    let again = other.signed_in(WALLET, NOW_MS + 5).await.unwrap();
    assert_eq!(again, User { seen_ms: NOW_MS + 5, ..expected });
    assert_eq!(store.signed_in(WALLET, NOW_MS + 3).await.unwrap(), again, "a clock that is behind");
    assert_eq!(store.user(WALLET).await.unwrap(), Some(again));
    assert_eq!(store.user(&WALLET.to_lowercase()).await.unwrap(), None, "addresses are EIP-55");
}

async fn roles_and_doors([store, other]: Nodes) {
    let roles = ["admin".to_owned(), "a \"quoted\" 'röle'; --".to_owned()];
    assert_eq!(store.set_roles(WALLET, &roles).await.unwrap(), None);
    assert_eq!(store.set_disabled(WALLET, true).await.unwrap(), None);
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    store.signed_in(OTHER, NOW_MS).await.unwrap();
    assert_eq!(store.set_roles(WALLET, &roles).await.unwrap().unwrap().roles, roles);
    assert!(other.set_disabled(WALLET, true).await.unwrap().unwrap().disabled);
    let user = store.signed_in(WALLET, NOW_MS).await.unwrap();
    assert!(user.disabled, "a sign-in opens no door");
    assert_eq!(user.roles, roles);
    assert_eq!(other.user(OTHER).await.unwrap().unwrap().roles, ["user"]);
    assert!(store.set_roles(WALLET, &[]).await.unwrap().unwrap().roles.is_empty());
}

async fn only_known_users_begin([store, _]: Nodes) {
    assert_eq!(store.begin_family(WALLET, NOW_MS).await.unwrap_err(), RotateRefused::Unknown);
    store.signed_in(WALLET, NOW_MS).await.unwrap();
    store.set_disabled(WALLET, true).await.unwrap();
    assert_eq!(store.begin_family(WALLET, NOW_MS).await.unwrap_err(), RotateRefused::Disabled);
    store.set_disabled(WALLET, false).await.unwrap();
    let first = store.begin_family(WALLET, NOW_MS).await.unwrap();
    let second = store.begin_family(WALLET, NOW_MS).await.unwrap();
    assert_ne!(first.family_id, second.family_id);
    assert_ne!(*first.refresh_token.to_text(), *second.refresh_token.to_text());
}

async fn rotation([store, other]: Nodes) {
    let (first, token) = begin(&*store, WALLET).await;
    assert_eq!((first.generation, first.issued_ms), (0, NOW_MS));
    assert_eq!(first.expires_ms, NOW_MS + REFRESH_LIFETIME_MS);
    store.set_roles(WALLET, &["moderator".into()]).await.unwrap();
    let next = other.rotate(&token, NOW_MS + 60_000).await.unwrap();
    assert_eq!(next.family_id, first.family_id);
    assert_eq!((next.generation, next.issued_ms), (1, NOW_MS + 60_000));
    assert_eq!(next.expires_ms, NOW_MS + 60_000 + REFRESH_LIFETIME_MS);
    assert_eq!((next.wallet.as_str(), next.roles.as_slice()), (WALLET, &["moderator".to_owned()][..]));
    assert_ne!(next.token_id, first.token_id);
    assert_ne!(*next.refresh_token.to_text(), token);
    let third = store.rotate(&next.refresh_token.to_text(), NOW_MS + 120_000).await.unwrap();
    assert_eq!(third.generation, 2);
    assert!(other.family_is_live(first.family_id, NOW_MS + 120_000).await.unwrap());
}

async fn repeat_within_grace([store, other]: Nodes) {
    let (_, token) = begin(&*store, WALLET).await;
    let answer = store.rotate(&token, NOW_MS + 1).await.unwrap();
    for (node, now_ms) in [(&other, NOW_MS + 1), (&store, NOW_MS), (&other, NOW_MS + 1 + REUSE_GRACE_MS)] {
        let repeated = node.rotate(&token, now_ms).await.unwrap();
        assert_eq!(pair(&repeated), pair(&answer));
    }
    // The successor may have been used meanwhile: the repeat still gets it, and it is no longer the newest.
    let newest = rotated(&*store, &answer.refresh_token.to_text(), NOW_MS + 5).await;
    assert_eq!(pair(&other.rotate(&token, NOW_MS + 6).await.unwrap()), pair(&answer));
    assert_eq!(rotated(&*other, &answer.refresh_token.to_text(), NOW_MS + 7).await, newest);
}

async fn reuse_after_grace([store, other]: Nodes) {
    let (first, token) = begin(&*store, WALLET).await;
    let (kept, _) = begin(&*store, WALLET).await;
    let next = rotated(&*store, &token, NOW_MS).await;
    let expected = RotateRefused::Reused { family_id: first.family_id, wallet: WALLET.into() };
    let later_ms = NOW_MS + REUSE_GRACE_MS + 1;
    assert_eq!(refused(&*other, &token, later_ms).await, expected);
    assert!(!store.family_is_live(first.family_id, later_ms).await.unwrap());
    assert_eq!(refused(&*store, &next, later_ms).await, RotateRefused::Revoked);
    assert_eq!(refused(&*store, &token, later_ms).await, RotateRefused::Revoked, "told once");
    assert!(store.family_is_live(kept.family_id, later_ms).await.unwrap(), "another sign-in of the user");
}

async fn parallel_exchanges([store, other]: Nodes) {
    let (first, mut token) = begin(&*store, WALLET).await;
    for round in 1..=5 {
        let exchange = |node: &Arc<dyn Store>, late_ms: i64| {
            let (node, token) = (Arc::clone(node), token.clone());
            tokio::spawn(async move { node.rotate(&token, NOW_MS + late_ms).await })
        };
        let tasks = (0..8).map(|late_ms| exchange(if late_ms % 2 == 0 { &store } else { &other }, late_ms));
        let answers: Vec<_> = join_all(tasks).await.into_iter().map(|answer| answer.unwrap()).collect();
        let pairs: Vec<_> = answers.iter().map(|answer| pair(answer.as_ref().unwrap())).collect();
        assert!(pairs.iter().all(|pair| pair == &pairs[0]), "{pairs:?}");
        assert_eq!(pairs[0].3, round);
        token = pairs[0].1.clone();
    }
    assert!(store.family_is_live(first.family_id, NOW_MS).await.unwrap());
}

/// The thief exchanges a stolen token and goes on; the owner comes back when the stolen one has long expired.
async fn late_owner([store, _]: Nodes) {
    let (first, stolen) = begin(&*store, WALLET).await;
    let day_20_ms = NOW_MS + REFRESH_LIFETIME_MS * 2 / 3;
    let day_40_ms = NOW_MS + REFRESH_LIFETIME_MS * 4 / 3;
    let thiefs = rotated(&*store, &stolen, day_20_ms).await;
    let thiefs = rotated(&*store, &thiefs, day_40_ms).await;
    store.purge_families(day_40_ms).await.unwrap();
    let refusal = refused(&*store, &stolen, day_40_ms + 1).await;
    assert_eq!(refusal, RotateRefused::Reused { family_id: first.family_id, wallet: WALLET.into() });
    assert_eq!(refused(&*store, &thiefs, day_40_ms + 2).await, RotateRefused::Revoked);
}

async fn expired_or_made_up([store, _]: Nodes) {
    let (first, token) = begin(&*store, WALLET).await;
    for wrong in ["", "tgr_", "nonsense", "' OR 1=1 --", &RefreshToken::random().to_text()] {
        assert_eq!(refused(&*store, wrong, NOW_MS).await, RotateRefused::Unknown);
        assert_eq!(store.end_session(wrong, NOW_MS).await.unwrap(), None);
    }
    assert!(store.family_is_live(first.family_id, first.expires_ms - 1).await.unwrap());
    assert!(!store.family_is_live(first.family_id, first.expires_ms).await.unwrap());
    assert_eq!(refused(&*store, &token, first.expires_ms).await, RotateRefused::Expired);
    assert!(!store.family_is_live(Uuid::now_v7(), NOW_MS).await.unwrap());
    let rotated = store.rotate(&token, first.expires_ms - 1).await.unwrap();
    assert!(store.family_is_live(first.family_id, rotated.expires_ms - 1).await.unwrap());
}

async fn logout([store, other]: Nodes) {
    let (first, token) = begin(&*store, WALLET).await;
    let (kept, _) = begin(&*store, WALLET).await;
    let next = rotated(&*store, &token, NOW_MS).await;
    let session = Session { family_id: first.family_id, wallet: WALLET.into() };
    assert_eq!(other.end_session(&token, NOW_MS).await.unwrap(), Some(session.clone()), "an older one");
    assert_eq!(store.end_session(&next, NOW_MS).await.unwrap(), Some(session), "again");
    for token in [&token, &next] {
        assert_eq!(refused(&*store, token, NOW_MS).await, RotateRefused::Revoked);
    }
    assert!(!store.family_is_live(first.family_id, NOW_MS).await.unwrap());
    assert!(store.family_is_live(kept.family_id, NOW_MS).await.unwrap());
    assert!(store.revoke_family(kept.family_id, NOW_MS).await.unwrap());
    assert!(!other.revoke_family(kept.family_id, NOW_MS).await.unwrap(), "revoked before");
    assert!(!store.revoke_family(Uuid::now_v7(), NOW_MS).await.unwrap(), "unknown");
}

async fn revoked_user([store, other]: Nodes) {
    let (one, token) = begin(&*store, WALLET).await;
    let (two, _) = begin(&*other, WALLET).await;
    let (gone, _) = begin(&*store, WALLET).await;
    let (kept, _) = begin(&*store, OTHER).await;
    store.revoke_family(gone.family_id, NOW_MS).await.unwrap();
    let mut revoked = store.revoke_user(WALLET, NOW_MS).await.unwrap();
    revoked.sort();
    let mut expected = vec![one.family_id, two.family_id];
    expected.sort();
    assert_eq!(revoked, expected);
    assert!(store.revoke_user(WALLET, NOW_MS).await.unwrap().is_empty());
    let mut recent = other.revoked_since(NOW_MS).await.unwrap();
    recent.sort();
    let mut all = vec![one.family_id, two.family_id, gone.family_id];
    all.sort();
    assert_eq!(recent, all, "on every node");
    assert!(other.revoked_since(NOW_MS + 1).await.unwrap().is_empty());
    assert_eq!(refused(&*other, &token, NOW_MS).await, RotateRefused::Revoked);
    assert!(store.family_is_live(kept.family_id, NOW_MS).await.unwrap());
}

async fn disabled_user([store, _]: Nodes) {
    let (_, token) = begin(&*store, WALLET).await;
    let next = rotated(&*store, &token, NOW_MS).await;
    store.set_disabled(WALLET, true).await.unwrap();
    for token in [&token, &next] {
        assert_eq!(refused(&*store, token, NOW_MS).await, RotateRefused::Disabled);
    }
    store.set_disabled(WALLET, false).await.unwrap();
    assert_eq!(rotated(&*store, &token, NOW_MS).await, next);
    store.set_disabled(WALLET, true).await.unwrap();
    let refusal = refused(&*store, &token, NOW_MS + REUSE_GRACE_MS + 1).await;
    assert!(matches!(refusal, RotateRefused::Reused { .. }), "a thief is noticed anyway: {refusal:?}");
}

async fn purge([store, _]: Nodes) {
    let (_, first) = begin(&*store, WALLET).await;
    let (ended, ended_token) = begin(&*store, WALLET).await;
    let (_, idle) = begin(&*store, WALLET).await;
    store.revoke_family(ended.family_id, NOW_MS).await.unwrap();
    let mut token = first.clone();
    for month in 1..=3 {
        token = rotated(&*store, &token, NOW_MS + month * (REFRESH_LIFETIME_MS - 1)).await;
    }
    assert_eq!(store.purge_families(NOW_MS + REFRESH_LIFETIME_MS).await.unwrap(), 0);
    assert_eq!(refused(&*store, &ended_token, NOW_MS).await, RotateRefused::Revoked);
    let month_ms = NOW_MS + REFRESH_LIFETIME_MS + 1;
    assert_eq!(store.purge_families(month_ms).await.unwrap(), 1, "the revoked family");
    let later_ms = NOW_MS + 3 * REFRESH_LIFETIME_MS;
    assert_eq!(store.purge_families(later_ms).await.unwrap(), 2, "the idle family and one rotated token");
    for gone in [&ended_token, &idle, &first] {
        assert_eq!(refused(&*store, gone, later_ms).await, RotateRefused::Unknown);
    }
    assert_eq!(store.rotate(&token, later_ms).await.unwrap().generation, 4);
    assert!(store.user(WALLET).await.unwrap().is_some());
}

async fn audit_events([store, other]: Nodes) {
    let event = |time_ms: i64, level, user: Option<&str>| Event {
        time_ms,
        kind: "sign_in".into(),
        outcome: "ok".into(),
        level,
        user: user.map(str::to_owned),
        ip: Some("2001:db8::1".into()),
        user_agent: Some("a 'browser'; \"quoted\" ☂".into()),
        detail: user.is_none().then(|| "line\nbreak".into()),
        repeated: user.is_none().then_some(u32::MAX),
    };
    let all = [
        event(3, Level::Info, Some(WALLET)),
        event(1, Level::Alert, None),
        event(2, Level::Warning, Some(WALLET)),
        event(2, Level::Notice, Some(OTHER)),
    ];
    for (event, node) in all.iter().zip([&store, &other, &store, &store]) {
        node.append_event(event).await.unwrap();
    }
    let found = |since_ms, user, level, limit| store.events(since_ms, user, level, limit);
    let [third, first, second, fourth] = all;
    let in_order = [first.clone(), second.clone(), fourth.clone(), third.clone()];
    assert_eq!(found(0, None, Level::Info, 10).await.unwrap(), in_order);
    assert_eq!(found(0, None, Level::Info, 2).await.unwrap(), in_order[2..], "the newest");
    assert_eq!(found(2, None, Level::Notice, 10).await.unwrap(), [second.clone(), fourth]);
    assert_eq!(found(0, Some(WALLET), Level::Info, 10).await.unwrap(), [second.clone(), third]);
    assert_eq!(found(0, Some("nobody' OR '1'='1"), Level::Info, 10).await.unwrap(), []);
    assert_eq!(found(0, None, Level::Alert, u32::MAX).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(found(0, None, Level::Info, 0).await.unwrap(), []);
    assert_eq!(other.purge_events(2, 10).await.unwrap(), 1);
    assert_eq!(found(0, None, Level::Warning, 10).await.unwrap(), [second]);
    assert_eq!(other.purge_events(2, 1).await.unwrap(), 2, "the newest one stays");
    assert_eq!(found(0, None, Level::Info, 10).await.unwrap().len(), 1);
    let hostile = Event { user_agent: Some("a\0b".into()), ..first };
    store.append_event(&hostile).await.unwrap();
    let kept = found(0, None, Level::Alert, 1).await.unwrap();
    assert_eq!(kept[0].user_agent.as_deref(), Some("a\u{fffd}b"));
}
