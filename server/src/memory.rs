//! How much memory the gateway may take, and whether it is short of it.
//!
//! A process that runs out of memory is killed together with everybody who is connected. So nobody new is let in a
//! while before: those who are there go on, and newcomers are told to try again.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::interval;

/// How often it is looked at when nobody asks.
const EVERY: Duration = Duration::from_millis(250);
/// And after so many who did: a storm of newcomers does not wait for the clock.
const NEWCOMERS: u32 = 16;
/// From this share of what is granted on, nobody new is let in.
const SHORT_PERCENT: u64 = 90;
/// A limit as large as this stands for none.
const NO_LIMIT: u64 = 1 << 60;

/// The memory of this process.
#[derive(Debug)]
pub struct Memory {
    granted: Option<u64>,
    short: AtomicBool,
    newcomers: AtomicU32,
}

impl Memory {
    /// So many megabytes, or with 0 what the system grants: the limit of the control group, or all there is.
    #[must_use]
    pub fn new(megabytes: u32) -> Self {
        let granted = if megabytes == 0 { granted() } else { Some(u64::from(megabytes) << 20) };
        Self { granted, short: AtomicBool::new(false), newcomers: AtomicU32::new(0) }
    }

    /// Whether this newcomer is to be refused.
    #[must_use]
    pub fn is_short(&self) -> bool {
        if self.newcomers.fetch_add(1, Ordering::Relaxed).is_multiple_of(NEWCOMERS) {
            self.look();
        }
        self.short.load(Ordering::Relaxed)
    }

    /// Looks at it for as long as it is polled.
    pub(crate) async fn watch(&self) {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        let (Some(granted), Some(resident)) = (self.granted, resident()) else { return };
        let short = is_short(resident, granted);
        if self.short.swap(short, Ordering::Relaxed) == short {
            return;
        }
        let (resident, granted) = (resident >> 20, granted >> 20);
        if short {
            tracing::error!(
                resident,
                granted,
                "nearly all memory is taken: new connections are refused. Grant more megabytes, or lower \
                 limits.connections_per_node"
            );
        } else {
            tracing::info!(resident, granted, "there is memory again for new connections");
        }
    }
}

fn is_short(resident: u64, granted: u64) -> bool {
    resident >= granted / 100 * SHORT_PERCENT
}

/// What of this process is in memory, in bytes. The file is the kernel's: reading it waits for no disk.
fn resident() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn granted() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let files = [
        format!("/sys/fs/cgroup/{own}/memory.max"),
        "/sys/fs/cgroup/memory.max".into(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".into(),
    ];
    let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(machine).filter(|limit| *limit < NO_LIMIT).min()
}

/// The value of a line such as `MemTotal:  24576 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_are_short() {
        assert!(!is_short(89 << 20, 100 << 20));
        assert!(is_short(91 << 20, 100 << 20));
        assert_eq!(kilobytes("A: 1 kB\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2 << 20));
        assert_eq!(kilobytes("VmRSS: many kB", "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_some_of_what_the_system_grants() {
        let (resident, granted) = (resident().unwrap(), granted().unwrap());
        assert!(resident > 1 << 20 && resident < granted, "{resident} of {granted}");
    }
}
