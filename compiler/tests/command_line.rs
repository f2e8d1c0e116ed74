//! `flashmem-compile` as scripts use it: exit codes, refusals, `inspect --json`.
//!
//! It deliberately runs no bundle; that needs a device and is tested in `tests/`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn compile(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flashmem-compile")).args(arguments).output().expect("the program starts")
}

fn model(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "models", name].iter().collect();
    path.to_string_lossy().into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

#[test]
fn inspect_prints_what_scripts_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bundle = folder.path().join("vit.fmplan");
    let made =
        compile(&[&model("tiny/vit.onnx"), "-o", text(&bundle), "--weights", "f16", "--budget", "4MiB", "--golden"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let shown = compile(&["inspect", text(&bundle), "--json", "--verify"]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    for key in [
        "inputs",
        "outputs",
        "weight_bytes",
        "page_bytes",
        "pages",
        "steps",
        "budget_bytes",
        "declared_peak_bytes",
        "predicted_cold_ms",
        "strategy",
        "solver",
    ] {
        assert!(!json[key].is_null(), "{key}");
    }
    for key in ["status", "gap", "ms"] {
        assert!(!json["solver"][key].is_null(), "solver.{key}");
    }
    assert_eq!(json["budget_bytes"], 4 << 20);
    assert!(json["declared_peak_bytes"].as_u64().is_some_and(|peak| peak <= 4 << 20));
    let shown = compile(&["inspect", text(&bundle)]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("declared peak"));
}

#[test]
fn wrong_usage_ends_with_2() {
    let vit = model("tiny/vit.onnx");
    for arguments in [
        vec![],
        vec!["--nonsense"],
        vec![vit.as_str(), "--budget", "lots"],
        vec![&vit, "--strategy", "magic"],
        vec![&vit, "--solver", "magic"],
        vec![&vit, "--slack", "5%"],
        vec![&vit, "--objective", "memory", "--slack", "-5%"],
        vec![&vit, "--set", "batch"],
        vec![&vit, "--input", "pixels"],
        vec![&vit, "--device", "toaster"],
    ] {
        let output = compile(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn faults_of_the_input_end_with_1_and_say_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bundle = folder.path().join("a.fmplan");
    let junk = folder.path().join("junk.onnx");
    std::fs::write(&junk, b"this is no model").expect("writable");
    let refused = [
        (vec![model("tiny/vit.onnx"), "--budget".into(), "1000".into()], "smallest feasible budget: "),
        (vec![text(&junk).to_owned()], "junk.onnx"),
        (vec![model("tiny/absent.onnx")], "absent.onnx"),
        (vec![model("ops/symbolic_batch.onnx")], "batch"),
        (vec![model("ops/conv_transpose_2d_k2s2.onnx")], "ConvTranspose (1 of them: "),
    ];
    for (arguments, expected) in refused {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["-o", text(&bundle)]);
        let output = compile(&arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(!bundle.exists(), "{arguments:?} leaves no bundle behind");
    }
}
