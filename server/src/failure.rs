//! Errors that an operator meets: what is wrong, where, and what to do about it.

use std::fmt;

/// What went wrong before or while the gateway ran, with the exit code of the process.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// A stable name to search for, for example `TG-CFG-002`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub what: String,
    /// Where: a file and line, an environment variable, a flag.
    pub place: Option<String>,
    /// What to do.
    pub fix: String,
}

/// Exit codes of the binary. Usage errors (2) come from the argument parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something failed while running.
    Error = 1,
    /// The command line asks for something impossible.
    Usage = 2,
    /// The configuration is wrong.
    Configuration = 3,
    /// A server cannot be reached.
    Unreachable = 4,
    /// A server does not let us in.
    Authentication = 5,
    /// What was to be checked is not as it should be.
    CheckFailed = 7,
}

impl Failure {
    /// A failure of the configuration.
    pub fn configuration(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { exit: Exit::Configuration, code, what: what.into(), place: None, fix: fix.into() }
    }

    /// A failure of the surroundings: a file, a port.
    pub fn environment(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { exit: Exit::Error, code, what: what.into(), place: None, fix: fix.into() }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what.trim_end())?;
        if let Some(place) = &self.place {
            write!(f, "\n  --> {place}")?;
        }
        write!(f, "\n  fix: {}", self.fix)
    }
}

impl std::error::Error for Failure {}
