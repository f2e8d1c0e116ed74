//! The shape of the crate: its folders form no circle, so that each can be read with those below it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Adds what the files below `path` name at the root of the crate.
fn read(path: &Path, named: &mut BTreeSet<String>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder of the crate");
        entries.for_each(|entry| read(&entry.expect("readable").path(), named));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = std::fs::read_to_string(path).expect("a file of the crate");
        for rest in text.split("crate::").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(!name.is_empty(), "{}: name one folder after each `crate::`", path.display());
            named.insert(name);
        }
    }
}

/// A circle among folders of which each names another of them.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut way = vec![uses.keys().next()?];
    loop {
        let next = uses[way[way.len() - 1]].iter().find(|name| uses.contains_key(*name))?;
        let met = way.iter().position(|folder| *folder == next);
        way.push(next);
        if let Some(start) = met {
            return Some(way[start..].iter().map(|folder| folder.as_str()).collect::<Vec<_>>().join(" → "));
        }
    }
}

#[test]
fn folders_form_no_circle() {
    let mut uses = BTreeMap::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("the crate") {
        let path = entry.expect("readable").path();
        let folder = path.file_stem().expect("a name").to_string_lossy().into_owned();
        // The root, the program and what only looks at the crate from outside.
        if !matches!(folder.as_str(), "lib" | "main" | "cli" | "tests") {
            read(&path, uses.entry(folder).or_default());
        }
    }
    assert!(uses.len() > 10, "{:?}", uses.keys());
    uses.iter_mut().for_each(|(folder, named)| {
        named.remove(folder);
    });
    while let Some(lowest) = uses.iter().find(|(_, named)| !named.iter().any(|name| uses.contains_key(name))) {
        let lowest = lowest.0.clone();
        uses.remove(&lowest);
    }
    assert_eq!(circle(&uses), None);
}
