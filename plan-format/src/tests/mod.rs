//! Tests of the crate as a whole.

mod corruption;
#[cfg(unix)]
mod files;
mod fuzz;
mod hostile;
mod linked;
mod messages;
mod mutations;
mod property;
mod replay_rules;
mod round_trip;
mod static_rules;
mod writer;

/// Lists the variants of an enum as `KINDS` and names a value's variant by `kind`; a variant that is missing here does
/// not compile.
macro_rules! kinds {
    ($type:ident: $($variant:ident),* $(,)?) => {
        const KINDS: &[&str] = &[$(stringify!($variant)),*];
        fn kind(violation: &$type) -> &'static str {
            match violation {
                $($type::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}
use kinds;
