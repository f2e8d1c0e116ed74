//! The committed table: one line a test.
//!
//! `NAME: pass` or `NAME: refused: REASON`. Failures have lines too, so that a regenerated table shows them, but a committed
//! table must have none.

use super::run::Verdict;

/// Text of the table.
pub fn text(verdicts: &[(String, Verdict)]) -> String {
    let mut text = String::from("# Made by tests/conformance/run.sh; the ONNX backend node tests of onnx 1.23.2.\n");
    text.push_str(&format!("# {}\n", summary(verdicts)));
    for (name, verdict) in verdicts {
        text.push_str(&format!("{name}: {verdict}\n"));
    }
    text
}

/// Counts in one line.
pub fn summary(verdicts: &[(String, Verdict)]) -> String {
    let count = |of: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, v)| of(v)).count();
    let passed = count(|v| matches!(v, Verdict::Pass));
    let refused = count(|v| matches!(v, Verdict::Refused(_)));
    let failed = verdicts.len() - passed - refused;
    format!("{} tests: {passed} pass, {refused} are refused, {failed} fail", verdicts.len())
}

/// Lines that differ between the committed table and the one found, expected first; comments are not compared.
pub fn differences(committed: &str, found: &str) -> Vec<String> {
    let lines = |text: &str| -> std::collections::BTreeMap<String, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    };
    let (committed, found) = (lines(committed), lines(found));
    let absent = "(absent)".to_owned();
    let names: std::collections::BTreeSet<&String> = committed.keys().chain(found.keys()).collect();
    let pair = |name: &String| (committed.get(name).unwrap_or(&absent), found.get(name).unwrap_or(&absent));
    names
        .into_iter()
        .filter(|name| pair(name).0 != pair(name).1)
        .map(|name| format!("{name}: the table says `{}`, found `{}`", pair(name).0, pair(name).1))
        .collect()
}
