//! What an exchange says, word for word, for whoever records it.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{self, error::TrySendError};

/// Lines that wait to be written at most.
const WAITING_MAX: usize = 65_536;

/// Where everything that an exchange says is passed on to; by default nowhere. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tap(Option<mpsc::Sender<String>>);

impl Tap {
    /// A tap, and what comes out of it: one line for each message, `<nanoseconds> <JSON>`. The time is that of
    /// this host's clock, in Unix nanoseconds. An answer of the REST interface is
    /// `{"rest":"/fapi/v1/…","data":…}`.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<String>) {
        let (sender, lines) = mpsc::channel(WAITING_MAX);
        (Self(Some(sender)), lines)
    }

    pub(super) fn message(&self, text: &str) {
        self.pass(|| one_line(text));
    }

    pub(super) fn answer(&self, path: &str, body: &[u8]) {
        self.pass(|| format!(r#"{{"rest":"{path}","data":{}}}"#, one_line(&String::from_utf8_lossy(body))));
    }

    fn pass(&self, text: impl FnOnce() -> String) {
        let Some(sender) = &self.0 else { return };
        let line = format!("{} {}", now_ns(), text());
        if let Err(TrySendError::Full(_)) = sender.try_send(line) {
            tracing::warn!("what the exchange says is not written fast enough: the recording has a hole");
        }
    }
}

/// In JSON, a line break is a space: within a text it is written as `\n`.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
