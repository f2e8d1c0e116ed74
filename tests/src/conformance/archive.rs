//! Where node tests come from: the committed archive, or a folder that onnx writes.
//!
//! Both hold `NAME/model.onnx` and `NAME/test_data_set_0/{input,output}_N.pb`. In the archive, equal files are hard links. It
//! deliberately decodes nothing.

use anyhow::{Context as _, bail, ensure};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One test, undecoded.
#[derive(Debug, Clone, Default)]
pub struct NodeTest {
    /// Name of its folder.
    pub name: String,
    /// The model.
    pub model: Arc<Vec<u8>>,
    /// For the test of a function's expansion, the model of the test of the operator itself.
    pub base: Option<Arc<Vec<u8>>>,
    /// Values of the graph inputs, in order.
    pub inputs: Vec<Arc<Vec<u8>>>,
    /// Expected outputs, in order.
    pub outputs: Vec<Arc<Vec<u8>>>,
}

type Files = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// All tests of a folder or of a `.tar.gz`, in name order.
pub fn read(path: &Path) -> anyhow::Result<Vec<NodeTest>> {
    let files = if path.is_dir() { folder(path) } else { packed(path) };
    let files = files.with_context(|| path.display().to_string())?;
    let mut tests: BTreeMap<String, NodeTest> = BTreeMap::new();
    // Paths are sorted by component, and numbers have one digit or are put in place by it.
    for (file, bytes) in files {
        let parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let Some(name) = parts.first() else { continue };
        let test = tests.entry(name.clone()).or_insert_with(|| NodeTest { name: name.clone(), ..NodeTest::default() });
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [_, "model.onnx"] => test.model = bytes,
            [_, "test_data_set_0", data] => place(test, data, bytes)?,
            _ => bail!("{}: not a file of a node test", file.display()),
        }
    }
    ensure!(!tests.is_empty(), "{} holds no node tests", path.display());
    let models: BTreeMap<String, Arc<Vec<u8>>> =
        tests.iter().map(|(name, test)| (name.clone(), Arc::clone(&test.model))).collect();
    for test in tests.values_mut() {
        let base = test.name.split_once("_expanded").and_then(|(base, _)| models.get(base));
        test.base = base.cloned();
    }
    Ok(tests.into_values().collect())
}

fn place(test: &mut NodeTest, file: &str, bytes: Arc<Vec<u8>>) -> anyhow::Result<()> {
    let stem = file.strip_suffix(".pb").with_context(|| file.to_owned())?;
    let (list, number) = match (stem.strip_prefix("input_"), stem.strip_prefix("output_")) {
        (Some(number), _) => (&mut test.inputs, number),
        (_, Some(number)) => (&mut test.outputs, number),
        (None, None) => bail!("{}: neither an input nor an output: {file}", test.name),
    };
    let number: usize = number.parse()?;
    ensure!(number < 1000, "{}: {file}", test.name);
    if list.len() <= number {
        list.resize_with(number + 1, Arc::default);
    }
    list[number] = bytes;
    Ok(())
}

fn folder(root: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(root)?.to_owned(), Arc::new(std::fs::read(&path)?));
            }
        }
    }
    Ok(files)
}

fn packed(path: &Path) -> anyhow::Result<Files> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(path)?));
    let mut files = Files::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let bytes = match entry.link_name()? {
            Some(target) => Arc::clone(files.get(&*target).with_context(|| target.display().to_string())?),
            None => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Arc::new(bytes)
            }
        };
        files.insert(name, bytes);
    }
    Ok(files)
}
