//! Golden files of tests, and the messages of errors as such files.
//!
//! [`examples!`](crate::examples) lists every variant of an enum with its message: one without an example does not compile.
//! `BLESS=1` rewrites a file; its diff shows the English. It deliberately knows no error.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Examples of every variant of an enum of errors, as text: a variant's name, and below it the message with its causes.
#[macro_export]
macro_rules! examples {
    ($enum:ident { $($variant:ident $({ $($field:ident: $value:expr),* $(,)? })? $(($($inner:expr),+))?;)* }) => {{
        fn all_are_here(error: &$enum) {
            match error {
                $($enum::$variant { .. } => {})*
            }
        }
        let examples = [$((
            concat!(stringify!($enum), "::", stringify!($variant)),
            $enum::$variant $({ $($field: $value),* })? $(($($inner),+))?,
        )),*];
        examples.map(|(name, error)| {
            all_are_here(&error);
            format!("{name}\n    {}\n", $crate::testing::messages::chain(&error).replace('\n', "\n    "))
        }).concat()
    }};
}

/// An error and its causes, as programs print them (`{:#}` of `anyhow`).
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Compares with a golden file; the first line that differs is in the message.
///
/// # Panics
/// When they differ, and where the file is to be rewritten and cannot be.
pub fn check(path: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("the file is in a folder")).expect("a writable folder");
        fs::write(path, found).expect("a writable file");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let lines = || found.lines().chain([""]).zip(committed.lines().chain([""]));
    let at = lines().position(|(found, committed)| found != committed);
    let (found_line, committed_line) = at.and_then(|at| lines().nth(at)).unwrap_or_default();
    assert!(
        found == committed,
        "{} differs in line {}; BLESS=1 rewrites it\nfound:     {found_line}\ncommitted: {committed_line}",
        path.display(),
        at.map_or(0, |at| at + 1)
    );
}
