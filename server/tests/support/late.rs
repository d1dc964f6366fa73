//! How much of a test's time others took: what has to happen within a second may take longer on a busy machine, by so
//! much and no more. To the millisecond it is checked on virtual time, in the unit tests.

use std::time::Duration;

/// As late as anything may be, and where the system does not tell.
const MOST: Duration = Duration::from_secs(15);

/// Watches the machine from its making on.
#[derive(Debug)]
pub struct Late {
    stalled: Option<Duration>,
}

impl Late {
    pub fn watch() -> Self {
        Self { stalled: stalled() }
    }

    /// For how long since then somebody had work and no processor.
    pub fn by(&self) -> Duration {
        let since = stalled().zip(self.stalled).map(|(now, then)| now.saturating_sub(then));
        since.map_or(MOST, |stalled| stalled.min(MOST))
    }
}

/// Of the whole machine, since it started (Linux: pressure stall information).
fn stalled() -> Option<Duration> {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let micros = pressure.lines().next()?.rsplit_once("total=")?.1.parse().ok()?;
    Some(Duration::from_micros(micros))
}
