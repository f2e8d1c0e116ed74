//! `flashmem-run` from outside: files in, files out, statistics, exit codes.

mod support;

use flashmem_plan_format::testing;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Every key of the statistics: scripts read them, so that none may go.
const STATS_KEYS: [&str; 49] = [
    "adapter",
    "adapter_ms",
    "allocated_ms",
    "backend",
    "before_open_ms",
    "bytes_read",
    "bytes_read_runs",
    "cold_ms",
    "declared_exceeded",
    "declared_host_bytes",
    "declared_peak_bytes",
    "device_allocated_bytes",
    "device_ms",
    "device_recorded_by_kind",
    "device_recorded_bytes",
    "device_reserved_bytes",
    "dispatches",
    "first_dispatch_ms",
    "first_page_ms",
    "host_bytes",
    "io_mode",
    "io_note",
    "last_dispatch_ms",
    "last_page_ms",
    "load_ms",
    "loads",
    "loads_repeat",
    "measured_peak_bytes",
    "page_wait_ms",
    "pipeline_cache",
    "pipeline_wait_ms",
    "pipelines",
    "pipelines_ms",
    "predicted_cold_ms",
    "predicted_warm_ms",
    "read_busy_ms",
    "readback_ms",
    "reader_threads",
    "readers_wait_ms",
    "reading_began_ms",
    "run_count",
    "runs_ms",
    "setup_runs_ms",
    "software",
    "staging_ms",
    "submit_ms",
    "submit_runs_ms",
    "validate_ms",
    "weight_bytes_total",
];

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::write(files.path("small.fmplan"), testing::small_bundle()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs in the directory of the files.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashmem-run"));
        command.args(arguments).current_dir(self.directory.path()).output().unwrap()
    }
}

