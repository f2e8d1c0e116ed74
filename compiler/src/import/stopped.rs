//! Runs parts of tract so that checks that end them are errors, and tells its errors in one line.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use tract_onnx::prelude::TractError;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Characters of one cause that are shown: some hold whole models.
const CAUSE_CHARACTERS: usize = 300;

/// An error chain in one line, outermost first.
pub fn one_line(error: &TractError) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let mut text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = text.char_indices().nth(CAUSE_CHARACTERS) {
            text.truncate(end);
            text.push('…');
        }
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Runs a part of tract; `Err` is what a check of its own says that ended it, of which nothing is printed.
pub fn stopped<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(outer);
    outcome.map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.chars().take(CAUSE_CHARACTERS).collect()
    })
}
