//! `tidegate audit`: shows the audit log, and checks that its chain is whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::usage;
use crate::audit::{Level, Line, Since, next_line, verify};
use crate::failure::{Exit, Failure};

/// Flags of `audit`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audit {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// The log; `audit.file` of the configuration when left out
    file: Option<PathBuf>,

    /// Only what happened since then: 90s, 30m, 1h, 7d ago, or a time such as 2025-11-04T10:30:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// Only what this user did
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,

    /// Only events of this level and above
    #[arg(long, value_enum)]
    level: Option<Level>,

    /// The lines as they are, one JSON object each
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check that no line was changed, removed or put in between; exit code 7 if one was
    Verify {
        /// The log; `audit.file` of the configuration when left out
        file: Option<PathBuf>,
    },
}

impl Audit {
    /// `configured` is asked for the log if none is named.
    pub(super) fn run(self, configured: impl FnOnce() -> Result<PathBuf, Failure>) -> Result<(), Failure> {
        let named = |file: Option<PathBuf>| match file {
            Some(file) => Ok(file),
            None => configured()
                .and_then(|file| if file.as_os_str().is_empty() { Err(no_log()) } else { Ok(file) }),
        };
        match self.verb {
            Some(Verb::Verify { file }) => check(&named(file)?),
            None => self.show(&named(self.file.clone())?),
        }
    }

    fn show(&self, path: &Path) -> Result<(), Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        match self.write(&mut open(path)?, Timestamp::now(), &mut out) {
            // The reader has seen enough: `tidegate audit | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(unreadable(path, &error)),
            Ok(0) => Ok(()),
            Ok(bad) => {
                eprintln!("{bad} lines cannot be read: see tidegate audit verify");
                Ok(())
            }
        }
    }

    /// How many lines could not be read.
    fn write(&self, log: &mut impl io::BufRead, now: Timestamp, out: &mut impl Write) -> io::Result<u64> {
        let mut bad = 0;
        while let Some(text) = next_line(log)? {
            let line = text.ok().and_then(|text| Some((serde_json::from_str::<Line>(&text).ok()?, text)));
            match line {
                None => bad += 1,
                Some((line, _)) if !self.wanted(&line, now) => {}
                // What is in a file that somebody may have changed reaches the terminal only escaped.
                Some((_, text)) if self.json => writeln!(out, "{}", printable(&text))?,
                Some((line, _)) => writeln!(out, "{}", in_words(&line))?,
            }
        }
        out.flush()?;
        Ok(bad)
    }

    fn wanted(&self, line: &Line, now: Timestamp) -> bool {
        let since = self.since.is_none_or(|since| {
            let start_ms = since.start_ms(now.as_millisecond());
            line.time.parse::<Timestamp>().is_ok_and(|time| time.as_millisecond() >= start_ms)
        });
        let user = |wanted: &String| line.user.as_ref().is_some_and(|user| user.eq_ignore_ascii_case(wanted));
        since && self.user.as_ref().is_none_or(user) && self.level.is_none_or(|level| line.level >= level)
    }
}

fn check(path: &Path) -> Result<(), Failure> {
    let (chain, broken) = verify(open(path)?).map_err(|error| unreadable(path, &error))?;
    let Some((number, broken)) = broken else {
        println!("{} lines are good; the hash of the last one is {}", chain.lines(), chain.hash());
        return Ok(());
    };
    let before = match number - 1 {
        1 => "1 line before it is good".to_owned(),
        lines => format!("{lines} lines before it are good"),
    };
    Err(Failure {
        exit: Exit::CheckFailed,
        code: "TG-AUD-002",
        what: format!("line {number} breaks the chain: {broken}; {before}"),
        place: Some(format!("{}:{number}", path.display())),
        fix: "keep the file as it is and compare it with a copy of it".into(),
    })
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::environment(
        "TG-AUD-001",
        format!("cannot read the audit log: {error}"),
        "check the path and its permissions",
    )
    .at(path.display().to_string())
}

fn no_log() -> Failure {
    usage(
        "TG-AUD-003",
        "no audit log is configured",
        "tidegate audit FILE, or set audit.file in the configuration",
    )
}

fn in_words(line: &Line) -> String {
    let mut words = vec![format!("{}  {:7}  {:18}", line.time, line.level.as_str(), line.event.as_str())];
    words.extend(line.repeated.map(|times| format!("×{times}")));
    words.extend([&line.user, &line.ip, &line.detail].into_iter().flatten().cloned());
    words.extend(line.user_agent.as_ref().map(|agent| format!("({agent})")));
    printable(&words.join("  "))
}

/// Controls and characters that change the direction of text, or cannot be seen, are shown as escapes.
fn printable(text: &str) -> String {
    let show = |character: char| {
        let plain = character == ' ' || (character != '\\' && character.escape_debug().len() == 1);
        if plain || matches!(character, '"' | '\'' | '\\') {
            character.to_string()
        } else {
            character.escape_unicode().to_string()
        }
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, Event, EventKind, Told};

    fn log() -> String {
        let ip = [203, 0, 113, 9].into();
        let events = [
            (1_762_252_200_000, Event::new(EventKind::SignIn).user("0xAbC").ip(ip)),
            (
                1_762_255_800_000,
                Event::new(EventKind::OriginRefused).detail("https://evil\u{1b}[2J\u{202e}\u{9b}"),
            ),
            (1_762_255_860_000, Event::new(EventKind::RefreshReused).user("0xDEF").user_agent("x")),
        ];
        let mut chain = Chain::default();
        let line = |(time_ms, event)| {
            let (line, after) = chain.append(&Told::single(event, time_ms));
            chain = after;
            line
        };
        events.into_iter().map(line).collect()
    }

    fn shown(flags: &Audit, text: &str) -> (u64, String) {
        let (mut out, now) = (Vec::new(), "2025-11-04T11:31:30Z".parse().unwrap());
        let bad = flags.write(&mut text.as_bytes(), now, &mut out).unwrap();
        (bad, String::from_utf8(out).unwrap())
    }

    fn all() -> Audit {
        Audit { verb: None, file: None, since: None, user: None, level: None, json: false }
    }

    #[test]
    fn the_log_is_shown_in_words_and_nothing_in_it_reaches_the_terminal_raw() {
        let (bad, text) = shown(&all(), &log());
        let expected = "2025-11-04T10:30:00Z  info     sign_in             0xAbC  203.0.113.9\n\
            2025-11-04T11:30:00Z  warning  origin_refused      https://evil\\u{1b}[2J\\u{202e}\\u{9b}\n\
            2025-11-04T11:31:00Z  alert    refresh_reused      0xDEF  (x)\n";
        assert_eq!((bad, text.as_str()), (0, expected));
        assert_eq!(shown(&Audit { json: true, ..all() }, &log()), (0, log()), "lines as they are");
        assert_eq!(shown(&all(), &format!("{}no line\ncut off", log())).0, 2);
    }

    #[test]
    fn lines_are_chosen_by_time_user_and_level() {
        let count = |flags: Audit| shown(&flags, &log()).1.lines().count();
        assert_eq!(count(Audit { since: Some("2m".parse().unwrap()), ..all() }), 2);
        assert_eq!(count(Audit { since: Some("2025-11-04T11:31:00Z".parse().unwrap()), ..all() }), 1);
        assert_eq!(count(Audit { user: Some("0xabc".into()), ..all() }), 1);
        assert_eq!(count(Audit { level: Some(Level::Warning), ..all() }), 2);
    }
}
