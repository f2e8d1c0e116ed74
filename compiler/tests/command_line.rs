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

/// Messages leave their cause to the chain, which is printed once; the model's path stands once in front.
#[test]
fn every_cause_is_told_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("junk.onnx"), "hello").expect("a file");
    for (name, device, message, parts) in [
        ("none.onnx", "desktop", format!("error: cannot read {}: ", path("none.onnx")), 2),
        ("junk.onnx", "desktop", format!("error: {} is not an ONNX model: ", path("junk.onnx")), 3),
        ("none.onnx", folder.path().to_str().expect("UTF-8"), "error: --device: cannot read device profile ".into(), 3),
    ] {
        let refused = compile(&[&path(name), "-o", &path("out.fmplan"), "--device", device]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let line = said.lines().next().expect("a message");
        assert!(line.starts_with(&message) && line.matches(": ").count() == parts, "{said}");
    }
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
fn linked_bundles_are_made_and_inspected() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (vit, app) = (path("vit.fmplan"), path("app.fmplan"));
    let made = compile(&[&model("tiny/vit.onnx"), "-o", &vit, "--page", "32KiB", "-q"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let same = format!("same={vit}");
    let link = ["link", &vit, &same, "-o", &app, "--budget", "2MiB", "--sequence", "vit same*3 vit"];
    let linked = compile(&link);
    let said = String::from_utf8_lossy(&linked.stdout).into_owned();
    assert!(linked.status.success(), "{}", String::from_utf8_lossy(&linked.stderr));
    for part in ["2 networks", "declared peak", "after others", "predicted time of the sequence"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let shown = compile(&["inspect", &app, "--json", "--verify"]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert!(json["declared_peak_bytes"].as_u64() <= Some(2 << 20), "{json}");
    let names: Vec<_> = json["networks"].as_array().expect("networks").iter().map(|network| &network["name"]).collect();
    assert_eq!(names, ["vit", "same"]);
    // What is the same is stored once.
    let sizes = [&vit, &app].map(|file| std::fs::metadata(file).expect("a file").len());
    assert!(sizes[1] < 2 * sizes[0], "{sizes:?}");
    for (arguments, part) in [
        (vec!["link", &vit, "-o", &app, "--budget", "1KiB"], "smallest feasible budget: "),
        (vec!["link", &app, "-o", &vit], "the bundle holds several networks: vit, same"),
        (vec!["link", &vit, "-o", &vit], "vit.fmplan"),
        (
            vec!["link", &vit, &same, "-o", &app, "--connect", "vit.logits=same.image"],
            "shape [1, 10], and the input takes",
        ),
    ] {
        let refused = compile(&arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(part), "{arguments:?}: {said}");
    }
    assert_eq!(compile(&["link", &vit, &same, "-o", &app, "--connect", "vit.logits"]).status.code(), Some(2));
}

#[test]
fn explain_draws_the_sequence_of_a_linked_bundle() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (app, report) = (path("app.fmplan"), path("app.html"));
    let bundles = ["vit", "resnet50"].map(|name| {
        let bundle = path(&format!("{name}.fmplan"));
        let made = compile(&[&model(&format!("tiny/{name}.onnx")), "-o", &bundle, "--page", "32KiB", "-q"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        bundle
    });
    let order = "vit resnet50*2 vit resnet50";
    let least = compile(&["link", &bundles[0], &bundles[1], "-o", &app, "--budget", "1KiB"]);
    let said = String::from_utf8_lossy(&least.stderr).into_owned();
    let least: u64 =
        said.split("feasible budget: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("named");
    let budget = (least + (32 << 10)).to_string();
    let linked = compile(&["link", &bundles[0], &bundles[1], "-o", &app, "--budget", &budget, "--sequence", order]);
    assert!(linked.status.success(), "{}", String::from_utf8_lossy(&linked.stderr));
    let explained = compile(&["explain", &app, "--report", &report]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
    let number = |text: &str, behind: &str| -> f64 {
        let rest = text.split(behind).nth(1).and_then(|rest| rest.split(' ').next()).expect("it is said");
        rest.parse().expect("a number")
    };
    // What links counts first runs without the pages that are handed to them.
    let said = String::from_utf8_lossy(&linked.stdout).into_owned();
    let (drawn, predicted) = (number(&text, "predicted time "), number(&said, "predicted time of the sequence "));
    assert!(drawn <= predicted + 0.1 && drawn >= 0.5 * predicted, "{drawn} {predicted}");
    let page = std::fs::read_to_string(&report).expect("the page is written");
    for part in
        ["<h2>Predicted sequence</h2>", "<h2>Memory</h2>", "<h2>Hand-overs</h2>", "run 5 of `resnet50`", "beside `vit`"]
    {
        assert!(page.contains(part), "{part}");
    }
    let again = path("again.html");
    assert!(compile(&["explain", &app, "--report", &again]).status.success());
    assert!(std::fs::read_to_string(&again).expect("written") == page, "the same bundle gives the same page");
}

#[test]
fn entries_of_one_model_are_one_bundle() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (sized, one, two) = (model("ops/symbolic_batch.onnx"), path("one.fmplan"), path("two.fmplan"));
    let entries = [&sized, "-o", &two, "--entry", "one:batch=1", "--entry", "four:batch=4", "--calls", "four=2"];
    assert!(compile(&[&sized, "-o", &one, "--set", "batch=4"]).status.success());
    let made = compile(&entries);
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(said.contains("2 networks; 1 pages") && said.contains("1 of them stored once"), "{said}");
    let shown = compile(&["inspect", &two, "--json", "--verify"]);
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let shapes = [0, 1].map(|network| json["networks"][network]["inputs"][0]["shape"][0].as_u64());
    assert_eq!(shapes, [Some(1), Some(4)], "{json}");
    // The budget that a refusal names works, and nothing but the output stays.
    let refused = compile(&[&entries[..], &["--budget", "1KiB"]].concat());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let least = said.split("smallest feasible budget: ").nth(1).and_then(|rest| rest.split(' ').next()).expect("named");
    let tight = compile(&[&entries[..], &["--budget", least]].concat());
    assert!(tight.status.success(), "{}", String::from_utf8_lossy(&tight.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 2);
    let unfit = compile(&[&sized, "-o", &two, "--entry", "open"]);
    let said = String::from_utf8_lossy(&unfit.stderr).into_owned();
    assert!(unfit.status.code() == Some(1) && said.contains("entry `open`: ") && said.contains("batch"), "{said}");
}

#[test]
fn explain_takes_models_and_bundles() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let vit = model("tiny/vit.onnx");
    let (bundle, fresh, stored) = (path("vit.fmplan"), path("fresh.html"), path("stored.html"));
    let shape = ["--weights", "f16", "--budget", "4MiB", "--device", "flagship-phone"];
    assert!(compile(&[&[vit.as_str(), "-o", &bundle], &shape[..]].concat()).status.success());
    let from_model = compile(&[&["explain", &vit, "--report", &fresh], &shape[..]].concat());
    let from_bundle = compile(&["explain", &bundle, "--report", &stored]);
    for (output, page) in [(&from_model, &fresh), (&from_bundle, &stored)] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        for expected in ["predicted", "floor", "declared peak", "most pages", "execution", "stalls"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let page = std::fs::read_to_string(page).expect("the page is written");
        assert!(page.contains("<h2>Predicted timeline</h2>") && page.contains("flagship-phone"), "{page:.300}");
    }
    assert!(String::from_utf8_lossy(&from_bundle.stdout).contains("note: A bundle holds no names of weights"));
    assert_eq!(compile(&["explain", &vit, "--device", "toaster"]).status.code(), Some(2));
    assert_eq!(compile(&["explain", &bundle, "--device", "toaster"]).status.code(), Some(2));
    assert_eq!(compile(&["explain", &path("absent.onnx")]).status.code(), Some(1));
    std::fs::write(path("broken.fmplan"), b"\x89FMPLAN\nand nothing more").expect("writable");
    assert_eq!(compile(&["explain", &path("broken.fmplan")]).status.code(), Some(1));
}

#[test]
fn an_encoding_for_every_weight_is_chosen_listed_and_the_same_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let (vit, inputs) = (model("tiny/vit.onnx"), model("tiny/vit.npz"));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
    let made = |name: &str, more: &[&str]| {
        let output = path(name);
        let shown = compile(&[&[&vit, "-o", &output, "--device", "software", "--weights", "auto"], more].concat());
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let shown = compile(&["inspect", &output, "--json"]);
        serde_json::from_slice::<Value>(&shown.stdout).expect("JSON")
    };
    let json = made("a.fmplan", &["--max-error", "3%"]);
    assert_eq!(json["weights"], "auto");
    let error = &json["precision"]["error"];
    assert!(error["measured"].as_f64().is_some_and(|error| error > 0.0 && error <= 0.03), "{error}");
    assert!(error["predicted"].as_f64().is_some_and(|error| error > 0.0) && error["gap"] == 0.0, "{error}");
    let weights = json["precision"]["weights"].as_array().expect("a list");
    let encodings: std::collections::BTreeSet<_> = weights.iter().map(|weight| weight["encoding"].as_str()).collect();
    let shares: f64 = weights.iter().filter_map(|weight| weight["error_share"].as_f64()).sum();
    assert!(encodings.len() > 1 && (shares - 1.0).abs() < 1e-3, "{encodings:?} {shares}");
    let listed = compile(&["explain", &path("a.fmplan")]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(weights.iter().all(|weight| weight["name"].as_str().is_some_and(|name| listed.contains(name))), "{listed}");
    made("b.fmplan", &["--max-error", "0.03"]);
    assert!(bytes("a.fmplan") == bytes("b.fmplan"), "the same options, other bytes");
    // As many bytes give no larger error; other inputs give other encodings or scales.
    let sum: u64 = weights.iter().filter_map(|weight| weight["bytes"].as_u64()).sum();
    let limited = made("c.fmplan", &["--bytes", &sum.to_string()]);
    let measured = |json: &Value| json["precision"]["error"]["measured"].as_f64().expect("small enough to run");
    assert!(measured(&limited) <= 1.05 * measured(&json), "{} {}", measured(&limited), measured(&json));
    made("d.fmplan", &["--max-error", "3%", "--calibrate", &inputs]);
    assert!(bytes("a.fmplan") != bytes("d.fmplan"));
    for (wrong, code) in [
        (&["--weights", "q8", "--max-error", "1%"][..], 2),
        (&["--weights", "auto", "--max-error", "no"], 2),
        (&["--weights", "auto", "--max-error", "1%", "--bytes", "1MB"], 2),
        (&["--weights", "auto", "--bytes", "budget"], 2),
        (&["--weights", "auto", "--bytes", "1000"], 1),
        (&["--weights", "q8", "--calibrate", &vit], 1),
    ] {
        let shown = compile(&[&[&vit, "-o", &path("e.fmplan")], wrong].concat());
        assert_eq!(shown.status.code(), Some(code), "{wrong:?}: {}", String::from_utf8_lossy(&shown.stderr));
    }
}

#[test]
fn a_sweep_goes_over_precisions() {
    let vit = model("tiny/vit.onnx");
    let arguments = ["sweep", &vit, "--precisions", "f32,q8,auto:1%", "--budgets", "4MiB,16MiB", "--json"];
    let shown = compile(&arguments);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let sweeps = json["precisions"].as_array().expect("a list");
    let of = |key: &str| sweeps.iter().map(|sweep| sweep[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("weights"), ["f32", "q8", "auto:1%"]);
    assert!(sweeps.iter().all(|sweep| sweep["points"].as_array().is_some_and(|points| points.len() == 2)));
    let errors: Vec<f64> = of("measured_error").iter().map(|error| error.as_f64().expect("measured")).collect();
    assert!(errors[0] == 0.0 && errors[1] > 0.0 && errors[2] > 0.0 && errors[2] <= 0.01, "{errors:?}");
    let bytes: Vec<u64> = of("weight_bytes").iter().map(|bytes| bytes.as_u64().expect("bytes")).collect();
    assert!(bytes[1] < bytes[0] / 3 && bytes[2] < bytes[0], "{bytes:?}");
    let wrong = compile(&["sweep", &vit, "--precisions", "q3", "--budgets", "4MiB"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_sweep_names_the_smallest_budget_and_keeps_every_peak_below_its_budget() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("sweep.html");
    let vit = model("tiny/vit.onnx");
    let arguments = ["sweep", &vit, "--weights", "f16", "--budgets", "64KiB..16MiB", "--points", "5"];
    let shown = compile(&[&arguments[..], &["--json", "--report", text(&page)]].concat());
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let points = json["points"].as_array().expect("points");
    assert_eq!(points.len(), 5);
    let smallest = json["smallest_feasible_bytes"].as_u64().expect("64 KiB are too few");
    for point in points {
        let budget = point["budget_bytes"].as_u64().expect("bytes");
        assert_eq!(point["feasible"], budget >= smallest, "{point}");
        if budget >= smallest {
            assert!(point["declared_peak_bytes"].as_u64().is_some_and(|peak| peak <= budget), "{point}");
            assert!(point["predicted_cold_ms"].as_f64() >= point["disk_floor_ms"].as_f64(), "{point}");
        }
    }
    assert!(std::fs::read_to_string(&page).is_ok_and(|page| page.contains("infeasible below")));
    let table = compile(&arguments);
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(
        table.contains("infeasible") && table.contains(&format!("smallest feasible budget: {smallest} bytes")),
        "{table}"
    );
    for wrong in ["16MiB..64KiB", "lots", ""] {
        assert_eq!(compile(&["sweep", &vit, "--budgets", wrong]).status.code(), Some(2), "{wrong}");
    }
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
        vec![&vit, "--page", "33KiB"],
        vec![&vit, "--entry", ":n=1"],
        vec![&vit, "--entry", "a:n"],
        vec![&vit, "--entry", "a:n=1", "--calls", "b=2"],
        vec![&vit, "--entry", "a:n=1", "--keep", "all"],
        vec![&vit, "--entry", "a:n=1", "--golden"],
        vec![&vit, "--calls", "a=2"],
        vec!["link", "a.fmplan"],
        vec!["link", "a.fmplan", "b/a.fmplan", "-o", "app.fmplan"],
        vec!["link", "a.fmplan", "-o", "app.fmplan", "--calls", "b=2"],
        vec!["link", "a.fmplan", "-o", "app.fmplan", "--sequence", "a*x"],
        vec!["link", "a.fmplan", "-o", "app.fmplan", "--budget", "lots"],
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

/// What `inspect` prints of a small bundle, but for what a change of any kernel changes and for measured times.
#[test]
fn inspect_prints_the_golden_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bundle = folder.path().join("resnet50.fmplan");
    let made =
        compile(&[&model("tiny/resnet50.onnx"), "-o", text(&bundle), "--weights", "f16", "--device", "software"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (arguments, name) in
        [(&["inspect", text(&bundle)][..], "inspect.txt"), (&["inspect", text(&bundle), "--json"], "inspect.json")]
    {
        let shown = compile(arguments);
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let shown = String::from_utf8(shown.stdout).expect("UTF-8").replace(text(folder.path()), "FOLDER");
        let varies =
            |line: &str| line.starts_with("bundle ") || line.contains("\"bundle_blake3\"") || line.contains("\"ms\"");
        let lines: Vec<&str> = shown.lines().filter(|line| !varies(line)).collect();
        let found = lines.join("\n") + "\n";
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &found).expect("the folder is writable");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, committed, "tests/golden/{name} differs; BLESS=1 rewrites it");
    }
}

#[test]
fn the_page_of_operators_is_what_the_program_prints() {
    let page: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs", "operators.md"].iter().collect();
    let printed = compile(&["ops", "--markdown"]);
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).expect("UTF-8");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, &printed).expect("docs/ is writable");
    }
    let committed = std::fs::read_to_string(&page).expect("docs/operators.md is there");
    assert!(
        committed == printed,
        "docs/operators.md is not what `flashmem-compile ops --markdown` prints; BLESS=1 rewrites it"
    );
}

#[test]
fn ops_prints_columns_and_json() {
    let shown = compile(&["ops", "--json"]);
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let rows = json["operators"].as_array().expect("a list");
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).expect("a row");
    assert_eq!(row("Softmax")["support"], "yes");
    assert_eq!(row("Loop")["support"], "refused");
    assert!(row("Resize")["note"].as_str().is_some_and(|note| !note.is_empty()));
    assert_eq!(row("Abs")["versions"][0], 1);
    let text = String::from_utf8(compile(&["ops"]).stdout).expect("UTF-8");
    assert!(text.lines().any(|line| line.starts_with("Softmax ") && line.contains("yes")), "{text}");
    assert_eq!(compile(&["ops", "--json", "--markdown"]).status.code(), Some(2));
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let program = env!("CARGO_BIN_EXE_flashmem-compile");
    let ended = Command::new(program).arg("ops").stdout(writer).output().expect("the program starts");
    assert!(ended.status.success(), "{:?}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    // Messages that nobody reads change nothing.
    let vit = model("tiny/vit.onnx");
    for (arguments, code) in [(["sweep", &vit, "--budgets", "16MiB"], 0), (["explain", &vit, "--strategy", "magic"], 2)]
    {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = Command::new(program).args(arguments).stderr(writer).output().expect("the program starts");
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
    }
}
