//! The TypeScript types of the protocol, written by the protocol crate's own tests.

use anyhow::Result;

use crate::shell::{self, cargo};

/// Flags of `cargo xtask bindings`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only compare, and fail when the committed files differ
    #[arg(long)]
    check: bool,
}

/// Writes `npm/src/generated`, or compares it with what would be written.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut command = cargo(["test", "--quiet", "--package", "tidegate-protocol", "--lib", "bindings::"]);
    if !arguments.check {
        command.env("TIDEGATE_WRITE_BINDINGS", "1");
    }
    shell::run(&mut command)
}
