//! Tests of import: every model of the repository, and every error.

use super::{Dim, ImportError, ImportOptions, UnsupportedOp, golden_inputs, import, reference};
use std::path::{Path, PathBuf};
use tract_onnx::prelude::Framework;

fn models(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(folder);
    let Ok(entries) = std::fs::read_dir(root) else {
        return vec![];
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths
}

/// Sizes for the symbolic dimensions of the repository's models.
fn options_for(path: &Path) -> ImportOptions {
    let mut options = ImportOptions::default();
    while let Err(ImportError::SymbolicDimension { symbol, .. }) = super::model::read(path, &options, false) {
        options.dims.push((symbol, 2));
    }
    options
}

fn declared_shapes(path: &Path) -> Vec<Option<Vec<usize>>> {
    use tract_onnx::pb::{tensor_shape_proto::dimension::Value, type_proto};
    let proto = tract_onnx::onnx().proto_model_for_path(path).unwrap();
    let outputs = proto.graph.unwrap().output;
    outputs
        .into_iter()
        .map(|output| {
            let type_proto::Value::TensorType(tensor) = output.r#type?.value?;
            let dims = tensor.shape?.dim.into_iter();
            dims.map(|d| match d.value {
                Some(Value::DimValue(v)) => usize::try_from(v).ok(),
                _ => None,
            })
            .collect()
        })
        .collect()
}

#[test]
fn import_reads_every_model_of_the_repository() {
    let mut failures = Vec::new();
    let mut count = 0;
    for path in models("ops").into_iter().chain(models("tiny")) {
        count += 1;
        let imported = match import(&path, &options_for(&path)) {
            Ok(imported) => imported,
            Err(error) => {
                failures.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        for (port, declared) in imported.graph.outputs.iter().zip(declared_shapes(&path)) {
            let ours = &imported.graph.node(port.node).shape;
            if declared.as_ref().is_some_and(|d| d != ours) {
                failures.push(format!("{}: output {} is {ours:?}, not {declared:?}", path.display(), port.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} models fail:\n{}", failures.len(), failures.join("\n"));
}
