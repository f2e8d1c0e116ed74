//! Shared pieces of the end-to-end tests: where the test models lie, how they are compiled and run, how arrays compare.
//!
//! It deliberately holds no test; those are in `tests/tests/`.

pub mod conformance;
pub mod renamed;

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::{CompileError, CompileOptions, Compiled, compile};
use flashmem_compiler::options::Keep;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, ElementType, Options, Outputs, PortInfo, Session, Stats, Tensor, npz};
use std::path::{Path, PathBuf};

/// `tests/FOLDER`. Cargo says at run time where the crate lies; with a target directory shared by several clones, what
/// was compiled in may be another one.
pub fn folder(name: &str) -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join(name)
}

/// `tests/models/FOLDER`.
pub fn models(name: &str) -> PathBuf {
    folder("models").join(name)
}

/// All `.onnx` files of a folder, in name order.
pub fn onnx_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .collect();
    files.sort();
    ensure!(!files.is_empty(), "{} holds no models", folder.display());
    Ok(files)
}

/// Default options at a precision: no budget, the software profile.
pub fn options(weights: Encoding) -> CompileOptions {
    CompileOptions::new(DeviceProfile::load("software").expect("a built-in profile"), weights)
}

/// The options for a device on which only element-wise kernels hide copies, one page each, and which keeps nothing: a page takes
/// twice a launch, of which such a kernel may slow down by three. Splitting an epilogue costs a launch and saves a page's copy.
pub fn short_of_capacity(options: CompileOptions, launch_us: f64) -> CompileOptions {
    const SMALLEST_PAGE_BYTES: f64 = 32768.0;
    let mut profile = options.profile.clone();
    profile.name = "short-of-capacity".to_owned();
    profile.disk_bytes_per_second = 1e12;
    profile.launch_us = launch_us;
    profile.upload_bytes_per_second = SMALLEST_PAGE_BYTES / (2.0 * launch_us * 1e-6);
    profile.throughput.elemental_bytes_per_second = 1e11;
    profile.load_capacity.elemental = 3.0;
    profile.load_capacity.reusable = 0.0;
    CompileOptions { profile, keep: Keep::None, ..options }
}

/// Compiles without progress.
///
/// # Errors
/// As [`compile`].
#[expect(clippy::result_large_err, reason = "one error ends a compilation, and none is on a hot path")]
pub fn compile_quietly(model: &Path, output: &Path, options: &CompileOptions) -> Result<Compiled, CompileError> {
    compile(model, output, options, &mut |_| ())
}

/// The smallest budget that works, as the refusal of a budget of one byte names it.
pub fn smallest_budget(model: &Path, output: &Path, options: &CompileOptions) -> anyhow::Result<u64> {
    let refused = compile_quietly(model, output, &CompileOptions { budget_bytes: Some(1), ..options.clone() });
    let text = refused.err().context("a budget of one byte is refused")?.to_string();
    let (_, rest) = text.split_once("smallest feasible budget: ").with_context(|| text.clone())?;
    Ok(rest.trim_end_matches(" bytes").parse()?)
}

/// What one session gave.
pub struct RunResult {
    /// Outputs of every run.
    pub outputs: Vec<Outputs>,
    /// Statistics after the last.
    pub stats: Stats,
    /// The bundle's outputs.
    pub ports: Vec<PortInfo>,
}

/// Opens a bundle and runs it `times` times on the arrays of an `.npz` file.
pub fn run(bundle: &Path, inputs: &Path, times: usize, reader_threads: u32) -> anyhow::Result<RunResult> {
    run_session(
        Session::builder(bundle).options(Options { reader_threads, ..Options::default() }).open()?,
        inputs,
        times,
    )
}

/// As [`run`], on a shared device: some drivers open a few hundred of them in a process, and no more.
pub fn run_on(
    context: &Context,
    bundle: &Path,
    inputs: &Path,
    times: usize,
    readers: u32,
) -> anyhow::Result<RunResult> {
    let options = Options { reader_threads: readers, ..Options::default() };
    run_session(Session::builder(bundle).on(context).options(options).open()?, inputs, times)
}

fn run_session(mut session: Session, inputs: &Path, times: usize) -> anyhow::Result<RunResult> {
    let arrays = npz::read(inputs, &session.inputs())?;
    let mut outputs = Vec::new();
    for _ in 0..times {
        outputs.push(session.run(&arrays)?);
    }
    let stats = session.stats();
    ensure!(
        stats.memory.measured_peak_bytes <= stats.memory.declared_peak_bytes,
        "measured peak {} exceeds the declared {}",
        stats.memory.measured_peak_bytes,
        stats.memory.declared_peak_bytes
    );
    Ok(RunResult { outputs, stats, ports: session.outputs() })
}

/// ‖a − b‖ / ‖b‖ in f64; 0 when both are zero. Infinite where NaNs and infinities do not coincide.
pub fn relative_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many elements");
    let (mut difference, mut norm) = (0.0_f64, 0.0_f64);
    for (f, e) in found.iter().zip(expected) {
        if f.to_bits() == e.to_bits() || (f.is_nan() && e.is_nan()) {
            norm += if e.is_finite() { f64::from(*e).powi(2) } else { 0.0 };
            continue;
        }
        if !f.is_finite() || !e.is_finite() {
            return f64::INFINITY;
        }
        difference += (f64::from(*f) - f64::from(*e)).powi(2);
        norm += f64::from(*e).powi(2);
    }
    let error = if difference == 0.0 { 0.0 } else { (difference / norm.max(f64::MIN_POSITIVE)).sqrt() };
    // An infinity or NaN on one side only.
    if error.is_nan() { f64::INFINITY } else { error }
}

/// Largest relative L2 error of the outputs against the arrays of the same names in an `.npz` file. Integers and booleans
/// must be equal.
pub fn error_against(outputs: &Outputs, reference: &Path, session_outputs: &[PortInfo]) -> anyhow::Result<f64> {
    let expected = npz::read(reference, session_outputs)?;
    let mut worst = 0.0_f64;
    for (name, want) in &expected {
        let got = outputs.get(name).with_context(|| format!("no output `{name}`"))?;
        ensure!(got.shape == want.shape, "`{name}` has shape {:?}, expected {:?}", got.shape, want.shape);
        ensure!(got.element == want.element, "`{name}` has type {:?}, expected {:?}", got.element, want.element);
        worst = worst.max(match floats(got).zip(floats(want)) {
            Some((g, w)) => relative_l2(&g, &w),
            None => {
                ensure!(got.bytes == want.bytes, "`{name}` differs");
                0.0
            }
        });
    }
    Ok(worst)
}

fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    match tensor.element {
        ElementType::F32 => tensor.as_f32(),
        ElementType::F16 => {
            Some(tensor.bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect())
        }
        ElementType::I32 | ElementType::I64 | ElementType::U8 | ElementType::I8 | ElementType::Bool => None,
    }
}
