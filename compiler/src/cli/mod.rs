//! The command-line program: arguments in, exit code out.
//!
//! Exit codes: 0 done, 1 the input or the plan is at fault, 2 wrong usage. It deliberately computes nothing that the
//! library does not offer.

#[macro_use]
mod output;
pub mod args;
mod entries;
mod error;
mod explain;
mod inspect;
mod inspect_linked;
mod link;
mod npz;
mod ops;
mod parse;
mod plan_args;
pub mod run;
mod sweep;

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

fn progress_bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg:10} {wide_bar} {bytes}/{total_bytes}")
        .expect("a constant template is valid");
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
