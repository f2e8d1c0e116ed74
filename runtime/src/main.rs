//! `flashmem-run`: runs a bundle on inputs from an `.npz` file, or measures the machine.
//!
//! It parses arguments, moves arrays between files and a [`flashmem_runtime::Session`], and reports. Everything else is
//! the library's.

mod cli;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // First, so that everything after it is counted.
    let process = cli::ProcessClock::start();
    // Exits with 2 for wrong usage, and with 0 for `--help` and `--version`.
    let cli = cli::Cli::parse();
    let done = match &cli.task {
        Some(cli::Task::Profile(arguments)) => cli::profile(arguments),
        None => cli::run(&cli.run, process),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
