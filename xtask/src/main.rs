//! The one way to do things in this workspace: `cargo xtask --help`.

mod autobahn;
mod bindings;
mod chromium;
mod dashboard;
mod demo;
mod fuzz;
mod long;
mod nginx;
mod npm;
mod packages;
mod pictures;
mod sdk;
mod shell;
mod test;
mod toolchain;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, test and demo commands of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds what is missing, runs the gateway with its dashboard, and prints the address to open.
    Demo(demo::Arguments),
    /// Checks, builds and tests everything, in a real browser too; installs what that needs.
    Test(test::Arguments),
    /// Builds the browser SDK: the wasm module, its glue, the npm package, and the size report.
    Wasm(wasm::Arguments),
    /// Builds the dashboard, if its sources or the package changed.
    Dashboard,
    /// Writes the TypeScript types of the protocol.
    Bindings(bindings::Arguments),
    /// Draws the pictures of docs/strategies.md from what the strategies say.
    Pictures,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Wasm(arguments) => wasm::run(&arguments),
        Command::Dashboard => dashboard::run(),
        Command::Pictures => pictures::run(),
        Command::Bindings(arguments) => bindings::run(&arguments),
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
