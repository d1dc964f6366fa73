//! The thread that owns the file. Everything that is decided is decided in the chain and the summary.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use alloy_primitives::hex;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::chain::{Chain, LINE_MAX_BYTES};
use super::rows::RowSender;
use super::summary::{Summary, Told};
use super::{Event, EventKind};
use crate::clock::wall_ms;

/// How often floods are looked at when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Lost events are warned about once in this time, in milliseconds.
const WARN_EVERY_MS: i64 = 10_000;
/// Requests that share one write to the disk.
const BATCH_MAX: usize = 256;
/// What is read of the end of the file: the last two lines are in it.
const END_BYTES: u64 = 2 * LINE_MAX_BYTES as u64 + 2;

/// An event on its way to the file.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) event: Event,
    pub(super) time_ms: i64,
    /// Told whether the line is on the disk. Such an event is never summarised.
    pub(super) written: Option<oneshot::Sender<bool>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    log: Option<LogFile>,
    rows: Option<RowSender>,
    summary: Summary,
    lost: Arc<AtomicU64>,
    /// How many of the lost the log itself names.
    lost_told: u64,
    warned_at_ms: i64,
}

/// The file and where its chain stands.
#[derive(Debug)]
struct LogFile {
    file: File,
    /// Up to the last whole line, in bytes.
    length: u64,
    chain: Chain,
}

/// What the end of a log is worth.
enum End {
    /// It can be continued.
    Good(Chain),
    /// What begins `bytes` before the end of the file is damaged; the chain is that of the lines before.
    Damaged { chain: Chain, bytes: u64 },
    /// Nothing can be continued.
    Unreadable,
}

impl Writer {
    /// With the log at `path`, unless that is empty, and a copy of every line for the store, if one is wanted.
    pub(super) fn open(path: &Path, rows: Option<RowSender>, now_ms: i64) -> io::Result<Self> {
        let mut this = Self {
            log: None,
            rows,
            summary: Summary::default(),
            lost: Arc::default(),
            lost_told: 0,
            warned_at_ms: 0,
        };
        let mut first =
            vec![Told::single(Event::new(EventKind::Opened).detail(env!("CARGO_PKG_VERSION")), now_ms)];
        if !path.as_os_str().is_empty() {
            let (log, damage) = LogFile::open(path)?;
            this.log = Some(log);
            if let Some(note) = damage {
                tracing::warn!(path = %path.display(), "the end of the audit log was damaged: {note}");
                first.insert(0, Told::single(Event::new(EventKind::Damaged).detail(&note), now_ms));
            }
        }
        this.write(&first)?;
        Ok(this)
    }

    /// How many events were lost.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// As if the disk had become full.
    #[cfg(test)]
    pub(super) fn on_a_full_disk(mut self) -> Self {
        let log = self.log.as_mut().expect("a log in a file");
        log.file = OpenOptions::new().append(true).open("/dev/full").expect("Linux has it");
        self
    }

    /// Until nobody can send any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(TICK) {
                Ok(request) => {
                    let more = requests.try_iter().take(BATCH_MAX - 1);
                    self.take(std::iter::once(request).chain(more));
                }
                Err(RecvTimeoutError::Timeout) => self.take(std::iter::empty()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let rest = self.summary.finish();
        self.write_or_lose(rest);
    }

    fn take(&mut self, requests: impl Iterator<Item = Request>) {
        let (mut lines, mut waiting) = (Vec::new(), Vec::new());
        for Request { event, time_ms, written } in requests {
            if let Some(written) = written {
                waiting.push(written);
                lines.push(Told::single(event, time_ms));
            } else {
                lines.extend(self.summary.offer(event, time_ms));
            }
        }
        lines.extend(self.summary.due(wall_ms()));
        let mut good = self.write_or_lose(lines);
        if good && !waiting.is_empty() {
            good = self.log.as_ref().is_none_or(|log| log.file.sync_data().inspect_err(warn).is_ok());
        }
        for written in waiting {
            let _ = written.send(good);
        }
    }

