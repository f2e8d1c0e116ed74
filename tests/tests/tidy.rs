//! Tidiness as tests: what a reader relies on, and nobody remembers to check.
//!
//! Looks at the text of the tree: headers, sizes, prose that names files, links, dependencies. It deliberately does not parse Rust; what
//! clippy and rustfmt can say is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, and of a function.
const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 100;
/// Columns of a line of Rust that holds no string and no row of a table in a comment.
const COLUMNS: usize = 140;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

/// Files of the tree with one of the endings, relative to the root, in order.
fn files(endings: &[&str]) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            let ignored = name == "target" || name.starts_with('.') && name != ".ci" || name == "corpus";
            if path.is_dir() && !ignored {
                walk(&path, found);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    let relative = |path: &PathBuf| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let mut names: Vec<String> = found.iter().map(relative).collect();
    names.retain(|name| endings.iter().any(|ending| name.ends_with(ending)));
    names.sort();
    names
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Fails with all of the complaints.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let mut complaints = Vec::new();
    for name in files(&[".rs"]) {
        if !read(&name).starts_with("//! ") {
            complaints.push(format!("{name} does not begin with `//! `"));
        }
    }
    for name in files(&[".wgsl"]) {
        let stem = Path::new(&name).file_name().expect("a file").to_string_lossy().into_owned();
        if !name.contains("/golden/") && !read(&name).starts_with(&format!("// {stem} -- ")) {
            complaints.push(format!("{name} does not begin with `// {stem} -- `"));
        }
    }
    none(&complaints);
}

#[test]
fn files_functions_and_lines_have_a_size_to_read() {
    let mut complaints = Vec::new();
    for name in files(&[".rs"]) {
        let text = read(&name);
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES {
            complaints.push(format!("{name} has {} lines", lines.len()));
        }
        for (number, line) in lines.iter().enumerate() {
            if line.chars().count() > COLUMNS && !line.contains('"') && !is_table(line) {
                complaints.push(format!("{name}:{} has {} columns", number + 1, line.chars().count()));
            }
        }
        complaints.extend(
            long_functions(&lines)
                .into_iter()
                .map(|(number, size)| format!("{name}:{number}: a function of {size} lines")),
        );
    }
    none(&complaints);
}

/// Whether a comment's line is the row of a table, which cannot be broken, or text between quotation marks of several lines.
fn is_table(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("/// |") || line.starts_with("//! |") || !line.starts_with("//")
}

/// First lines and sizes of functions that are too long; a function ends with the brace that stands under its first line.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let starts = |line: &str| {
        let line = line.trim_start();
        [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
            "const fn ",
            "pub const fn ",
        ]
        .iter()
        .any(|head| line.starts_with(head))
    };
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate().filter(|(_, line)| starts(line)) {
        let ends = |end: &&str| end.trim_start().starts_with('}') && indent(end) == indent(line);
        let size = lines[first..].iter().position(ends).unwrap_or(0) + 1;
        if size > FUNCTION_LINES {
            found.push((first + 1, size));
        }
    }
    found
}

#[test]
fn prose_names_files_that_exist() {
    let tree = files(&[""]);
    let exists = |name: &str| tree.iter().any(|file| file == name || file.ends_with(&format!("/{name}")));
    let mut complaints = Vec::new();
    for file in files(&[".rs", ".md", ".wgsl"]) {
        if file == "CHANGELOG.md" || file.starts_with("docs/measurements/") {
            continue; // The past names what was.
        }
        for (number, line) in read(&file).lines().enumerate() {
            let prose = if file.ends_with(".md") { Some(line) } else { line.split_once("//").map(|(_, prose)| prose) };
            for name in prose.into_iter().flat_map(quoted).filter(|name| is_source(name)) {
                if !exists(name) {
                    complaints.push(format!("{file}:{}: there is no `{name}`", number + 1));
                }
            }
        }
    }
    none(&complaints);
}

/// What stands between single backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a quotation is the path of a source file, and no pattern.
fn is_source(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    [".rs", ".wgsl", ".md", ".sh", ".py"].iter().any(|ending| name.ends_with(ending) && name.len() > ending.len())
        && name.chars().all(plain)
        && !name.starts_with('.')
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for file in files(&[".md"]) {
        let folder = Path::new(&file).parent().expect("a file has a folder").to_owned();
        for target in read(&file).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { PathBuf::from(&file) } else { folder.join(path) };
            let found = root().join(&path);
            if !found.exists() {
                complaints.push(format!("{file}: {target} does not exist"));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(found).unwrap_or_default()).contains(anchor) {
                complaints.push(format!("{file}: {target} has no such heading"));
            }
        }
    }
    none(&complaints);
}

