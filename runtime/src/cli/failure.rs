//! An error for people: what failed and why, each said once.
//!
//! Many messages of the library already tell their cause, for callers that show one line.

/// The error with those of its causes that it does not tell itself.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
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
    use super::told;
    use anyhow::anyhow;

    #[test]
    fn nothing_is_said_twice() {
        let of = |messages: &[&'static str]| {
            let (first, rest) = messages.split_first().unwrap();
            told(&rest.iter().fold(anyhow!(*first), |error, outer| error.context(*outer)))
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
