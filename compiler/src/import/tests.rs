//! Tests of import: every model of the repository, weights outside tract, external data, and every kind of error.

use super::kernel_op::STAND_IN;
use super::{Dim, ImportError, ImportOptions, OPERATORS, OpenSize, Support, golden_inputs, import, reference};
use crate::graph::op::Op;
use std::path::{Path, PathBuf};
use tract_onnx::pb::{tensor_shape_proto::dimension::Value, type_proto};
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

/// Gives every symbolic dimension of a model the size 2.
fn options_for(path: &Path) -> ImportOptions {
    let mut options = ImportOptions::default();
    if let Err(ImportError::OpenSizes(open)) =
        super::model::read(path, &options, false, &mut super::notes::Notes::default())
    {
        options.dims = open.iter().filter_map(symbol_of).map(|symbol| (symbol, 2)).collect();
    }
    options
}

fn symbol_of(open: &OpenSize) -> Option<String> {
    match open {
        OpenSize::Symbol { symbol, .. } => Some(symbol.clone()),
        OpenSize::Shape { .. } => None,
    }
}

#[test]
fn operators_that_are_accepted_are_rewritten_or_known_to_tract() {
    let known = tract_onnx::onnx().op_register.0;
    for operator in OPERATORS.iter().filter(|o| !matches!(o.support, Support::Refused(_))) {
        let taken = super::quantized::takes(operator.domain, operator.name);
        assert!(operator.rewrite.is_some() || taken || known.contains_key(operator.name), "{}", operator.name);
    }
    assert!(!known.contains_key(STAND_IN), "a stand-in is unknown to tract");
}

#[test]
fn the_data_of_large_integers_is_not_decoded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/ops/dequantised_not_at_all.onnx");
    let bytes = std::fs::read(path).unwrap();
    let skeleton = super::protobuf::skim(&bytes);
    let data: Vec<usize> = skeleton.integers.iter().map(|tensor| tensor.data.len()).collect();
    assert_eq!((data, skeleton.large.len()), (vec![400 * 48], 0));
    assert!(skeleton.bytes.len() + 400 * 48 <= bytes.len(), "{} bytes are left", skeleton.bytes.len());
}

