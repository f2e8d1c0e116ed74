//! `flashmem-run`: runs a bundle on inputs from an `.npz` file, or measures bundles and machines.
//!
//! It parses arguments, moves arrays between files and a [`flashmem_runtime::Session`], and reports. Everything else is
//! the library's.

#[macro_use]
mod cli;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // First, so that everything after it is counted.
    let process = cli::ProcessClock::start();
    // Without signal handlers everything works but cleaning up after a signal.
    #[cfg(unix)]
    let _ = flashmem_plan_format::files::interrupt::handle_signals();
    // Exits with 2 for wrong usage, and with 0 for `--help` and `--version`.
    let arguments = cli::Arguments::parse();
    match cli::run(&arguments, process) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