/// Headings as GitHub names them.
fn anchors(text: &str) -> BTreeSet<String> {
    let name = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(|line| name(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_dependency_is_used() {
    let mut complaints = Vec::new();
    for manifest in files(&["Cargo.toml"]).into_iter().filter(|name| name != "Cargo.toml" && !name.starts_with("fuzz"))
    {
        let folder = manifest.trim_end_matches("Cargo.toml").to_owned();
        let sources: String =
            files(&[".rs"]).iter().filter(|name| name.starts_with(&folder)).map(|name| read(name)).collect();
        for dependency in dependencies(&read(&manifest)) {
            let path = dependency.replace('-', "_");
            let used =
                [format!("{path}::"), format!("use {path}"), format!("{path} as "), format!("extern crate {path}")];
            if !used.iter().any(|form| sources.contains(form.as_str())) {
                complaints.push(format!("{manifest}: nothing uses {dependency}"));
            }
        }
    }
    none(&complaints);
}

/// Names of the dependencies of a manifest, those for some targets and for tests included, but for those that only turn on features.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) && !line.ends_with("# for its features")
        {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
        }
    }
    names
}

#[test]
fn the_tree_names_no_place_of_one_machine() {
    let mut complaints = Vec::new();
    let places = ["home", "root", "Users"].map(|folder| format!("/{folder}/"));
    for file in files(&[".rs", ".md", ".wgsl", ".sh", ".py", ".toml", ".html", ".js"]) {
        for (number, line) in read(&file).lines().enumerate() {
            let place = places.iter().find(|place| line.contains(place.as_str()));
            if let Some(place) = place.filter(|_| file != "tests/tests/tidy.rs") {
                complaints.push(format!("{file}:{}: {place}", number + 1));
            }
            if (line.contains("TODO") || line.contains("FIXME")) && file != "tests/tests/tidy.rs" {
                complaints.push(format!("{file}:{}: left to do", number + 1));
            }
        }
    }
    none(&complaints);
}

/// What opens or moves a file for writing.
const WRITERS: [&str; 7] =
    ["fs::write(", "File::create", ".create(true)", "create_new(", "fs::rename(", "fs::copy(", ".write(true)"];

#[test]
fn files_are_written_in_one_place() {
    let programs = ["compiler/src/", "runtime/src/", "plan-format/src/"];
    let writes = |line: &str| WRITERS.iter().any(|writer| line.replace("OutputFile::create", "").contains(writer));
    let mut complaints = Vec::new();
    for name in files(&[".rs"]).into_iter().filter(|name| programs.iter().any(|folder| name.starts_with(folder))) {
        let is_test = name.contains("/tests") || name.contains("testing");
        if is_test || name.starts_with("plan-format/src/files/") {
            continue;
        }
        let text = read(&name);
        let code = ["#[cfg(test)]", "#[cfg(all(test"]
            .iter()
            .fold(text.as_str(), |code, tests| code.split(tests).next().unwrap_or(code));
        let found = code.lines().zip(1..).filter(|(line, _)| writes(line));
        complaints
            .extend(found.map(|(line, number)| format!("{name}:{number} goes past plan-format/src/files: {line}")));
    }
    none(&complaints);
}

#[test]
fn every_error_has_its_messages_shown() {
    let mut complaints = Vec::new();
    for folder in ["compiler/src/", "runtime/src/", "plan-format/src/"] {
        let (mut enums, mut shown) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
        for name in files(&[".rs"]).into_iter().filter(|name| name.starts_with(folder)) {
            let text = read(&name);
            for item in text.split("thiserror::Error)]\n").skip(1).filter_map(item_after_attributes) {
                if let Some((_, declared)) = item.split_once("enum ") {
                    *enums.entry(word(declared)).or_default() += 1;
                }
            }
            for example in text.split("examples!(").skip(1).map(word) {
                *shown.entry(example).or_default() += 1;
            }
        }
        assert!(!enums.is_empty(), "{folder}: errors are declared in another form");
        let missing = enums.iter().filter(|(name, count)| shown.get(*name).is_none_or(|shown| shown < count));
        complaints.extend(missing.map(|(name, _)| format!("{folder}: no `examples!` of the error `{name}`")));
    }
    none(&complaints);
}

/// The line that declares what attributes stand in front of.
fn item_after_attributes(text: &str) -> Option<&str> {
    text.lines().find(|line| line.contains("enum ") || line.contains("struct "))
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Documents that say by which test a promise is kept.
const PROMISES: [&str; 2] = ["docs/robustness.md", "docs/semantics.md"];

#[test]
fn tests_that_documents_name_exist() {
    let sources = files(&[".rs"]);
    let models: BTreeSet<String> = files(&[".onnx"]).iter().filter_map(|name| stem_of(name)).collect();
    let verdicts = read("tests/conformance/table.txt");
    let mut complaints = Vec::new();
    for document in PROMISES {
        for (number, line) in read(document).lines().enumerate() {
            // What `…` stands for: the file that was named last, or the beginning of the model's name.
            let (mut file, mut model) = (None, String::new());
            let cells: Vec<&str> = line.split(" | ").collect();
            // Outside of tables, what is spelled as a test.
            let is_row = line.starts_with('|');
            for name in
                cells.last().copied().into_iter().flat_map(quoted).filter(|name| is_row || name.contains(".rs::"))
            {
                let found = match name.split_once("::") {
                    Some((path, function)) => {
                        file = if path == "…" { file } else { source_of(&sources, path) };
                        file.is_some_and(|file: &String| has_function(&read(file), function))
                    }
                    None if name.ends_with(".rs") => {
                        file = source_of(&sources, name);
                        file.is_some()
                    }
                    None if name.starts_with("test_") => {
                        verdicts.lines().any(|verdict| verdict.starts_with(&format!("{name}:")))
                    }
                    None => is_model_or_function(&mut model, name, &models, file),
                };
                if !found {
                    complaints.push(format!("{document}:{}: there is no test `{name}`", number + 1));
                }
            }
        }
    }
    none(&complaints);
}

fn stem_of(name: &str) -> Option<String> {
    Some(Path::new(name).file_stem()?.to_string_lossy().into_owned())
}

/// The source that a path, or the end of one, names; a leading `…` stands for the rest.
fn source_of<'a>(sources: &'a [String], path: &str) -> Option<&'a String> {
    let end = format!("/{}", path.trim_start_matches("…/"));
    sources.iter().find(|file| *file == path || file.ends_with(&end))
}

