//! Troubles of a database in words for an operator: no SQL, no values, no tokens.

/// A database that does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("the database {place} cannot be opened: {problem}")]
    Open {
        /// A path, or a host and a name.
        place: String,
        /// What the system says.
        problem: String,
    },
    /// A newer program has changed it.
    #[error(
        "the database {place} has schema version {found} and this program knows only {known}: \
         run the newer program, or restore a backup from before the upgrade"
    )]
    Newer {
        /// A path, or a host and a name.
        place: String,
        /// The version of the database's schema.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It belongs to another program.
    #[error("the database {place} belongs to another program: name a file or database of its own")]
    Foreign {
        /// A path, or a host and a name.
        place: String,
    },
    /// What is in it makes no sense.
    #[error("the database is damaged or is none: stop the gateway and restore it from a backup")]
    Damaged,
    /// Somebody else holds it, or it is slow.
    #[error("the database did not answer in time: try again, and look for another program that holds it")]
    Busy,
    /// It takes no more.
    #[error("the database cannot be written: make room on its disk and look at its permissions")]
    ReadOnly,
    /// There is no connection to it.
    #[error("the database cannot be reached: look whether its server runs")]
    Unreachable,
    /// The store was closed.
    #[error("the store has stopped: restart the gateway")]
    Stopped,
    /// Anything else.
    #[error("the database refused an operation (code {code}): look into its log")]
    Refused {
        /// The database's own code.
        code: String,
    },
}