    /// Whether everything was written; what was not is counted as lost.
    fn write_or_lose(&mut self, mut lines: Vec<Told>) -> bool {
        let lost = self.lost.load(Ordering::Relaxed);
        let events: u64 = lines.iter().map(|told| told.repeated.unwrap_or(1)).sum();
        if lost > self.lost_told {
            let event = Event::new(EventKind::Lost).detail("events could not be written down");
            lines.push(Told { repeated: Some(lost - self.lost_told), ..Told::single(event, wall_ms()) });
        }
        match self.write(&lines) {
            Ok(()) => {
                self.lost_told = lost;
                true
            }
            Err(error) => {
                self.lost.fetch_add(events, Ordering::Relaxed);
                let now_ms = wall_ms();
                if !(self.warned_at_ms..self.warned_at_ms + WARN_EVERY_MS).contains(&now_ms) {
                    self.warned_at_ms = now_ms;
                    warn(&error);
                }
                false
            }
        }
    }

    /// Writes all lines or none; the copy for the store gets them anyway.
    fn write(&mut self, lines: &[Told]) -> io::Result<()> {
        if let Some(rows) = &self.rows {
            lines.iter().for_each(|told| rows.send(told));
        }
        self.log.as_mut().map_or(Ok(()), |log| log.write(lines))
    }
}

impl LogFile {
    /// Opens or begins the log; a note says what had to be set aside.
    fn open(path: &Path) -> io::Result<(Self, Option<String>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        lock(&file)?;
        let (mut chain, mut note) = (Chain::default(), None);
        match end(&mut file)? {
            End::Good(good) => chain = good,
            End::Damaged { chain: good, bytes } => {
                chain = good;
                note = Some(set_aside(path, &mut file, bytes)?);
            }
            End::Unreadable => {
                let all = file.metadata()?.len();
                note = Some(set_aside(path, &mut file, all)?);
            }
        }
        let length = file.metadata()?.len();
        Ok((Self { file, length, chain }, note))
    }

    /// Writes all lines or none.
    fn write(&mut self, lines: &[Told]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        let chain = lines.iter().fold(self.chain.clone(), |chain, told| {
            let (line, after) = chain.append(told);
            text.push_str(&line);
            after
        });
        let found = self.file.metadata()?.len();
        if found > self.length {
            // What a write that failed left behind: the next line would begin in the middle of it.
            self.file.set_len(self.length)?;
        }
        self.length = self.length.min(found);
        self.file.write_all(text.as_bytes())?;
        self.length += text.len() as u64;
        self.chain = chain;
        Ok(())
    }
}

fn warn(error: &io::Error) {
    tracing::warn!(%error, "the audit log cannot be written: is the disk full?");
}

fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        // Two writers would tear the chain apart.
        std::fs::TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another process writes this audit log")
        }
        std::fs::TryLockError::Error(error) => error,
    })
}

fn end(file: &mut File) -> io::Result<End> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(END_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(End::Good(Chain::default()));
    }
    if let Some(chain) = last_line(&bytes) {
        return Ok(End::Good(chain));
    }
    // Without what follows the line feed before the last.
    let whole = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let chain = match (&bytes[..whole], start) {
        // The damaged line is the only one.
        ([], 0) if bytes.len() <= LINE_MAX_BYTES => Some(Chain::default()),
        (before, _) => last_line(before),
    };
    let damaged = (bytes.len() - whole) as u64;
    Ok(chain.map_or(End::Unreadable, |chain| End::Damaged { chain, bytes: damaged }))
}

/// The chain after the last line of `bytes`, if that is whole and good.
fn last_line(bytes: &[u8]) -> Option<Chain> {
    let line = bytes.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    Chain::after(str::from_utf8(line).ok()?).ok()
}

/// Moves the last `bytes` of the log into a file of its own. Its name comes from what is in it, so doing it twice,
/// after a crash in between, does no harm.
fn set_aside(path: &Path, file: &mut File, bytes: u64) -> io::Result<String> {
    let kept = file.metadata()?.len() - bytes;
    let mut hasher = Sha256::new();
    file.seek(SeekFrom::Start(kept))?;
    io::copy(file, &mut hasher)?;
    let hash = hex::encode(hasher.finalize());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{}", &hash[..16]));
    let aside: PathBuf = path.with_file_name(&name);
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.seek(SeekFrom::Start(kept))?;
    io::copy(file, &mut copy)?;
    copy.sync_all()?;
    file.set_len(kept)?;
    Ok(format!("{bytes} bytes were set aside in {}, SHA-256 {hash}", name.display()))
}
