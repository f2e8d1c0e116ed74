//! Real models: what the interpreter computes before and after optimisation is what the reference runtime computed.
//!
//! Models lie in the repository's folders, and in those that the variable `FLASHMEM_MODELS` lists, separated by colons: each
//! an ONNX file beside an npz of its inputs and outputs by name. `FLASHMEM_PRINT=1` prints what was recovered.

use super::{difference, operators};
use crate::graph::Graph;
use crate::graph::constant::Dtype;
use crate::graph::interpret::interpret;
use crate::import::{ImportError, ImportOptions, OpenSize, import};
use crate::optimize::optimize;
use crate::optimize::pass::OptimizeOptions;
use flashmem_plan_format::plan::ElementType;
use ndarray_npy::{NpzReader, ReadNpzError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every model with a reference.
fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    let listed = std::env::var("FLASHMEM_MODELS").unwrap_or_default();
    let listed = listed.split(':').filter(|f| !f.is_empty()).map(PathBuf::from);
    let mut paths: Vec<PathBuf> = [root.join("ops"), root.join("tiny")]
        .into_iter()
        .chain(listed)
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "onnx") && path.with_extension("npz").exists())
        .collect();
    let refused = include_str!("../../../../tests/models/ops/refused.txt");
    paths.retain(|path| {
        let name = path.file_stem().expect("a file").to_string_lossy();
        !refused.lines().any(|line| line.starts_with(&format!("{name}:")))
    });
    paths.sort();
    paths
}

/// The words of an array of any element type.
fn words(npz: &mut NpzReader<std::fs::File>, name: &str) -> Option<Vec<u32>> {
    fn get<T: ndarray_npy::ReadableElement>(
        npz: &mut NpzReader<std::fs::File>,
        name: &str,
        word: impl Fn(&T) -> u32,
    ) -> Result<Vec<u32>, ReadNpzError> {
        let array: ndarray::ArrayD<T> = npz.by_name(name)?;
        Ok(array.iter().map(word).collect())
    }
    get(npz, name, |v: &f32| v.to_bits())
        .or_else(|_| get(npz, name, |v: &i64| *v as i32 as u32))
        .or_else(|_| get(npz, name, |v: &i32| *v as u32))
        .or_else(|_| get(npz, name, |v: &bool| u32::from(*v)))
        .or_else(|_| get(npz, name, |v: &u8| u32::from(*v)))
        .or_else(|_| get(npz, name, |v: &i8| i32::from(*v) as u32))
        .ok()
}

/// The imported graph, with the first size for its symbolic dimensions that fits the reference inputs.
pub(super) fn imported(path: &Path) -> Result<Graph, ImportError> {
    let mut options = ImportOptions::default();
    loop {
        match import(path, &options) {
            Err(ImportError::OpenSizes(open)) => options.dims.extend(open.into_iter().map(|size| match size {
                OpenSize::Symbol { symbol, .. } => (symbol, 1),
                OpenSize::Shape { .. } => unreachable!("the models name their dimensions"),
            })),
            Err(error) => return Err(error),
            Ok(imported) if options.dims.is_empty() || fits(path, &imported.graph) || options.dims[0].1 > 16 => {
                return Ok(imported.graph);
            }
            Ok(_) => options.dims.iter_mut().for_each(|(_, size)| *size += 1),
        }
    }
}

/// Whether the reference inputs have as many elements as the graph's.
fn fits(path: &Path, graph: &Graph) -> bool {
    let file = std::fs::File::open(path.with_extension("npz")).expect("models without a reference are left out");
    let mut npz = NpzReader::new(file).expect("references are npz files");
    graph.inputs.iter().all(|port| {
        let elements: usize = graph.node(port.node).shape.iter().product();
        words(&mut npz, &port.name).is_some_and(|w| w.len() == elements)
    })
}

/// Compares outputs with the reference; the largest relative difference.
fn error(graph: &Graph, expected: &[Vec<u32>], found: &[Vec<u32>]) -> f32 {
    let mut worst = 0.0_f32;
    for ((port, expected), found) in graph.outputs.iter().zip(expected).zip(found) {
        let d = match graph.node(port.node).dtype {
            Dtype::F32 => difference(std::slice::from_ref(expected), std::slice::from_ref(found)),
            Dtype::I32 | Dtype::Bool => f32::from(u8::from(expected != found)),
        };
        worst = worst.max(d);
    }
    worst
}

/// What is wrong with a model; what was recovered goes to the standard output.
fn judge(path: &Path) -> Result<(), String> {
    let before = imported(path).map_err(|e| e.to_string())?;
    let mut after = before.clone();
    let report = optimize(&mut after, &OptimizeOptions::default()).map_err(|e| e.to_string())?;
    if std::env::var_os("FLASHMEM_PRINT").is_some() {
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        operators(&after).into_iter().for_each(|name| *left.entry(name).or_default() += 1);
        println!("{}: {report:?} {} -> {left:?}", path.display(), operators(&before).len());
        if std::env::var("FLASHMEM_PRINT").is_ok_and(|v| path.ends_with(format!("{v}.onnx"))) {
            println!("{}", super::dump(&after));
        }
    }
    let file = std::fs::File::open(path.with_extension("npz")).map_err(|e| e.to_string())?;
    let mut npz = NpzReader::new(file).map_err(|e| e.to_string())?;
    let mut read = |name: &String| words(&mut npz, name).ok_or_else(|| format!("no array `{name}`"));
    if before.inputs.iter().chain(&before.outputs).any(|p| p.element == ElementType::F16) {
        // The reader of npz files knows no f16.
        return Ok(());
    }
    // What the reference rounds to f16 on the way, the interpreter keeps in f32.
    let rounds = path.file_stem().is_some_and(|name| name.to_string_lossy().contains("f16"));
    let tolerance = if rounds { 1e-3 } else { 1e-4 };
    let names = |ports: &[crate::graph::GraphPort]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let inputs = names(&before.inputs).iter().map(&mut read).collect::<Result<Vec<_>, _>>()?;
    let expected = names(&before.outputs).iter().map(&mut read).collect::<Result<Vec<_>, _>>()?;
    // Steps of a norm that are f32 each overflow or cancel where the operator that optimisation makes of them does not.
    let spelled_out = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("recovered_norms"));
    let stages = [("import", &before), ("optimisation", &after)];
    for (stage, graph) in stages.into_iter().skip(usize::from(spelled_out)) {
        let d = error(graph, &expected, &interpret(graph, &inputs));
        if d > tolerance {
            return Err(format!("after {stage} the outputs differ by {d}"));
        }
    }
    Ok(())
}

#[test]
fn models_compute_what_the_reference_computed() {
    let paths = models();
    let failures: Vec<String> =
        paths.iter().filter_map(|p| judge(p).err().map(|e| format!("{}: {e}", p.display()))).collect();
    assert!(failures.is_empty(), "{} of {} models fail:\n{}", failures.len(), paths.len(), failures.join("\n"));
}

#[test]
fn optimisation_is_deterministic() {
    for path in models().into_iter().take(20) {
        let Ok(graph) = imported(&path) else { continue };
        let texts = [0, 1].map(|_| {
            let mut graph = graph.clone();
            optimize(&mut graph, &OptimizeOptions::default()).expect("optimisation succeeds");
            super::dump(&graph)
        });
        assert_eq!(texts[0], texts[1], "{}", path.display());
    }
}
