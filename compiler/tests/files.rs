//! What `flashmem-compile` does to files: it overwrites no input, leaves nothing half written, and follows the model's precision.
//!
//! Models are built by hand, field by field. The rules of writing one file are tested in plan-format (`tests/files.rs`).
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flashmem-compile");

const FLOAT: u8 = 1;
const FLOAT16: u8 = 10;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: u8, contents: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(contents.len() as u64), contents.to_vec()].concat()
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn port(name: &str, element: u8, dims: &[u64]) -> Vec<u8> {
    let shape: Vec<u8> = dims.iter().flat_map(|dim| field(1, &number(1, *dim))).collect();
    let tensor = [number(1, element.into()), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

fn tensor(name: &str, element: u8, dims: &[u64], data: &[u8]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    [dims, number(2, element.into()), field(8, name.as_bytes()), data.to_vec()].concat()
}

fn external(location: &str) -> Vec<u8> {
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    [field(13, &entry), number(14, 1)].concat()
}

/// A model of one node, with the ports `x` and `y` as described.
fn model(op: &str, names: (&[&str], &str), ports: [&[u8]; 2], initialiser: Option<&[u8]>) -> Vec<u8> {
    let inputs = names.0.iter().flat_map(|input| field(1, input.as_bytes())).collect();
    let output = field(2, names.1.as_bytes());
    let node = [inputs, output, field(3, b"the node"), field(4, op.as_bytes())].concat();
    let initialiser = initialiser.map_or(Vec::new(), |tensor| field(5, tensor));
    let graph = [field(1, &node), field(2, b"g"), initialiser, field(11, ports[0]), field(12, ports[1])].concat();
    [number(1, 8), field(7, &graph), field(8, &[field(1, b""), number(2, 17)].concat())].concat()
}

/// `y = x · w` with a weight of `side` × `side`.
fn product(element: u8, side: u64, data: &[u8]) -> Vec<u8> {
    let weight = tensor("w", element, &[side, side], data);
    let ports = [port("x", element, &[1, side]), port("y", element, &[1, side])];
    model("MatMul", (&["x", "w"], "y"), [&ports[0], &ports[1]], Some(&weight))
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With a model of 64 × 64 weights in `model.onnx` and `model.data`.
    fn with_product() -> Self {
        let files = Self::new();
        let weights: Vec<u8> = (0..64 * 64).flat_map(|i| (i as f32 / 4096.0).to_le_bytes()).collect();
        files.write("model.data", &weights);
        files.write("model.onnx", &product(FLOAT, 64, &external("model.data")));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("writable");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs in a shell that first does something else, say, sets a limit.
    fn run_after(&self, first: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first}; exec \"$@\""), "sh", PROGRAM]).args(arguments);
        command.current_dir(self.folder.path()).output().expect("a shell starts")
    }

    /// A model whose bundle takes long enough to write that something can happen meanwhile.
    fn large_model(&self) {
        let side = 4096_u64;
        let data = fs::File::create(self.path("large.data")).expect("writable");
        data.set_len(side * side * 4).expect("zeros take no place");
        std::io::Write::write_all(&mut &data, &1.0_f32.to_le_bytes()).expect("writable");
        self.write("large.onnx", &product(FLOAT, side, &external("large.data")));
    }

    fn partial(&self) -> Option<String> {
        self.names().into_iter().find(|name| name.ends_with(".flashmem-partial"))
    }

    /// Starts to compile the large model, and sends a signal once the bundle is being written.
    fn signalled(&self, signal: &str) -> std::process::ExitStatus {
        let mut child = self.command(&["large.onnx", "--quiet"]).spawn().expect("the program starts");
        let started = Instant::now();
        while self.partial().is_none() {
            assert!(started.elapsed() < Duration::from_secs(60), "no bundle is begun");
            std::thread::sleep(Duration::from_micros(200));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill starts");
        assert!(sent.success());
        child.wait().expect("it ends")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn refused(output: &Output, expected: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for expected in expected {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn no_input_is_overwritten() {
    let files = Files::with_product();
    fs::hard_link(files.path("model.onnx"), files.path("hard.onnx")).expect("possible");
    symlink("model.data", files.path("soft.data")).expect("possible");
    fs::copy(files.path("model.onnx"), files.path("same.fmplan")).expect("possible");
    files.write("device.toml", include_bytes!("../profiles/desktop.toml"));
    done(&files.run(&["model.onnx", "-o", "good.fmplan"]));
    let before: Vec<_> = files.names().into_iter().map(|name| (files.read(&name), name)).collect();
    let same = "is the same file as";
    for (arguments, expected) in [
        (&["model.onnx", "-o", "model.onnx"][..], "the model model.onnx"),
        (&["model.onnx", "-o", "hard.onnx"], "the model model.onnx"),
        (&["hard.onnx", "-o", "./model.onnx"], "the model hard.onnx"),
        (&["model.onnx", "-o", "model.data"], "external data"),
        (&["model.onnx", "-o", "soft.data"], "external data"),
        // The output's default is the model's name with another extension, which it may have already.
        (&["same.fmplan"], "the model same.fmplan"),
        (&["model.onnx", "-o", "device.toml", "--device", "device.toml"], "--device"),
        (&["model.onnx", "-o", "in.npz", "--golden", "in.npz"], "--golden"),
        (&["explain", "model.onnx", "--report", "model.onnx"], "the model"),
        (&["explain", "model.onnx", "--report", "soft.data"], "external data"),
        (&["explain", "good.fmplan", "--report", "good.fmplan"], "bundle"),
        (&["sweep", "model.onnx", "--budgets", "1MiB,2MiB", "--report", "hard.onnx"], "the model"),
        (&["sweep", "model.onnx", "--budgets", "1MiB,2MiB", "--report", "model.data"], "external data"),
    ] {
        if arguments.contains(&"in.npz") {
            files.write("in.npz", b"arrays");
        }
        let output = files.run(arguments);
        refused(&output, &[same, expected]);
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stdout));
        let _ = fs::remove_file(files.path("in.npz"));
        let after: Vec<_> = files.names().into_iter().map(|name| (files.read(&name), name)).collect();
        assert!(before == after, "{arguments:?}");
    }
}

#[test]
fn links_devices_pipes_and_folders_stay_what_they_are() {
    let files = Files::with_product();
    fs::create_dir(files.path("folder")).expect("possible");
    symlink("folder/real.fmplan", files.path("link.fmplan")).expect("possible");
    done(&files.run(&["model.onnx", "-o", "real.fmplan"]));
    // Dangling, then leading to a file.
    for _ in 0..2 {
        done(&files.run(&["model.onnx", "-o", "link.fmplan"]));
        assert!(fs::symlink_metadata(files.path("link.fmplan")).expect("there").is_symlink());
        assert!(files.read("folder/real.fmplan") == files.read("real.fmplan"));
    }
    done(&files.run(&["model.onnx", "-o", "/dev/null"]));
    assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
    done(&files.run(&["explain", "model.onnx", "--report", "/dev/null"]));
    let both = files.run(&["explain", "model.onnx", "--report", "/dev/stdout"]);
    done(&both);
    assert!(text(&both.stdout).contains("declared peak") && text(&both.stdout).contains("<h2>Predicted timeline</h2>"));
    assert!(Command::new("mkfifo").arg(files.path("pipe")).status().expect("mkfifo starts").success());
    refused(&files.run(&["model.onnx", "-o", "pipe"]), &["cannot write pipe: it is a pipe"]);
    refused(&files.run(&["model.onnx", "-o", "/dev/stdout"]), &["/dev/stdout: it is a standard stream"]);
    refused(&files.run(&["model.onnx", "-o", "folder"]), &["cannot write folder: it is a directory"]);
    refused(&files.run(&["model.onnx", "-o", "none/a.fmplan"]), &["there is no directory none"]);
    assert_eq!(files.names(), ["folder", "link.fmplan", "model.data", "model.onnx", "pipe", "real.fmplan"]);
}

#[test]
fn a_file_that_may_not_grow_is_an_error_that_names_it_and_the_old_one_stays() {
    let files = Files::with_product();
    for (name, arguments) in [
        ("a.fmplan", &["model.onnx", "-o", "a.fmplan"][..]),
        ("a.html", &["explain", "model.onnx", "--report", "a.html"]),
        ("b.html", &["sweep", "model.onnx", "--budgets", "1MiB,2MiB", "--report", "b.html"]),
    ] {
        files.write(name, b"good");
        refused(&files.run_after("ulimit -f 1", arguments), &[&format!("cannot write {name}: "), "File too large"]);
        assert_eq!(files.read(name), b"good");
        done(&files.run(arguments));
        assert_ne!(files.read(name), b"good");
    }
    assert_eq!(files.names(), ["a.fmplan", "a.html", "b.html", "model.data", "model.onnx"]);
}

#[test]
fn a_signal_leaves_nothing_and_a_killed_compiler_nothing_for_long() {
    let files = Files::new();
    files.large_model();
    files.write("large.fmplan", b"good");
    let ignored = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        // What is ignored here is ignored there, too.
        if ignored.unwrap_or(0) >> (number - 1) & 1 == 1 {
            continue;
        }
        assert_eq!(files.signalled(signal).signal(), Some(number), "{signal}");
        assert_eq!(files.names(), ["large.data", "large.fmplan", "large.onnx"], "{signal}");
    }
    for _ in 0..2 {
        assert_eq!(files.signalled("KILL").signal(), Some(9));
        assert!(files.partial().is_some());
        assert_eq!(files.read("large.fmplan"), b"good");
        // Whoever writes in this folder next, and be it another file, cleans up.
        files.write("model.onnx", &product(FLOAT16, 4, &field(9, &[0x3c; 32])));
        done(&files.run(&["model.onnx", "--quiet"]));
        assert_eq!(files.partial(), None);
    }
    // A signal that whoever started the program ignores is ignored.
    done(&files.run_after("trap '' TERM; (sleep 0.1; kill -s TERM $$) & true", &["large.onnx", "--quiet"]));
    assert!(files.read("large.fmplan").len() > 64 << 20);
}

#[test]
fn two_compilers_of_one_name_are_both_safe() {
    let files = Files::with_product();
    done(&files.run(&["model.onnx", "-o", "alone.fmplan"]));
    let mut running: Vec<_> = (0..4)
        .map(|_| files.command(&["model.onnx", "-o", "one.fmplan", "--quiet"]).spawn().expect("the program starts"))
        .collect();
    for child in &mut running {
        assert!(child.wait().expect("it ends").success());
    }
    assert!(files.read("one.fmplan") == files.read("alone.fmplan"));
    assert_eq!(files.partial(), None);
}

#[test]
fn weights_are_stored_as_the_model_stores_most_of_them() {
    let files = Files::with_product();
    let halves: Vec<u8> = (0..128 * 128).flat_map(|i| half::f16::from_f32(i as f32 / 16384.0).to_le_bytes()).collect();
    files.write("half.data", &halves);
    files.write("inside.onnx", &product(FLOAT16, 128, &field(9, &halves)));
    files.write("outside.onnx", &product(FLOAT16, 128, &external("half.data")));
    for (model, stored, also) in
        [("model.onnx", "f32", "f16"), ("inside.onnx", "f16", "f32"), ("outside.onnx", "f16", "f32")]
    {
        let output = files.run(&[model, "-o", "default.fmplan"]);
        done(&output);
        let said = if stored == "f16" { "(f16, as the model stores them)" } else { "(f32)" };
        assert!(text(&output.stdout).contains(said), "{model}: {}", text(&output.stdout));
        done(&files.run(&[model, "-o", "same.fmplan", "--weights", stored]));
        done(&files.run(&[model, "-o", "other.fmplan", "--weights", also]));
        assert!(files.read("default.fmplan") == files.read("same.fmplan"), "{model}");
        assert!(files.read("default.fmplan") != files.read("other.fmplan"), "{model}");
        let shown = text(&files.run(&["inspect", "default.fmplan", "--json"]).stdout);
        let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let expected = if model == "model.onnx" { 64 * 64 * 4 } else { 128 * 128 * 2 };
        assert_eq!(json["weight_bytes"], expected, "{model}");
        let explained = text(&files.run(&["explain", model]).stdout);
        assert!(explained.contains(&format!("Weights are stored as {stored}")), "{explained}");
    }
    refused(&files.run(&["absent.onnx"]), &["absent.onnx"]);
}

#[test]
fn a_self_test_that_could_not_pass_is_refused() {
    let files = Files::new();
    // Half of the made-up inputs are negative.
    for (name, element) in [("f32", FLOAT), ("f16", FLOAT16)] {
        let ports = [port("x", element, &[8]), port("y", element, &[8])];
        files.write("model.onnx", &model("Sqrt", (&["x"], "y"), [&ports[0], &ports[1]], None));
        refused(&files.run(&["model.onnx", "--golden"]), &["`y` holds NaN or infinity"]);
        assert_eq!(files.names(), ["model.onnx"], "{name}");
        done(&files.run(&["model.onnx"]));
        fs::remove_file(files.path("model.fmplan")).expect("it was made");
    }
}

/// The reference follows the model's types, so that its own rounding is what a self-test of an f16 model must allow.
#[test]
fn a_self_test_allows_the_rounding_of_its_reference() {
    let files = Files::with_product();
    let halves: Vec<u8> = (0..128 * 128).flat_map(|i| half::f16::from_f32(i as f32 / 16384.0).to_le_bytes()).collect();
    files.write("half.onnx", &product(FLOAT16, 128, &field(9, &halves)));
    for (model, weights, tolerance) in [
        ("model.onnx", "f32", 1e-4),
        ("model.onnx", "f16", 1e-2),
        ("half.onnx", "f32", 1e-2),
        ("half.onnx", "f16", 1e-2),
    ] {
        done(&files.run(&[model, "-o", "a.fmplan", "--golden", "--weights", weights]));
        let shown = text(&files.run(&["inspect", "a.fmplan", "--json"]).stdout);
        let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let found = json["golden"]["tolerance_relative_l2"].as_f64().expect("there is a self-test");
        assert!((found - tolerance).abs() < 1e-6, "{model} {weights}: {found}");
    }
}

#[test]
fn names_that_no_archive_can_hold_are_refused_at_once() {
    let files = Files::new();
    for (name, is_input) in [("n".repeat(70_000), true), ("ü".repeat(35_000), false)] {
        let ports = if is_input { [name.as_str(), "y"] } else { ["x", &name] };
        let [x, y] = ports.map(|name| port(name, FLOAT, &[8]));
        files.write("model.onnx", &model("Relu", (&[ports[0]], ports[1]), [&x, &y], None));
        refused(&files.run(&["model.onnx"]), &["has 70000 bytes, more than the limit of 65531"]);
        assert_eq!(files.names(), ["model.onnx"]);
    }
}

#[test]
fn sizes_are_read_as_documented() {
    let files = Files::with_product();
    for (size, bytes) in [("35MB", 35_000_000), ("35MiB", 36_700_160), ("64M", 64 << 20), ("0.5GiB", 512 << 20)] {
        done(&files.run(&["model.onnx", "-o", "a.fmplan", "--budget", size]));
        let shown = text(&files.run(&["inspect", "a.fmplan", "--json"]).stdout);
        let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(json["budget_bytes"], bytes, "{size}");
    }
    for size in ["35MX", "1.5", "1e3MiB", "99999999999TiB"] {
        let output = files.run(&["model.onnx", "-o", "b.fmplan", "--budget", size]);
        assert_eq!(output.status.code(), Some(2), "{size}");
        assert!(text(&output.stderr).contains(size), "{}", text(&output.stderr));
    }
    assert!(!Path::exists(&files.path("b.fmplan")));
}
