//! Golden inputs from an `.npz` file: the arrays named as the model's inputs.
//!
//! Arrays must have the input's element type and shape; it deliberately converts nothing.

use anyhow::{Context as _, bail, ensure};
use flashmem_compiler::graph::Graph;
use flashmem_compiler::import::first_states;
use flashmem_plan_format::npy;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

/// Elements that an array of another shape than the input's may have, so that a message can say what does not fit.
const FEW_ELEMENTS: u64 = 1 << 20;

/// Little-endian bytes of every input, in port order: states, which no file gives, are zeros.
pub fn inputs(path: &Path, graph: &Graph) -> anyhow::Result<Vec<Vec<u8>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut archive = ZipArchive::new(BufReader::new(file)).with_context(|| path.display().to_string())?;
    let names: Vec<String> =
        archive.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned()).collect();
    let mut all = Vec::new();
    for port in graph.seen_inputs() {
        let described = || format!("{}: input `{}`", path.display(), port.name);
        let Some(index) = names.iter().position(|name| *name == port.name) else {
            bail!("{}: no such array; there are {names:?}", described());
        };
        let expected: Vec<u64> = graph.node(port.node).shape.iter().map(|size| *size as u64).collect();
        let most = expected.iter().product::<u64>().max(FEW_ELEMENTS);
        let entry = archive.by_index(index).with_context(described)?;
        let array = npy::read(entry, most).with_context(described)?;
        let (element, shape) = (array.element, &array.shape);
        ensure!(*shape == expected, "{}: has shape {shape:?}, expected {expected:?}", described());
        ensure!(element == port.element, "{}: has type {element:?}, expected {:?}", described(), port.element);
        all.push(array.bytes);
    }
    all.extend(first_states(graph));
    Ok(all)
}
