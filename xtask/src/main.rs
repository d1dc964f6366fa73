//! The one way to do things in this workspace: `cargo xtask --help`.

mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, test and demo commands of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the browser SDK: the wasm module, its glue, the npm package, and the size report.
    Wasm(wasm::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Wasm(arguments) => wasm::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, without a backtrace: what failed is a command, not this program.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