fn npy(descriptor: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn write_npz(path: &Path, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) {
    let mut archive = ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn golden_arrays() -> Vec<(&'static str, Vec<u8>)> {
    let golden = testing::golden();
    vec![("x", npy("<f4", "(1, 64)", &golden.inputs[0])), ("ids", npy("<i8", "(2,)", &golden.inputs[1]))]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn arrays_go_in_and_come_out() {
    let files = Files::new();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let mut arrays = golden_arrays();
        arrays.push(("unused", npy("<f8", "(1,)", &[0; 8])));
        write_npz(&files.path("in.npz"), method, &arrays);
        let arguments = ["small.fmplan", "--inputs", "in.npz", "--outputs", "out.npz", "--repeat", "3"];
        let output = files.run(&[&arguments[..], &["--stats", "stats.json", "--reader-threads", "3"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("note: in.npz has arrays that the model does not take: [\"unused\"]"));

        let mut archive = ZipArchive::new(std::fs::File::open(files.path("out.npz")).unwrap()).unwrap();
        let mut bytes = Vec::new();
        archive.by_name("y.npy").unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes.ends_with(&testing::golden().outputs[0]));
        assert!(text(&bytes[10..128]).starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 64,), }"));

        let stats: serde_json::Value =
            serde_json::from_slice(&std::fs::read(files.path("stats.json")).unwrap()).unwrap();
        let keys: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
        let missing: Vec<_> = STATS_KEYS.iter().filter(|key| !keys.contains(key)).collect();
        assert!(missing.is_empty(), "{missing:?} of {keys:?}");
        for key in ["adapter", "declared_peak_bytes", "measured_peak_bytes", "weight_bytes_total", "bytes_read"]
            .into_iter()
            .chain(["cold_ms", "load_ms", "runs_ms", "pipelines", "dispatches"])
        {
            assert!(!stats[key].is_null(), "{key}");
        }
        assert_eq!(stats["runs_ms"].as_array().unwrap().len(), 3);
        assert_eq!(stats["declared_exceeded"], false);
    }
}

#[test]
fn what_is_at_fault_is_said() {
    let files = Files::new();
    let mut missing = golden_arrays();
    missing.pop();
    let mut double = golden_arrays();
    double[0].1 = npy("<f8", "(1, 64)", &[0; 512]);
    let cases = [
        (missing, "no array for input `ids` (I64 [2])"),
        (double, "cannot use `x` of in.npz: its type is `<f8`; convert it to float32"),
    ];
    for (arrays, message) in cases {
        write_npz(&files.path("in.npz"), CompressionMethod::Stored, &arrays);
        let output = files.run(&["small.fmplan", "--inputs", "in.npz", "--outputs", "out.npz"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
        assert!(!files.path("out.npz").exists());
    }
    let prompt = [("input_ids", npy("<i8", "(1, 2)", &[0; 16]))];
    write_npz(&files.path("prompt.npz"), CompressionMethod::Stored, &prompt);
    for (file, message) in [
        ("prompt.npz", "the bundle has no states: compile it with --state auto, or with --state OUT=IN"),
        ("in.npz", "no array for input `input_ids`"),
    ] {
        let output = files.run(&["generate", "small.fmplan", "--prompt-ids", file, "--tokens", "3"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
    let text_prompt = ["generate", "small.fmplan", "--prompt", "once", "--tokenizer", "none.json"];
    let said = text(&files.run(&text_prompt).stderr);
    let message = if cfg!(feature = "text") { "error: cannot read none.json: " } else { "was built without text" };
    assert!(said.contains(message), "{said}");
    for usage in [&text_prompt[..2], &text_prompt[..4], &[&text_prompt[..], &["--prompt-ids", "in.npz"]].concat()] {
        assert_eq!(files.run(usage).status.code(), Some(2), "{usage:?}");
    }
    // Every cause is printed once, and the file too.
    for (arguments, message) in [
        (["none.fmplan", "--self-test"].as_slice(), "error: cannot open none.fmplan: "),
        (&["small.fmplan", "--inputs", "none.npz"], "error: cannot open none.npz: "),
        (&["small.fmplan", "--self-test", "--budget", "1"], "error: cannot open small.fmplan: the bundle declares "),
    ] {
        let output = files.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        let line = said.lines().last().unwrap();
        assert!(line.starts_with(message) && line.matches(": ").count() == 2, "{said}");
    }
    assert_eq!(files.run(&["small.fmplan"]).status.code(), Some(2));
    assert_eq!(files.run(&["small.fmplan", "--self-test", "--repeat", "0"]).status.code(), Some(2));
}

#[test]
fn a_self_test_and_help_succeed() {
    let files = Files::new();
    let output = files.run(&["small.fmplan", "--self-test"]);
    assert!(output.status.success() && text(&output.stderr).contains("self-test: passed"), "{}", text(&output.stderr));
    let help = files.run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Examples:"));
}

#[test]
fn a_profile_is_measured_and_nothing_else_is_left() {
    let files = Files::new();
    let arguments = ["profile", "-o", "device.toml", "--size", "4M", "--repeats", "1", "--kernel-us", "1"];
    let output = files.run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for line in ["measuring: disk", "measuring: reusable kernels", "adapter: ", "GFLOP/s", "profile: device.toml"] {
        assert!(text(&output.stderr).contains(line), "{line}: {}", text(&output.stderr));
    }
    let profile = std::fs::read_to_string(files.path("device.toml")).unwrap();
    assert!(profile.contains("[capacity_curve]") && profile.contains("tiles = "), "{profile}");
    let mut left: Vec<_> = std::fs::read_dir(files.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["device.toml", "small.fmplan"]);
    assert_eq!(files.run(&["profile"]).status.code(), Some(2));
    assert_eq!(files.run(&["profile", "-o", "x.toml", "--size", "1000"]).status.code(), Some(1));
    assert_eq!(
        files.run(&["profile", "-o", "x.toml", "--size", "4M", "--adapter", "none such"]).status.code(),
        Some(1)
    );
    assert!(!files.path("x.toml").exists());
}

#[test]
fn a_benchmark_gives_figures() {
    let files = Files::new();
    let arguments = ["bench", "small.fmplan", "--cold", "--io-only", "--repeat", "2", "--json", "bench.json"];
    let output = files.run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(files.path("bench.json")).unwrap()).unwrap();
    assert_eq!(figures["plan_bytes"], 4 * 4096);
    for (section, key) in
        [("cold", "floor_ms"), ("cold", "over_floor"), ("io_only", "over_raw"), ("memory", "declared_bytes")]
    {
        assert!(figures[section][key].as_f64().is_some_and(|value| value > 0.0), "{section} {key}: {figures}");
    }
    assert_eq!(figures["cold"]["ms"]["values"].as_array().unwrap().len(), 2);
    assert_eq!(figures["raw"]["threads"].as_array().unwrap().len(), 4);
    assert_eq!(figures["warm"]["bytes_read_per_run"], 4 * 4096);
    assert_eq!(files.run(&["bench"]).status.code(), Some(2));
    assert_eq!(files.run(&["bench", "none.fmplan"]).status.code(), Some(1));
    assert_eq!(files.run(&["bench", "small.fmplan", "--io", "paper"]).status.code(), Some(2));
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let files = Files::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashmem-run"));
    let arguments = ["bench", "small.fmplan", "--repeat", "1", "--warmup", "0", "--json", "bench.json"];
    let ended = command.args(arguments).current_dir(files.path("")).stdout(writer).output().unwrap();
    assert!(ended.status.success(), "{:?}: {}", ended.status, text(&ended.stderr));
    assert_eq!(text(&ended.stderr), "warm runs\n");
    assert!(files.path("bench.json").exists());
    // Messages that nobody reads change nothing.
    for (arguments, code) in [(["small.fmplan", "--self-test"], 0), (["none.fmplan", "--self-test"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashmem-run"));
        let ended = command.args(arguments).current_dir(files.path("")).stderr(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn every_mode_of_reading_gives_the_same() {
    let files = Files::new();
    for mode in ["auto", "buffered", "cached", "direct", "mmap"] {
        let output = files.run(&["small.fmplan", "--self-test", "--io", mode, "--stats", "stats.json"]);
        assert!(output.status.success(), "{mode}: {}", text(&output.stderr));
        let stats: serde_json::Value =
            serde_json::from_slice(&std::fs::read(files.path("stats.json")).unwrap()).unwrap();
        let (used, note) = (stats["io_mode"].as_str().unwrap(), &stats["io_note"]);
        match mode {
            "auto" => assert!(["cached", "buffered"].contains(&used), "{used}"),
            // Some file systems refuse, and the note says so.
            "direct" => assert!((used == "direct") == note.is_null(), "{used} {note}"),
            _ => assert_eq!((used, note.is_null()), (mode, true)),
        }
    }
}

#[test]
fn networks_of_a_linked_bundle_run_by_name_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (app, times, order) = (path("app.fmplan"), path("times.json"), path("order.txt"));
    std::fs::write(&app, testing::linked::linked_bundle()).unwrap();
    std::fs::write(&order, "first second*2\nfirst\n").unwrap();
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_flashmem-run")).args(arguments).output().unwrap();
    for extra in [vec![], vec!["--unannounced"], vec!["--budget", "64MiB", "--keep-state"]] {
        let ran = run(&[vec!["sequence", &app, "--script", &order, "--json", &times], extra].concat());
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(
            said.contains("first: 2 runs") && said.contains("second: 2 runs") && said.contains("total: "),
            "{said}"
        );
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&times).unwrap()).unwrap();
        let names: Vec<_> =
            json["runs"].as_array().unwrap().iter().map(|run| run["network"].as_str().unwrap()).collect();
        assert_eq!(names, ["first", "second", "second", "first"]);
        assert_eq!(json["stats"]["declared_exceeded"], false);
    }
    let absent = path("absent.npz");
    for (arguments, part) in [
        (vec!["sequence", &app, "--sequence", "first third"], "there is no network `third`"),
        (vec!["sequence", &app, "--sequence", "first", "--budget", "1KiB"], "more than the budget"),
        (vec![app.as_str(), "--inputs", &absent], "name one with --network: first, second"),
        (vec![app.as_str(), "--network", "third", "--inputs", &absent], "the bundle has no network `third`"),
    ] {
        let refused = run(&arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(part), "{arguments:?}: {said}");
    }
    assert_eq!(run(&["sequence", &app]).status.code(), Some(2));
}
