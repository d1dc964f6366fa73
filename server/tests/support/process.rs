//! The gateway as a process: what only a process has, such as signals and a death without warning.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::command_line::tidegate;
use crate::support::SECRET;

/// A running `tidegate serve`.
pub struct Process {
    child: Owned,
    pub address: SocketAddr,
    log: std::thread::JoinHandle<String>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub log: String,
    pub after: Duration,
}

impl Process {
    /// Starts one in demo mode, where one address may open as many connections as it likes.
    pub fn start(address: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut all = vec!["serve", "--demo", "--listen", address];
        all.extend(arguments);
        let mut child = tidegate(&all)
            .env("TIDEGATE_AUTH__JWT_SECRET", SECRET)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stderr = child.stderr.take().unwrap();
        // Read all the time: a full pipe would hold the process up.
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            log
        });
        let banner = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = banner
            .filter_map(|line| line.strip_prefix("open           http://").map(str::to_owned))
            .find_map(|rest| rest.trim_end_matches('/').parse().ok())
            .expect("the banner names the address");
        Self { child: Owned(child), address, log }
    }

    /// Sends a signal, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let id = self.child.0.id().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.expect("`kill` runs").success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let started = Instant::now();
        let code = self.child.0.wait().expect("it ends").code();
        Ended { code, after: started.elapsed(), log: self.log.join().expect("the log is read") }
    }
}

/// A process that does not outlive its test, whatever becomes of that.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Fails when it has ended, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
