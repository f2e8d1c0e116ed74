//! Standard output that may be closed at any time, as by `| head`.
//!
//! `print!` panics then. Whoever closed the pipe has read enough, so the program ends as if it were done; output that cannot be
//! written for another reason is an error. Messages on standard error that cannot be written are lost: the work goes on, and the
//! exit code says how it ended.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Writes to standard output, or ends the program.
pub fn write(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            message(format_args!("error: cannot write to standard output: {error}\n"));
            std::process::exit(1)
        }
    }
}

/// Writes to standard error, as far as it can be written.
pub fn message(text: Arguments<'_>) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

/// `print!` through [`write()`].
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::output::write(format_args!($($text)*)) };
}

/// `println!` through [`write()`].
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` that nobody needs to read: a message that cannot be written is lost, and nothing else.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::output::message(format_args!("{}\n", format_args!($($text)*))) };
}