fn has_function(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}("))
}

/// Whether a name is an operator model's, the beginning of some (`outside_…`), the last one's with another end (`…_weights`), or a
/// function of the file that was named before it, or of a test of operators.
fn is_model_or_function(last: &mut String, name: &str, models: &BTreeSet<String>, file: Option<&String>) -> bool {
    if let Some(end) = name.strip_prefix('…') {
        return models.iter().any(|model| model.ends_with(end) && last.starts_with(&model[..model.len() - end.len()]));
    }
    *last = name.to_owned();
    if let Some(start) = name.strip_suffix('…') {
        return models.iter().any(|model| model.starts_with(start));
    }
    let elsewhere = "tests/tests/operators.rs".to_owned();
    let interpreter = "compiler/src/graph/interpret/tests.rs".to_owned();
    models.contains(name)
        || [file, Some(&elsewhere), Some(&interpreter)]
            .into_iter()
            .flatten()
            .any(|file| has_function(&read(file), name))
}

/// Kernels that add nothing up, or a few terms that a formula names.
const WITHOUT_SUMS: [&str; 15] = [
    "append",
    "arg_reduce",
    "copy",
    "deformable_columns",
    "det",
    "functions",
    "gather",
    "grid_sample",
    "inverse",
    "max_roi_pool",
    "pad",
    "pointwise",
    "rotary",
    "top_k",
    "unpack",
];

#[test]
fn kernels_that_add_up_say_how_exact_they_are() {
    let sources = files(&[".wgsl"]);
    let kernels = sources.iter().filter(|name| name.starts_with("compiler/kernels/"));
    let header = |name: &String| -> Vec<String> {
        read(name).lines().take_while(|line| line.starts_with("//")).map(str::to_owned).collect()
    };
    // A body and what bodies share may have one name.
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in kernels.clone() {
        headers.entry(stem_of(name).expect("a file has a name")).or_default().extend(header(name));
    }
    let mut complaints = Vec::new();
    for name in kernels.filter(|name| !name.contains("/shared/")) {
        let stem = stem_of(name).expect("a file has a name");
        // The header itself, or one that it refers to.
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![stem.clone()]);
        while let Some(next) = waiting.pop().filter(|_| !WITHOUT_SUMS.contains(&stem.as_str())) {
            let Some(header) = headers.get(&next).filter(|_| seen.insert(next.clone())) else { continue };
            if header.iter().any(|line| line.starts_with("// Accuracy:")) {
                seen.clear();
                break;
            }
            let words = header.iter().flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || "_.".contains(c))));
            waiting.extend(words.filter_map(|word| Some(word.trim_end_matches('.').strip_suffix(".wgsl")?.to_owned())));
        }
        if !seen.is_empty() {
            complaints.push(format!("{name} does not say how exact its sums are"));
        }
    }
    none(&complaints);
}