fn declared_shapes(path: &Path) -> Vec<Option<Vec<usize>>> {
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
    let refused = include_str!("../../../tests/models/ops/refused.txt");
    for path in models("ops").into_iter().chain(models("tiny")) {
        let name = path.file_stem().unwrap().to_string_lossy();
        if refused.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            continue;
        }
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

// The models below are built by hand, field by field, so that the tests need no file and no exporter.

pub(super) fn field(number: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = contents.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(contents);
    bytes
}

pub(super) fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

pub(super) fn info(name: &str, dims: &[Vec<u8>]) -> Vec<u8> {
    let shape: Vec<u8> = dims.iter().flat_map(|d| field(1, d)).collect();
    let tensor = [number(1, 1), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

pub(super) fn fixed(size: u8) -> Vec<u8> {
    number(1, size)
}

fn symbol(name: &str) -> Vec<u8> {
    field(2, name.as_bytes())
}

pub(super) fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    [inputs, field(2, output.as_bytes()), field(3, name.as_bytes()), field(4, op.as_bytes())].concat()
}

pub(super) fn model(nodes: &[Vec<u8>], initialisers: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<u8> {
    let all = |tag: u8, parts: &[Vec<u8>]| parts.iter().flat_map(|p| field(tag, p)).collect::<Vec<u8>>();
    let graph = [all(1, nodes), field(2, b"g"), all(5, initialisers), all(11, inputs), all(12, outputs)].concat();
    [number(1, 8), field(7, &graph), field(8, &[field(1, b""), number(2, 17)].concat())].concat()
}

/// A 64 × 64 weight, w[i][j] = (64 i + j) / 4096, with the given fields for its data.
fn weight(data: &[u8]) -> Vec<u8> {
    [number(1, 64), number(1, 64), number(2, 1), field(8, b"w"), data.to_vec()].concat()
}

fn weight_bytes() -> Vec<u8> {
    (0..64 * 64).flat_map(|i| (i as f32 / 4096.0).to_le_bytes()).collect()
}

fn external(location: &str, offset: &str, length: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    [entry("location", location), entry("offset", offset), entry("length", length), number(14, 1)].concat()
}

fn matmul(initialiser: &[u8]) -> Vec<u8> {
    let nodes = [node("MatMul", "product", &["x", "w"], "y")];
    model(&nodes, &[initialiser.to_vec()], &[info("x", &[fixed(3), fixed(64)])], &[info("y", &[])])
}

pub(super) fn write(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn error_of(bytes: &[u8], options: &ImportOptions) -> ImportError {
    let directory = tempfile::tempdir().unwrap();
    import(&write(directory.path(), bytes), options).expect_err("the model is refused")
}

fn weight_of(path: &Path) -> Vec<u8> {
    let imported = import(path, &ImportOptions::default()).unwrap();
    let graph = &imported.graph;
    let constants: Vec<_> = graph.node_ids().into_iter().filter_map(|id| graph.constant(id)).collect();
    assert_eq!(constants.len(), 1);
    assert!(graph.node_ids().iter().any(|id| matches!(graph.node(*id).op, Op::Einsum { .. })));
    constants[0].dense_bytes().expect("it is dense").to_vec()
}

#[test]
fn large_weights_are_found_in_the_file_and_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let inline = write(directory.path(), &matmul(&weight(&field(9, &weight_bytes()))));
    assert_eq!(weight_of(&inline), weight_bytes());
    let packed = write(directory.path(), &matmul(&weight(&field(4, &weight_bytes()))));
    assert_eq!(weight_of(&packed), weight_bytes());
    std::fs::write(directory.path().join("w.bin"), [vec![7; 100], weight_bytes(), vec![9; 50]].concat()).unwrap();
    let location = field(13, &[field(1, b"location"), field(2, b"w.bin")].concat());
    let offset = field(13, &[field(1, b"offset"), field(2, b"100")].concat());
    let no_length = write(directory.path(), &matmul(&weight(&[location, offset, number(14, 1)].concat())));
    assert_eq!(weight_of(&no_length), weight_bytes());
    let outside = write(directory.path(), &matmul(&weight(&external("w.bin", "100", "16384"))));
    assert_eq!(weight_of(&outside), weight_bytes());
}

#[test]
fn the_hash_covers_external_data() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = matmul(&weight(&external("w.bin", "0", "16384")));
    let hash_with = |data: Vec<u8>| {
        std::fs::write(directory.path().join("w.bin"), &data).unwrap();
        let imported = import(&write(directory.path(), &bytes), &ImportOptions::default()).unwrap();
        assert_eq!(imported.model_hash, blake3::hash(&[bytes.clone(), data].concat()).to_hex().to_string());
        imported.model_hash
    };
    assert_ne!(hash_with(weight_bytes()), hash_with(vec![0; 64 * 64 * 4]));
}

#[test]
fn bad_external_data_is_refused() {
    let options = ImportOptions::default();
    for location in ["../w.bin", "/etc/passwd", "a/../../w.bin", ""] {
        let error = error_of(&matmul(&weight(&external(location, "0", "16384"))), &options);
        assert!(matches!(error, ImportError::ExternalEscape { .. }), "{location}: {error}");
    }
    let missing = error_of(&matmul(&weight(&external("absent.bin", "0", "16384"))), &options);
    assert!(matches!(missing, ImportError::ExternalMissing { .. }), "{missing}");
    let entry = error_of(&matmul(&weight(&external("w.bin", "zero", "16384"))), &options);
    assert!(matches!(entry, ImportError::ExternalMissing { .. } | ImportError::ExternalEntry { .. }), "{entry}");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("w.bin"), [0; 20_000]).unwrap();
    let path = write(directory.path(), &matmul(&weight(&external("w.bin", "4000", "16384"))));
    let short = import(&path, &options).unwrap_err().to_string();
    assert!(short.contains("bytes 4000..20384") && short.contains("which has 20000"), "{short}");
    let path = write(directory.path(), &matmul(&weight(&external("w.bin", "0", "16388"))));
    assert!(matches!(import(&path, &options), Err(ImportError::TensorBytes { expected: 16384, found: 16388, .. })));
}

#[test]
fn the_reference_runs_the_original_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), &matmul(&weight(&field(9, &weight_bytes()))));
    let options = ImportOptions::default();
    let imported = import(&path, &options).unwrap();
    let inputs = golden_inputs(&imported.graph);
    assert_eq!(inputs, golden_inputs(&imported.graph));
    let outputs = reference(&path, &options, &[("x", &inputs[0])]).unwrap();
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let (x, w, y) = (floats(&inputs[0]), floats(&weight_bytes()), floats(&outputs[0].1));
    assert!(x.iter().all(|v| v.abs() <= 1.0) && x.iter().any(|v| *v < 0.0));
    for (index, value) in y.iter().enumerate() {
        let (row, column) = (index / 64, index % 64);
        let expected: f32 = (0..64).map(|k| x[64 * row + k] * w[64 * k + column]).sum();
        assert!((value - expected).abs() < 1e-4, "{index}: {value} and {expected}");
    }
    let missing = reference(&path, &options, &[]).unwrap_err().to_string();
    assert_eq!(missing, "reference input `x`: no value is given");
}

