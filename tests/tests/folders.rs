//! The shape of the crates: the folders of each stand on one another and form no circle, and neither do their files, so that one can be
//! read with those below it.
//!
//! Every `crate::folder` in a file is an arrow from the file's folder to that one. Arrows of tests and documentation do not
//! count, and neither does what the crate's root gives out (`crate::Session`). A file of the root counts as a folder. An arrow
//! between files is a path that begins with `crate`, `super`, `self` or a module of the file's own, in a `use` or elsewhere: to the file
//! of the longest part of it that names a module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Crates by folder, and the parts of them that are another crate's or the root.
const CRATES: [(&str, &[&str]); 3] = [
    ("compiler/src", &["lib", "main", "cli"]),
    ("plan-format/src", &["lib", "tests", "testing"]),
    ("runtime/src", &["lib", "main", "cli"]),
];

/// Crates whose files form no circle.
const CRATES_OF_FILES: [&str; 3] = ["compiler/src", "plan-format/src", "runtime/src"];

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

/// A source without tests at its end and comments.
fn code_of(source: &str) -> String {
    let code = source.split("\nmod tests {").next().unwrap_or(source);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The parts that a source names by `crate::part`, in one path or in a group.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("\n#[cfg(test)]").next().unwrap_or(source).split("\n#[cfg(all(test").next().unwrap_or("");
    let code = code_of(code);
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

/// Takes away what stands on nothing and what nothing stands on, until only circles and what lies between them are left.
fn circles(mut arrows: Arrows) -> Arrows {
    loop {
        let targets: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        let on_nothing = |to: &BTreeSet<String>| to.iter().all(|to| !arrows.contains_key(to));
        let free = arrows.iter().filter(|(part, to)| on_nothing(to) || !targets.contains(*part));
        let free: Vec<_> = free.map(|(part, _)| part.clone()).collect();
        if free.is_empty() {
            let left: BTreeSet<String> = arrows.keys().cloned().collect();
            arrows.values_mut().for_each(|to| to.retain(|to| left.contains(to)));
            return arrows;
        }
        free.iter().for_each(|part| drop(arrows.remove(part)));
    }
}

/// The module of a file: the names of its folders and its own, that of `mod.rs` left out.
fn module_of(root: &Path, file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(root).expect("the file is in the crate").with_extension("");
    let names = inside.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| name != "mod").collect()
}

/// The word that a text begins with, and what follows.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len()))
}

/// All paths that `text` begins with, groups taken apart; what follows them.
fn paths<'t>(text: &'t str, before: &[String], found: &mut Vec<Vec<String>>) -> &'t str {
    let (name, mut rest) = word(text);
    let path = [before, &[name.to_owned()]].concat();
    let Some(after) = rest.strip_prefix("::") else {
        found.push(path);
        return rest;
    };
    let Some(group) = after.strip_prefix('{') else { return paths(after, &path, found) };
    rest = group.trim_start();
    while let Some(first) = rest.chars().next().filter(|c| *c != '}') {
        let item =
            if first.is_alphanumeric() || first == '_' { paths(rest, &path, found) } else { &rest[first.len_utf8()..] };
        rest = item.trim_start();
    }
    rest.get(1..).unwrap_or("")
}

/// A source whose items are public or not: who sees them is no arrow.
fn without_visibility(code: &str) -> String {
    let mut parts = code.split("pub(");
    let first = parts.next().unwrap_or("");
    let visible = |part: &str| part.split_once(')').map_or_else(String::new, |(_, after)| format!("pub{after}"));
    [first.to_owned()].into_iter().chain(parts.map(visible)).collect()
}

/// The modules that a file of `module` may mean by the paths of its source.
fn meant(module: &[String], source: &str, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let code = without_visibility(&code_of(source)).replace("r#", "");
    let mut found = BTreeSet::new();
    let mut rest = code.as_str();
    let mut inside = false;
    while let Some(first) = rest.chars().next() {
        if !(first.is_alphanumeric() || first == '_') {
            // What follows `a::` is part of a path already seen, and what follows `.` is a member.
            inside = rest.starts_with("::") || (first == ':' && inside) || first == '.';
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (name, after) = word(rest);
        let mut own = module.to_vec();
        own.push(name.to_owned());
        let relative = matches!(name, "crate" | "super" | "self") || modules.contains(&own);
        if inside || !relative || !after.starts_with("::") {
            (rest, inside) = (after, false);
            continue;
        }
        let mut list = Vec::new();
        rest = paths(rest, &[], &mut list);
        found.extend(list.into_iter().filter_map(|path| longest_module(module, &path, modules)));
    }
    found
}

/// The module that the longest part of a path names, seen from `module`.
fn longest_module(module: &[String], path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let mut at = module.to_vec();
    for (position, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" if position == 0 => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => at.push(name.clone()),
        }
    }
    while !at.is_empty() && !modules.contains(&at) {
        at.pop();
    }
    (!at.is_empty() && at != module).then_some(at)
}

fn arrows_of_files(root: &Path) -> Arrows {
    let is_code = |path: &PathBuf| {
        let inside = path.strip_prefix(root).expect("in the crate").to_string_lossy().into_owned();
        inside.ends_with(".rs") && !inside.contains("tests") && !["lib.rs", "main.rs", "testing.rs"].contains(&&*inside)
    };
    let sources: Vec<_> = files(root).into_iter().filter(is_code).collect();
    let modules: BTreeSet<Vec<String>> = sources.iter().map(|path| module_of(root, path)).collect();
    let of = |path: &PathBuf| {
        let source = std::fs::read_to_string(path).expect("the file is readable");
        let module = module_of(root, path);
        let others = meant(&module, &source, &modules).into_iter().map(|module| module.join("::"));
        (module.join("::"), others.collect())
    };
    sources.iter().map(of).collect()
}

#[test]
fn files_form_no_circle() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in CRATES_OF_FILES {
        let arrows = arrows_of_files(&tree.join(folder));
        assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > arrows.len(), "{folder}: {arrows:?}");
        assert_eq!(circles(arrows), Arrows::new(), "{folder}");
    }
}

#[test]
fn paths_lead_to_files() {
    let module = |path: &str| -> Vec<String> { path.split("::").map(str::to_owned).collect() };
    let modules: BTreeSet<_> = ["a", "a::b", "a::c", "d", "d::e"].map(module).into();
    let source = "use super::{c::{X, Y}, Z};\nuse crate::d::e::{self, F};\npub(in crate::d::e) fn f() { x.d::<u8>(); crate::a::g() }\n// crate::d";
    let found: Vec<String> = meant(&module("a::b"), source, &modules).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::c", "d::e"]);
    assert_eq!(meant(&module("a"), "pub use b::X;\nfn f() { c::g(std::b::h) }", &modules).len(), 2);
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
