//! What signals do to the programs: they end with nothing left behind, and a file that grows too large is an error.
//!
//! A signal that asks the process to end (`SIGINT`, `SIGTERM`, `SIGHUP`) removes its partial files and then ends it as that
//! signal does by itself, so that shells see 130, 143 and 129. A signal that whoever started the process ignores stays ignored:
//! `nohup` and jobs in the background rely on it. `SIGXFSZ` (`ulimit -f`) does nothing, so that the write that was too large fails.
//! This is for programs: a library must not decide what signals do.

use super::partial;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::ffi::c_int;
use std::io;

/// Handles signals from now on, on a thread of its own. To be called once, first of all.
///
/// # Errors
/// Those of the system; the signals that could not be handled then do what they do by themselves.
pub fn handle_signals() -> io::Result<()> {
    let heeded = [SIGINT, SIGTERM, SIGHUP, SIGXFSZ].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(heeded)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever().filter(|signal| *signal != SIGXFSZ) {
            let _nothing_new = partial::remove_all();
            // Does not return: the signals that end a process are among those that it knows.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

fn is_ignored(signal: c_int) -> bool {
    let mut current = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing changes; the current one is written to the place given, which is large enough.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), current.as_mut_ptr()) };
    // SAFETY: it was written, since the call succeeded.
    asked == 0 && unsafe { current.assume_init() }.sa_sigaction == libc::SIG_IGN
}