#[test]
fn symbolic_dimensions_need_a_size() {
    let nodes = [node("Relu", "activation", &["x"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[symbol("batch"), fixed(5)])], &[info("y", &[])]);
    let unset = error_of(&bytes, &ImportOptions::default()).to_string();
    assert_eq!(unset, "the model leaves sizes open; give each of them:\n  --set batch=SIZE    (axis 0 of `x`)");
    let set = |name: &str| ImportOptions { dims: vec![(name.to_owned(), 3)], ..ImportOptions::default() };
    let wrong = error_of(&bytes, &set("length")).to_string();
    assert_eq!(
        wrong,
        "--set length: the model has no such dimension and no such input; it has the dimensions batch and the inputs x"
    );
    let input = |name: &str, dims: Vec<Dim>| ImportOptions {
        inputs: vec![(name.to_owned(), dims)],
        ..ImportOptions::default()
    };
    let absent = error_of(&bytes, &input("z", vec![])).to_string();
    assert_eq!(absent, "--input z: the model has no such input; it has x");
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), &bytes);
    for options in [set("batch"), input("x", vec![Dim::Size(3), Dim::Size(5)])] {
        let graph = import(&path, &options).unwrap().graph;
        assert_eq!(graph.node(graph.outputs[0].node).shape, [3, 5]);
    }
}

#[test]
fn everything_unsupported_is_reported_at_once() {
    let nodes = [
        node("Relu", "r", &["x"], "a"),
        node("Hologram", "h1", &["a"], "b"),
        node("Hologram", "h2", &["b"], "c"),
        node("NonZero", "n", &["c"], "y"),
    ];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(5)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default());
    assert_eq!(
        error.to_string(),
        "the model uses operators that are not supported:\n  Hologram: 2 nodes: `h1`, `h2`\n  \
         NonZero (the shape of its result depends on data): 1 node: `n`"
    );
}

