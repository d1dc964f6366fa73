//! The gateway as a process of its own, so that its memory, its time and its files can be looked at.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command_line::tidegate;
use crate::support::SECRET;

const FLAGS: [&str; 7] = ["serve", "--listen", "127.0.0.1:0", "--symbols", "BTCUSDT", "--log", "warn"];

/// A running gateway, killed on drop.
#[derive(Debug)]
pub struct Measured {
    child: Child,
    pub address: SocketAddr,
}

impl Measured {
    /// With these settings, as `section.name` and value; one market, and no limit per address that a test meets.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::run(tidegate(&FLAGS), settings)
    }

    /// With so many file descriptors.
    pub fn with_files(files: u32, settings: &[(&str, &str)]) -> Self {
        let mut shell = std::process::Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_tidegate")]).args(FLAGS);
        Self::run(shell, settings)
    }

    fn run(mut command: Command, settings: &[(&str, &str)]) -> Self {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        let defaults = [
            ("auth.jwt_secret", SECRET),
            ("limits.unauthenticated_connections_per_ip", "10000"),
            ("limits.new_connections_per_ip", "100000"),
        ];
        for (path, value) in defaults.iter().chain(settings) {
            command.env(format!("TIDEGATE_{}", path.replace('.', "__").to_uppercase()), value);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let open = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("open")?.trim().to_owned()))
            .expect("a banner");
        let address = open.split("//").nth(1).unwrap().trim_end_matches('/').parse().unwrap();
        Self { child, address }
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> i64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
        1_024
            * line.split_whitespace().nth(1).and_then(|number| number.parse::<i64>().ok()).expect("a number")
    }

    /// Processor time that it has used.
    pub fn busy(&self) -> Duration {
        let stat = self.proc("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, the 14th and 15th field of all, in hundredths of a second.
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its open files.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What `work` costs the gateway: memory at most and processor time as a share of one core.
    pub async fn cost<T>(&self, work: impl Future<Output = T>) -> (T, Cost) {
        let (memory, busy, started) = (self.memory(), self.busy(), Instant::now());
        let mut work = std::pin::pin!(work);
        let mut peak = memory;
        let output = loop {
            tokio::select! {
                output = &mut work => break output,
                () = tokio::time::sleep(Duration::from_millis(50)) => peak = peak.max(self.memory()),
            }
        };
        peak = peak.max(self.memory());
        let seconds = started.elapsed();
        let busy = self.busy().checked_sub(busy).unwrap();
        (output, Cost { memory: peak - memory, busy, seconds })
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("it runs")
    }
}

/// What something cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How far memory went up, in bytes.
    pub memory: i64,
    /// Processor time.
    pub busy: Duration,
    /// How long it took.
    pub seconds: Duration,
}

impl Cost {
    /// Processor time as a share of one core.
    pub fn share(&self) -> f64 {
        self.busy.as_secs_f64() / self.seconds.as_secs_f64()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, busy, seconds } = self;
        write!(f, "{} KiB, {busy:?} of {seconds:?} ({:.1} % of a core)", memory / 1_024, 100.0 * self.share())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
