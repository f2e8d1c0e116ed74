//! Golden files of tests: what was found must be what is committed, and `BLESS=1` rewrites the file.

use std::fs;
use std::path::Path;

/// Compares with `tests/golden/NAME`; the first line that differs is in the message.
pub fn check(name: &str, found: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(Path::new(&path).parent().expect("the file is in a folder")).expect("a writable folder");
        fs::write(&path, found).expect("a writable file");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let lines = || found.lines().chain([""]).zip(committed.lines().chain([""]));
    let at = lines().position(|(found, committed)| found != committed);
    let (found_line, committed_line) = at.and_then(|at| lines().nth(at)).unwrap_or_default();
    assert!(
        found == committed,
        "tests/golden/{name} differs in line {}; BLESS=1 rewrites it\nfound:     {found_line}\ncommitted: {committed_line}",
        at.map_or(0, |at| at + 1)
    );
}