#[test]
fn operators_of_unknown_domains_are_not_taken_for_standard_ones() {
    let foreign = [node("Relu", "r", &["x"], "y"), field(7, b"com.example")].concat();
    let bytes = model(&[foreign], &[], &[info("x", &[fixed(5)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default());
    assert!(matches!(&error, ImportError::Unsupported(ops) if ops.0[0].op == "com.example.Relu"), "{error}");
}

#[test]
fn refusals_of_translations_name_the_onnx_nodes() {
    let nodes = [node("NonZero", "n", &["x"], "a"), node("Relu", "r", &["a"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(5), fixed(5)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default());
    assert!(matches!(&error, ImportError::Unsupported(ops) if ops.0[0].nodes == ["n"]), "{error}");
}

#[test]
fn operators_with_a_kernel_name_their_node_when_they_reject_operands() {
    let nodes = [node("Det", "d", &["x"], "a"), node("Relu", "r", &["a"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(5), fixed(4)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default());
    assert!(matches!(&error, ImportError::Rejected { node, .. } if node == "d"), "{error}");
    assert!(error.to_string().ends_with("square matrices of at most 48 rows"), "{error}");
}

#[test]
fn axes_outside_the_rank_name_their_node() {
    let axis = field(5, &[field(1, b"axis"), number(3, 5), vec![0xa0, 1, 2]].concat());
    let norm = [node("Softmax", "s", &["x"], "y"), axis].concat();
    let bytes = model(&[norm], &[], &[info("x", &[fixed(5), fixed(4)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default());
    assert!(matches!(&error, ImportError::Axes(found) if found[0].node == "s"), "{error}");
    assert_eq!(error.to_string(), "node `s`: Softmax along [5] of `x`, which has 2 axes");
}

#[test]
fn what_is_no_model_is_an_error() {
    let options = ImportOptions::default();
    for bytes in [&b"this is no model"[..], &[], &[0xff; 300], &[7 << 3 | 2, 0x80]] {
        let error = error_of(bytes, &options);
        assert!(matches!(error, ImportError::NotOnnx { .. } | ImportError::Read { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
    let absent = import(Path::new("/absent/model.onnx"), &options).unwrap_err();
    assert!(matches!(absent, ImportError::Read { .. }), "{absent}");
    let nodes = [node("Add", "sum", &["x", "nowhere"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(5)])], &[info("y", &[])]);
    let error = error_of(&bytes, &options).to_string();
    assert_eq!(error, "the model's graph has no meaning: node `sum` uses `nowhere`, which nothing makes");
    let nodes = [node("MatMul", "product", &["x", "z"], "y")];
    let inputs = [info("x", &[fixed(5), fixed(5)]), info("z", &[fixed(4), fixed(4)])];
    let error = error_of(&model(&nodes, &[], &inputs, &[info("y", &[])]), &options);
    let expected = "node `product` (MatMul): the shapes and types of its results cannot be inferred; its operands are F32 [5, 5] \
                    and F32 [4, 4]";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn tensors_without_elements_are_refused_by_name() {
    let nodes = [node("Relu", "r", &["x"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(0)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default()).to_string();
    assert!(error.contains("`r` has the shape [0]: tensors without elements"), "{error}");
}

#[test]
fn tables_are_bounded_before_they_are_made() {
    // Sizes 1, 1 and 2²⁹ of a Resize; the table of one axis would have 8 GiB.
    let sizes: Vec<u8> = [1_i64, 1, 1 << 29].iter().flat_map(|size| size.to_le_bytes()).collect();
    let sizes = [number(1, 3), number(2, 7), field(8, b"sizes"), field(9, &sizes)].concat();
    let mode = field(5, &[field(1, b"mode"), field(4, b"linear"), vec![0xa0, 1, 3]].concat());
    let nodes = [[node("Resize", "r", &["x", "", "", "sizes"], "y"), mode].concat()];
    let bytes = model(&nodes, &[sizes], &[info("x", &[fixed(1), fixed(1), fixed(4)])], &[info("y", &[])]);
    let error = error_of(&bytes, &ImportOptions::default()).to_string();
    assert!(error.contains("Resize (tables of 8589934592 bytes") && error.contains("`r`"), "{error}");
    let pads: Vec<u8> = [1_i64 << 24, 0].iter().flat_map(|pad| pad.to_le_bytes()).collect();
    let pads = [number(1, 2), number(2, 7), field(8, b"pads"), field(9, &pads)].concat();
    let mode = field(5, &[field(1, b"mode"), field(4, b"wrap"), vec![0xa0, 1, 3]].concat());
    let nodes = [[node("Pad", "p", &["x", "pads"], "y"), mode].concat()];
    let mut bytes = model(&nodes, &[pads], &[info("x", &[fixed(4)])], &[info("y", &[])]);
    // Wrapping came with version 19.
    *bytes.last_mut().expect("the model ends with its version") = 19;
    let error = error_of(&bytes, &ImportOptions::default()).to_string();
    assert!(error.contains("in mode wrap"), "{error}");
}

#[test]
fn truncated_models_never_panic() {
    let bytes = matmul(&weight(&field(9, &weight_bytes())));
    for end in (0..bytes.len()).step_by(97) {
        let directory = tempfile::tempdir().unwrap();
        assert!(import(&write(directory.path(), &bytes[..end]), &ImportOptions::default()).is_err(), "{end}");
    }
}

#[test]
fn inputs_are_bound_to_values() {
    let nodes = [node("Add", "sum", &["x", "n"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(2)]), info("n", &[fixed(1)])], &[info("y", &[])]);
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), &bytes);
    let bound = ImportOptions { values: vec![("n".to_owned(), super::Value::Float(0.5))], ..ImportOptions::default() };
    let whole = ImportOptions { dims: vec![("n".to_owned(), 3)], ..ImportOptions::default() };
    for (options, value) in [(&bound, 0.5_f32), (&whole, 3.0)] {
        let names: Vec<String> = import(&path, options).unwrap().graph.inputs.iter().map(|i| i.name.clone()).collect();
        assert_eq!(names, ["x"]);
        let outputs = reference(&path, options, &[("x", &[1.0_f32, 2.0].map(f32::to_le_bytes).concat())]).unwrap();
        assert_eq!(outputs[0].1, [1.0 + value, 2.0 + value].map(f32::to_le_bytes).concat());
    }
    let boolean =
        ImportOptions { values: vec![("m".to_owned(), super::Value::Bool(true))], ..ImportOptions::default() };
    // A condition, which is of booleans, and takes a branch when it is bound.
    let chosen = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/ops/where_runtime_condition.onnx");
    let condition =
        ImportOptions { values: vec![("x0".to_owned(), super::Value::Bool(true))], ..ImportOptions::default() };
    let names: Vec<String> = import(&chosen, &condition).unwrap().graph.inputs.iter().map(|i| i.name.clone()).collect();
    assert_eq!(names, ["x1", "x2"]);
    assert_eq!(
        error_of(&bytes, &boolean).to_string(),
        "--set m: the model has no such dimension and no such input; it has the dimensions none and the inputs x, n"
    );
}

#[test]
fn open_sizes_are_listed_together_as_a_shell_takes_them() {
    let nodes = [node("Add", "sum", &["x", "z"], "y")];
    let inputs =
        [info("x", &[symbol("batch"), symbol("past + length")]), info("z", &[symbol("batch"), symbol("it's")])];
    let bytes = model(&nodes, &[], &inputs, &[info("y", &[])]);
    assert_eq!(
        error_of(&bytes, &ImportOptions::default()).to_string(),
        "the model leaves sizes open; give each of them:\n  --set batch=SIZE    (axis 0 of `x`, axis 0 of `z`)\n  \
         --set past=SIZE    (axis 1 of `x`)\n  --set length=SIZE    (axis 1 of `x`)\n  --set 'it'\\''s=SIZE'    (axis 1 of `z`)"
    );
    let unnamed = [info("x", &[fixed(2), vec![], symbol("batch")]), info("z", &[fixed(1)])];
    let bytes_of_unnamed = model(&nodes, &[], &unnamed, &[info("y", &[])]);
    assert_eq!(
        error_of(&bytes_of_unnamed, &ImportOptions::default()).to_string(),
        "the model leaves sizes open; give each of them:\n  --set batch=SIZE    (axis 2 of `x`)\n  --input x:SHAPE    \
         (its shape is 2x?xbatch)"
    );
    let dims = [("batch", 2), ("past", 3), ("length", 4), ("it's", 7)];
    let dims = dims.map(|(name, size)| (name.to_owned(), size)).to_vec();
    let directory = tempfile::tempdir().unwrap();
    let imported =
        import(&write(directory.path(), &bytes), &ImportOptions { dims, ..ImportOptions::default() }).unwrap();
    assert_eq!(imported.graph.node(imported.graph.outputs[0].node).shape, [2, 7]);
}

#[test]
fn an_input_may_be_an_output() {
    let nodes = [node("Relu", "activation", &["x"], "y")];
    let bytes = model(&nodes, &[], &[info("x", &[fixed(2)])], &[info("x", &[]), info("y", &[])]);
    let directory = tempfile::tempdir().unwrap();
    let graph = import(&write(directory.path(), &bytes), &ImportOptions::default()).unwrap().graph;
    let names: Vec<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
}

#[test]
fn weights_of_integer_products_stay_integers() {
    let packed =
        ["ms_integer_products", "integer_weight_dynamic", "integer_weight_qlinear_matmul", "quantized_forms_gemm"];
    for path in models("ops").into_iter().filter(|path| packed.iter().any(|name| path.file_stem().unwrap() == *name)) {
        let graph = import(&path, &ImportOptions::default()).unwrap().graph;
        let weights: Vec<_> = graph.node_ids().into_iter().filter_map(|id| graph.constant(id)).collect();
        let weights: Vec<_> = weights.into_iter().filter(|w| w.shape.len() == 2 && w.len() >= 30).collect();
        assert!(!weights.is_empty() && weights.iter().all(|w| w.as_quantized().is_some()), "{}", path.display());
    }
}
