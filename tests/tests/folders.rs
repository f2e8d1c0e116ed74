//! The shape of the crates: the folders of each stand on one another and form no circle, so that one can be read with those below it.
//!
//! Every `crate::folder` in a file is an arrow from the file's folder to that one. Arrows of tests and documentation do not
//! count, and neither does what the crate's root gives out (`crate::Session`). A file of the root counts as a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Crates by folder, and the parts of them that are another crate's or the root.
const CRATES: [(&str, &[&str]); 3] = [
    ("compiler/src", &["lib", "main", "cli"]),
    ("plan-format/src", &["lib", "tests", "testing"]),
    ("runtime/src", &["lib", "main", "cli"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is readable");
    let paths = entries.map(|entry| entry.expect("the entry is readable").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The name of the part that a file belongs to: its first folder, or the file's own name.
fn part_of(root: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(root).expect("the file is in the crate");
    let first = inside.components().next().expect("it has a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The parts that a source names by `crate::part`, in one path or in a group.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("\n#[cfg(test)]").next().unwrap_or(source).split("\n#[cfg(all(test").next().unwrap_or("");
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let parts = match after.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or(group).split(',').collect(),
            None => vec![after],
        };
        for part in parts {
            let end = |c: char| !(c.is_alphanumeric() || c == '_');
            found.insert(part.trim().split(end).next().unwrap_or("").to_owned());
        }
    }
    found
}

fn arrows(root: &Path, left_out: &[&str]) -> Arrows {
    let sources = files(root).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<_> = sources.map(|path| (part_of(root, &path), path)).collect();
    let parts: BTreeSet<_> = sources.iter().map(|(part, _)| part.clone()).collect();
    let mut arrows = Arrows::new();
    for (part, path) in sources.into_iter().filter(|(part, _)| !left_out.contains(&part.as_str())) {
        let source = std::fs::read_to_string(&path).expect("the file is readable");
        let others = named(&source).into_iter().filter(|name| parts.contains(name) && *name != part);
        arrows.entry(part.clone()).or_default().extend(others);
    }
    arrows
}

/// Takes away what stands on nothing, until only circles and what stands on them are left.
fn circles(mut arrows: Arrows) -> Arrows {
    loop {
        let free: Vec<_> = arrows
            .iter()
            .filter(|(_, to)| to.iter().all(|to| !arrows.contains_key(to)))
            .map(|(p, _)| p.clone())
            .collect();
        if free.is_empty() {
            return arrows;
        }
        free.iter().for_each(|part| drop(arrows.remove(part)));
    }
}

#[test]
fn folders_form_no_circle() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (folder, left_out) in CRATES {
        let arrows = arrows(&tree.join(folder), left_out);
        assert!(arrows.len() > 5, "{folder}: {arrows:?}");
        assert_eq!(circles(arrows), Arrows::new(), "{folder}");
    }
}

#[test]
fn a_circle_is_found() {
    assert_eq!(
        named(
            "use crate::a::{X, Y};\nuse crate::{b, c::Z};\n// crate::d\nfn f() { crate::e::g() }\n#[cfg(test)]\nuse crate::h;"
        ),
        ["a", "b", "c", "e"].map(str::to_owned).into()
    );
    let of = |list: &[(&str, &[&str])]| -> Arrows {
        list.iter().map(|(part, to)| ((*part).to_owned(), to.iter().map(|to| (*to).to_owned()).collect())).collect()
    };
    assert_eq!(circles(of(&[("a", &["b"]), ("b", &[]), ("c", &["a", "b"])])), Arrows::new());
    let circle = of(&[("a", &["b"]), ("b", &["a", "c"]), ("c", &[])]);
    assert_eq!(circles(circle).keys().collect::<Vec<_>>(), ["a", "b"]);
}
