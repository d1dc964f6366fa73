//! Whether the runtime is starved: a task that is due every quarter of a second, watched from a thread of its own.
//!
//! A task alone could not tell: while nothing runs, it does not run either. The thread measures how long the runtime
//! takes to run something small, also while it does not, and how long each worker has been running without a pause:
//! of several workers, one that is blocked does not delay what the others take.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// How often the runtime is tried.
const EVERY: Duration = Duration::from_millis(250);
/// A task that runs this much too late is a stall.
const STALL: Duration = Duration::from_millis(100);

/// Watches the runtime that this is called on, for as long as the metrics are held by somebody else.
pub(crate) fn watch(metrics: &Arc<Metrics>) {
    let (metrics, handle) = (Arc::downgrade(metrics), Handle::current());
    let spawned = std::thread::Builder::new().name("watchdog".into()).spawn(move || run(&metrics, &handle));
    if let Err(error) = spawned {
        tracing::warn!(%error, "there is no thread for the watchdog: a starved runtime will not be noticed");
    }
}

fn run(metrics: &Weak<Metrics>, handle: &Handle) {
    let mut told = false;
    let mut workers = vec![(0, Instant::now()); handle.metrics().num_workers()];
    loop {
        std::thread::sleep(EVERY);
        if let Some(metrics) = metrics.upgrade() {
            metrics.busy(longest_busy(&mut workers, handle));
        }
        let (ran, running) = oneshot::channel();
        let due = Instant::now();
        handle.spawn(async move {
            // Nobody waits any more if this fails.
            let _ = ran.send(());
        });
        let Ok(()) = running.blocking_recv() else { return };
        let late = due.elapsed();
        let Some(metrics) = metrics.upgrade() else { return };
        metrics.ran_late(late, STALL);
        if late >= STALL && !told {
            tracing::warn!(
                late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
                "a task ran far too late: the machine is overloaded, or something blocks a worker thread"
            );
        }
        // Once for each time that it lasts.
        told = late >= STALL;
    }
}

/// How long the worker has been running that paused longest ago. `workers` holds how often each had paused or gone
/// on, and since when that is so.
fn longest_busy(workers: &mut [(u64, Instant)], handle: &Handle) -> Duration {
    let runtime = handle.metrics();
    let mut longest = Duration::ZERO;
    for (worker, (count, since)) in workers.iter_mut().enumerate() {
        let now = runtime.worker_park_unpark_count(worker);
        if now != *count {
            (*count, *since) = (now, Instant::now());
        }
        // An odd number means that it pauses.
        if now.is_multiple_of(2) {
            longest = longest.max(since.elapsed());
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(metrics: &Metrics) -> u64 {
        let text = metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix("tidegate_runtime_stalls_total "));
        line.and_then(|count| count.parse().ok()).expect("a count")
    }

    #[test]
    fn t_62_a_blocked_worker_shows() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let metrics = Arc::new(Metrics::default());
        runtime.block_on(async { watch(&metrics) });
        let started = Instant::now();
        while stalls(&metrics) == 0 {
            runtime.spawn(async { std::thread::sleep(Duration::from_millis(400)) });
            std::thread::sleep(Duration::from_millis(50));
            assert!(started.elapsed() < Duration::from_secs(20), "it was not noticed");
        }
        runtime.shutdown_background();
    }

    #[test]
    fn t_62_one_blocked_worker_of_several_shows() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
        let mut workers = vec![(0, Instant::now()); 3];
        let (release, released) = std::sync::mpsc::channel::<()>();
        runtime.spawn(async move { released.recv() });
        let started = Instant::now();
        while longest_busy(&mut workers, runtime.handle()) < Duration::from_millis(500) {
            std::thread::sleep(Duration::from_millis(20));
            assert!(started.elapsed() < Duration::from_secs(20), "it was not noticed");
        }
        release.send(()).unwrap();
        while longest_busy(&mut workers, runtime.handle()) > Duration::ZERO {
            std::thread::sleep(Duration::from_millis(20));
            assert!(started.elapsed() < Duration::from_secs(40), "it does not end");
        }
    }
}
