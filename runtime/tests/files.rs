//! What `flashmem-run` does to files: it overwrites no input, leaves nothing half written, and refuses names that archives of
//! arrays cannot hold.
//!
//! The rules of writing one file are tested in plan-format (`tests/files.rs`).
#![cfg(unix)]

use flashmem_plan_format::plan::{ElementType, Plan};
use flashmem_plan_format::testing;
use flashmem_runtime::{Tensor, npz};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flashmem-run");

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// With the small bundle and its inputs.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write("small.fmplan", &testing::small_bundle());
        let mut inputs = testing::golden().inputs.into_iter();
        let mut tensor =
            |element, shape: &[u64]| Tensor { element, shape: shape.to_vec(), bytes: inputs.next().unwrap() };
        let x = ("x".to_owned(), tensor(ElementType::F32, &[1, 64]));
        npz::write(&files.path("in.npz"), &[x, ("ids".to_owned(), tensor(ElementType::I64, &[2]))]).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// Runs in a shell that first sets a limit.
    fn run_after(&self, first: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first}; exec \"$@\""), "sh", PROGRAM]).args(arguments);
        command.current_dir(self.folder.path()).output().unwrap()
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

#[test]
fn no_input_is_overwritten_and_no_output_twice() {
    let files = Files::new();
    symlink("in.npz", files.path("soft.npz")).unwrap();
    fs::hard_link(files.path("small.fmplan"), files.path("hard.fmplan")).unwrap();
    symlink("new", files.path("dangling")).unwrap();
    files.write("data", &[7; 5 << 20]);
    let run = ["small.fmplan", "--inputs", "in.npz"];
    let bench = ["bench", "small.fmplan", "--inputs", "in.npz", "--repeat", "1"];
    let profile = ["profile", "--file", "data"];
    let before: Vec<_> = files.names().into_iter().map(|name| fs::read(files.path(&name)).ok()).collect();
    for (first, rest, expected) in [
        (&run[..], &["--outputs", "in.npz"][..], "--inputs in.npz"),
        (&run, &["--outputs", "./soft.npz"], "--inputs in.npz"),
        (&run, &["--stats", "small.fmplan"], "the bundle small.fmplan"),
        (&run, &["--trace", "hard.fmplan"], "the bundle small.fmplan"),
        (&run, &["--outputs", "new", "--stats", "new"], "--outputs new"),
        (&run, &["--outputs", "dangling", "--trace", "new"], "--outputs dangling"),
        (&["small.fmplan", "--self-test"], &["--stats", "small.fmplan"], "the bundle"),
        (&bench, &["--json", "hard.fmplan"], "the bundle small.fmplan"),
        (&bench, &["--json", "soft.npz"], "--inputs in.npz"),
        (&profile, &["-o", "data"], "--file data"),
    ] {
        let output = files.run(&[first, rest].concat());
        refused(&output, &["same file", expected]);
        assert!(!text(&output.stderr).contains("adapter"), "before anything is opened: {}", text(&output.stderr));
        let after: Vec<_> = files.names().into_iter().map(|name| fs::read(files.path(&name)).ok()).collect();
        assert!(before == after, "{rest:?}");
    }
}

#[test]
fn links_devices_and_folders_stay_what_they_are() {
    let files = Files::new();
    symlink("real.json", files.path("stats.json")).unwrap();
    let run = |rest: &[&str]| files.run(&[&["small.fmplan", "--inputs", "in.npz"], rest].concat());
    let output = run(&["--outputs", "out.npz", "--stats", "stats.json", "--trace", "/dev/null"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::symlink_metadata(files.path("stats.json")).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(files.path("real.json")).unwrap().mode(),
        fs::metadata(files.path("in.npz")).unwrap().mode()
    );
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    // Everything can go through a pipe, arrays in one piece.
    let output = run(&["--outputs", "/dev/null", "--stats", "/dev/stdout"]);
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(stats["runs_ms"].is_array());
    assert!(run(&["--outputs", "/dev/stdout"]).stdout == files.read("out.npz"));
    refused(&run(&["--outputs", "."]), &["cannot write .: it is a directory"]);
    refused(&run(&["--trace", "none/t.json"]), &["there is no directory none"]);
    assert_eq!(files.names(), ["in.npz", "out.npz", "real.json", "small.fmplan", "stats.json"]);
}

#[test]
fn a_file_that_may_not_grow_is_an_error_that_names_it_and_the_old_one_stays() {
    let files = Files::new();
    for option in ["--outputs", "--stats", "--trace"] {
        files.write("out", b"good");
        let arguments = ["small.fmplan", "--inputs", "in.npz", option, "out"];
        // Even one byte is too much. What a driver would write then is its own concern.
        let output = files.run_after("ulimit -f 0", &arguments);
        refused(&output, &["cannot write out: ", "File too large"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let about_it = said.lines().filter(|line| line.contains("too large") || line.contains("TooLarge"));
        assert_eq!(about_it.collect::<Vec<_>>(), ["error: cannot write out: File too large (os error 27)"], "{option}");
        assert_eq!(files.read("out"), b"good", "{option}");
        assert_eq!(files.names(), ["in.npz", "out", "small.fmplan"]);
    }
    let output = files.run_after("ulimit -f 1", &["profile", "-o", "device.toml", "--size", "4MiB"]);
    refused(&output, &["flashmem-profile", "File too large"]);
    assert_eq!(files.names(), ["in.npz", "out", "small.fmplan"]);
}

#[test]
fn a_signal_leaves_nothing() {
    let files = Files::new();
    // The file that a profile is measured with is there for seconds.
    let mut command = Command::new(PROGRAM);
    command.args(["profile", "-o", "device.toml", "--size", "64MiB"]).current_dir(files.folder.path());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !files.names().iter().any(|name| name.ends_with(".flashmem-partial")) {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is measured");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(files.names(), ["in.npz", "small.fmplan"]);
}

#[test]
fn names_that_no_archive_can_hold_are_refused_before_the_run() {
    let files = Files::new();
    let named = |name: &str| {
        let mut plan: Plan = testing::small_plan();
        plan.outputs[0].name = name.to_owned();
        testing::declare(&mut plan, testing::constants().len() as u64);
        files.write("named.fmplan", &testing::bundle_of(&plan, Some(&testing::golden())));
    };
    let arguments = ["named.fmplan", "--inputs", "in.npz", "--outputs", "out.npz"];
    named("y\0z");
    let output = files.run(&arguments);
    refused(&output, &["NUL character"]);
    assert!(!text(&output.stderr).contains("runs:"), "{}", text(&output.stderr));
    // Without an archive it is a name like any other.
    assert!(files.run(&arguments[..3]).status.success());
    named(&"n".repeat(65_531));
    let output = files.run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::remove_file(files.path("named.fmplan")).unwrap();
    assert_eq!(files.names(), ["in.npz", "out.npz", "small.fmplan"]);
}

#[test]
fn sizes_are_those_of_the_compiler() {
    let files = Files::new();
    let of = |size: &str| files.run(&["small.fmplan", "--self-test", "--budget", size]);
    for size in ["35MB", "35MiB", "64M", "1.5GiB", "200m"] {
        assert!(of(size).status.success(), "{size}");
    }
    refused(&of("1kB"), &["the budget of 1000"]);
    refused(&of("1KiB"), &["the budget of 1024"]);
    for size in ["35MX", "1.5", "1e3MiB"] {
        assert_eq!(of(size).status.code(), Some(2), "{size}");
    }
}
