//! An error for people: what failed and why, each said once.
//!
//! Many messages already tell their cause, for callers that show one line; printing the chain of causes after them would say it
//! twice. Deliberately not here: which stream it goes to, and exit codes.

use std::error::Error;

/// The error with those of its causes that it does not tell itself.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string) {
        if cause.contains(&text) {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Told {
        message: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn nothing_is_said_twice() {
        let of = |innermost_first: &[&'static str]| {
            let around = |source, message: &&'static str| Some(Box::new(Told { message, source }));
            with_causes(&*innermost_first.iter().fold(None, around).expect("there is one"))
        };
        assert_eq!(
            of(&["no such file", "cannot open a: no such file", "cannot open a"]),
            "cannot open a: no such file"
        );
        assert_eq!(
            of(&["no such file", "tensor `w` is in b, which cannot be read"]),
            "tensor `w` is in b, which cannot be read: no such file"
        );
        assert_eq!(of(&["alone"]), "alone");
    }
}
