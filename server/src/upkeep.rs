//! What has to be done again and again: sessions that were revoked elsewhere end here too, and what no longer
//! matters is removed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::App;
use crate::audit::{Event, EventKind};
use crate::clock::wall_ms;
use crate::failure::Failure;
use crate::store::StoreError;

/// How often the store is asked what was revoked: by another gateway on the same database, or by `tidegate user`.
/// Together with a connection's way out it stays below a second.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Other gateways' clocks may be behind by this much, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 60_000;
/// How often what no longer matters is removed.
const PURGE_EVERY: Duration = Duration::from_secs(600);
/// A store that does not answer is warned about once in this time.
const WARN_EVERY: Duration = Duration::from_secs(30);
/// Rows of the audit log that the store keeps, whatever their age: a flood must not fill a disk.
const EVENTS_MAX: u32 = 1_000_000;
/// The same in memory.
const EVENTS_IN_MEMORY_MAX: u32 = 10_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Tokens of sessions that were revoked before this run began are refused as well: they may have some minutes left.
///
/// # Errors
/// A store that does not work.
pub(crate) async fn recall(app: &App) -> Result<(), Failure> {
    let since_ms = wall_ms() - app.revocations.lifetime_ms() - CLOCKS_DIFFER_MS;
    end_revoked(app, since_ms).await.map(drop).map_err(|error| {
        Failure::environment(
            "TG-STO-003",
            format!("the store does not say which sessions were revoked: {error}"),
            "check the database, and start again",
        )
    })
}

/// Never completes.
pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked_ms, mut purged_at) = (wall_ms(), Instant::now());
    let mut trouble = Trouble::default();
    loop {
        ticks.tick().await;
        let now_ms = wall_ms();
        // In memory nobody else can have revoked anything.
        if app.config.store.outlives_the_run() {
            let asked = end_revoked(&app, asked_ms - CLOCKS_DIFFER_MS).await;
            let ended = asked.map(|connections| {
                if connections > 0 {
                    let detail = format!("elsewhere, connections of this gateway {connections}");
                    app.audit.record(Event::new(EventKind::Revoked).detail(&detail));
                }
            });
            if trouble.is_over(ended) {
                asked_ms = now_ms;
            }
        }
        if purged_at.elapsed() >= PURGE_EVERY {
            purged_at = Instant::now();
            trouble.is_over(purge(&app, now_ms).await);
        }
    }
}

/// Says how many connections were told to leave.
async fn end_revoked(app: &App, since_ms: i64) -> Result<usize, StoreError> {
    let revoked = app.store.revoked_since(since_ms).await?;
    let unheard = revoked.iter().map(ToString::to_string).filter(|family| !app.revocations.contains(family));
    Ok(unheard.map(|family| app.end(&family)).sum())
}

/// Removes expired families, old events, expired challenges and revocations that nobody needs any more.
async fn purge(app: &App, now_ms: i64) -> Result<(), StoreError> {
    app.challenges.purge(now_ms);
    app.revocations.purge(now_ms);
    let kept = &app.config.store;
    let keep = if kept.outlives_the_run() { EVENTS_MAX } else { EVENTS_IN_MEMORY_MAX };
    let before_ms = now_ms - i64::from(app.config.audit.keep_days) * DAY_MS;
    let families = app.store.purge_families(now_ms).await?;
    let events = app.store.purge_events(before_ms, keep).await?;
    tracing::debug!(families, events, "what no longer matters was removed");
    Ok(())
}

/// Says once in a while that the store does not work, not twice a second.
#[derive(Debug, Default)]
struct Trouble {
    warned_at: Option<Instant>,
}

impl Trouble {
    fn is_over(&mut self, result: Result<(), StoreError>) -> bool {
        let Err(error) = result else { return true };
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned_at = Some(Instant::now());
            tracing::warn!(%error, "the store does not work: sessions revoked elsewhere go on until their tokens end");
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use crate::audit::Level;
    use crate::config::Config;
    use crate::store;
    use crate::testing::Wallet;

    async fn app() -> Arc<App> {
        let mut config = Config::default();
        config.market.symbols = vec!["BTCUSDT".parse().unwrap()];
        let opened = crate::open_market(&config).await.unwrap();
        let (_, stopping) = watch::channel(false);
        crate::build(config, opened, stopping).await.unwrap().0
    }

    async fn family(app: &App, now_ms: i64) -> Uuid {
        let wallet = Wallet::new(1).address().to_checksum(None);
        app.store.signed_in(&wallet, now_ms).await.unwrap();
        app.store.begin_family(&wallet, now_ms).await.unwrap().family_id
    }

    #[tokio::test]
    async fn t_21_what_was_revoked_lately_is_refused_from_the_first_moment() {
        let app = app().await;
        let now_ms = wall_ms();
        let [recent, old, live] =
            [family(&app, now_ms).await, family(&app, now_ms).await, family(&app, now_ms).await];
        app.store.revoke_family(recent, now_ms - 14 * 60_000).await.unwrap();
        app.store.revoke_family(old, now_ms - 60 * 60_000).await.unwrap();
        recall(&app).await.unwrap();
        let refused = [recent, old, live].map(|family| app.revocations.contains(&family.to_string()));
        assert_eq!(refused, [true, false, false], "tokens of the old one have all expired");
    }

    #[tokio::test]
    async fn what_no_longer_matters_is_removed_everywhere() {
        let app = app().await;
        let now_ms = wall_ms();
        let old_ms = now_ms - 100 * DAY_MS;
        let gone = family(&app, old_ms).await;
        let kept = family(&app, now_ms).await;
        let event = |time_ms| store::Event {
            time_ms,
            kind: "sign_in".into(),
            outcome: "ok".into(),
            level: Level::Info,
            user: None,
            ip: None,
            user_agent: None,
            detail: None,
            repeated: None,
        };
        for time_ms in [old_ms, now_ms] {
            app.store.append_event(&event(time_ms)).await.unwrap();
        }
        app.revocations.add("old", old_ms);
        app.revocations.add("new", now_ms);
        purge(&app, now_ms).await.unwrap();
        assert!(!app.store.revoke_family(gone, now_ms).await.unwrap(), "it is not known any more");
        assert!(app.store.family_is_live(kept, now_ms).await.unwrap());
        assert_eq!(app.store.events(0, None, Level::Info, 10).await.unwrap(), [event(now_ms)]);
        assert_eq!(["old", "new"].map(|family| app.revocations.contains(family)), [false, true]);
    }
}
