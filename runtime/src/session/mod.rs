//! A session: one bundle on one device, with everything that it will ever hold.
//!
//! Opening checks first and allocates then; see `resources.rs` for the order. A session is used by one thread at a time.

mod pipelines;
mod resources;

pub(crate) use resources::{HostBuffers, ReadBuffer, Resources, WriteBuffer, WriteState, unmapped};

use crate::clock::Stopwatch;
use crate::counting::CountingSource;
use crate::device;
use crate::error::Error;
use crate::gpu::Gpu;
use crate::ledger::{Ledger, plan_bytes};
use crate::options::Options;
use crate::replay;
use crate::stats::Stats;
use crate::tensor::{Outputs, Tensor};
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{Command, ElementType, PageId, Port};
use flashmem_plan_format::source::ReadAt;
use std::sync::Arc;
use wgpu::{BindGroup, ComputePipeline};

/// A public input or output of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// The ONNX name.
    pub name: String,
    /// Element type.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
}

/// An opened bundle, ready to run.
pub struct Session {
    parts: Parts,
    buffers: HostBuffers,
    ledger: Ledger,
    opened: Stopwatch,
    load_ms: f64,
    runs_ms: Vec<f64>,
    cold_ms: Option<f64>,
    /// Whether the arena holds what a completed run leaves there, so that the next run may repeat. False before the
    /// first run, during every run, after one that failed, and when the arena is gone.
    repeats: bool,
    /// Bytes read by every completed run.
    bytes_read_runs: Vec<u64>,
    /// Why the session cannot run any more.
    lost: Option<String>,
}

/// What a run only reads.
pub(crate) struct Parts {
    pub(crate) gpu: Gpu,
    pub(crate) source: CountingSource,
    /// Without constants, parameters and kernel sources, which the device has.
    pub(crate) bundle: Bundle,
    pub(crate) options: Options,
    pub(crate) resources: Resources,
    pub(crate) pipelines: Vec<ComputePipeline>,
    /// By dispatch.
    pub(crate) bind_groups: Vec<BindGroup>,
    /// Pages of a first run in order of loading.
    pub(crate) loads: Vec<PageId>,
    /// Pages of a later run in order of loading.
    pub(crate) repeat_loads: Vec<PageId>,
}

/// One of the plan's programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) commands: &'a [Command],
    /// Its pages in order of loading.
    pub(crate) loads: &'a [PageId],
}

impl Parts {
    /// The program of a run that finds the arena as a completed run leaves it, or of one that does not.
    pub(crate) fn program(&self, repeats: bool) -> Program<'_> {
        let plan = &self.bundle.plan;
        if repeats && !plan.repeat_commands.is_empty() {
            Program { commands: &plan.repeat_commands, loads: &self.repeat_loads }
        } else {
            Program { commands: &plan.commands, loads: &self.loads }
        }
    }
}

impl Session {
    /// Opens the bundle at `path`.
    ///
    /// # Errors
    /// Everything of [`Session::open_source`], and a file that cannot be opened.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<std::path::Path>, options: &Options) -> Result<Self, Error> {
        let path = path.as_ref();
        let source = flashmem_plan_format::source::FileSource::open(path)
            .map_err(|source| Error::OpenFile { path: path.to_owned(), source })?;
        Self::open_source(Arc::new(source), options)
    }

    /// Opens a bundle from any source.
    ///
    /// # Errors
    /// An invalid bundle, a budget below its declared peak, no adapter, a missing limit, no device memory, a kernel that
    /// the device rejects. The first four are found before anything is allocated on the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_source(source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        pollster::block_on(Self::open_async(source, options))
    }

    /// Opens a bundle where blocking is not allowed.
    ///
    /// # Errors
    /// As [`Session::open_source`].
    pub async fn open_async(source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        let opened = Stopwatch::start();
        let source = CountingSource::new(source);
        let mut bundle = Bundle::open_without_golden(&source)?;
        check_budget(&bundle, options)?;
        let gpu = device::open(&bundle.plan.requirements, options.adapter.as_deref()).await?;
        let mut ledger = Ledger::start(&gpu.device);
        let constants = std::mem::take(&mut bundle.constants);
        let (pipelines, bind_groups, resources, buffers) =
            build(&gpu, &bundle, constants, &mut ledger, options).await?;
        strip(&mut bundle);
        let (loads, repeat_loads) = (loads(&bundle.plan.commands), loads(&bundle.plan.repeat_commands));
        let options = options.clone();
        let parts = Parts { gpu, source, bundle, options, resources, pipelines, bind_groups, loads, repeat_loads };
        ledger.sample(&parts.gpu.device, host_bytes(&parts));
        let load_ms = opened.elapsed_ms();
        Ok(Self {
            parts,
            buffers,
            ledger,
            opened,
            load_ms,
            runs_ms: Vec::new(),
            cold_ms: None,
            repeats: false,
            bytes_read_runs: Vec::new(),
            lost: None,
        })
    }

    /// The inputs that a run takes, in the model's order.
    pub fn inputs(&self) -> Vec<PortInfo> {
        self.parts.bundle.plan.inputs.iter().map(PortInfo::of).collect()
    }

    /// The outputs that a run gives, in the model's order.
    pub fn outputs(&self) -> Vec<PortInfo> {
        self.parts.bundle.plan.outputs.iter().map(PortInfo::of).collect()
    }

    /// Runs the model once.
    ///
    /// # Errors
    /// Inputs that do not fit, a page or row that cannot be read or fails its checksum, trouble of the device. No output is
    /// returned then, and the session can run again unless the error says that it is lost.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run<N: AsRef<str>>(&mut self, inputs: &[(N, Tensor)]) -> Result<Outputs, Error> {
        self.before_run()?;
        let inputs = replay::bind_inputs(&self.parts.bundle.plan, inputs)?;
        let started = Started::now(&self.parts);
        let program = self.parts.program(std::mem::take(&mut self.repeats));
        let result = replay::run_with_threads(&self.parts, program, &mut self.buffers, &inputs);
        pollster::block_on(self.after_run(started, result))
    }

    /// Runs the model once where blocking is not allowed; pages are read when they are needed.
    ///
    /// # Errors
    /// As for a blocking run.
    pub async fn run_async<N: AsRef<str>>(&mut self, inputs: &[(N, Tensor)]) -> Result<Outputs, Error> {
        self.before_run()?;
        let inputs = replay::bind_inputs(&self.parts.bundle.plan, inputs)?;
        let started = Started::now(&self.parts);
        let program = self.parts.program(std::mem::take(&mut self.repeats));
        let result = replay::run_inline(&self.parts, program, &mut self.buffers, &inputs).await;
        self.after_run(started, result).await
    }

    /// What was measured so far.
    pub fn stats(&self) -> Stats {
        let plan = &self.parts.bundle.plan;
        let declared_peak_bytes = declared_peak_bytes(&self.parts.bundle);
        let measured_peak_bytes = self.ledger.peak_bytes();
        Stats {
            adapter: self.parts.gpu.info.name.clone(),
            backend: self.parts.gpu.info.backend.to_string(),
            software: self.parts.gpu.is_software(),
            declared_peak_bytes,
            measured_peak_bytes,
            declared_exceeded: measured_peak_bytes > declared_peak_bytes,
            device_allocated_bytes: self.ledger.device_allocated_bytes(),
            device_reserved_bytes: self.ledger.device_reserved_bytes(),
            device_recorded_bytes: self.ledger.recorded_bytes(),
            device_recorded_by_kind: self.ledger.by_kind(),
            host_bytes: self.ledger.host_bytes(),
            weight_bytes_total: plan.weight_bytes,
            bytes_read: self.parts.source.bytes_read(),
            load_ms: self.load_ms,
            runs_ms: self.runs_ms.clone(),
            cold_ms: self.cold_ms,
            pipelines: self.parts.pipelines.len() as u32,
            dispatches: plan.dispatches.len() as u32,
            loads: self.parts.loads.len() as u32,
            loads_repeat: self.parts.program(true).loads.len() as u32,
            bytes_read_runs: self.bytes_read_runs.clone(),
            reader_threads: self.parts.options.reader_threads,
            predicted_cold_ms: plan.predicted_cold_us as f64 / 1e3,
            predicted_warm_ms: plan.predicted_warm_us as f64 / 1e3,
        }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn before_run(&self) -> Result<(), Error> {
        match &self.lost {
            Some(reason) => Err(Error::SessionLost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Brings the buffers back, whatever happened, and takes the run into the statistics.
    async fn after_run(&mut self, started: Started, result: Result<Outputs, Error>) -> Result<Outputs, Error> {
        let timeout = self.parts.options.timeout;
        let settled = match &result {
            Err(error) if error.loses_session() => Err(error.to_string()),
            _ => self.buffers.settle(&self.parts.gpu, timeout).await.map_err(|error| error.to_string()),
        };
        self.lost = settled.err();
        let outputs = result?;
        self.before_run()?;
        self.repeats = true;
        self.runs_ms.push(started.clock.elapsed_ms());
        self.bytes_read_runs.push(self.parts.source.bytes_read() - started.bytes_read);
        if self.cold_ms.is_none() {
            self.cold_ms = Some(self.opened.elapsed_ms());
        }
        let output_bytes: u64 = outputs.tensors.iter().map(|(_, tensor)| tensor.bytes.capacity() as u64).sum();
        let run_bytes = replay::host_bytes(&self.parts) + output_bytes;
        self.ledger.sample(&self.parts.gpu.device, host_bytes(&self.parts) + run_bytes);
        Ok(outputs)
    }
}

/// Where a run began.
struct Started {
    clock: Stopwatch,
    bytes_read: u64,
}

impl Started {
    fn now(parts: &Parts) -> Self {
        Self { clock: Stopwatch::start(), bytes_read: parts.source.bytes_read() }
    }
}

impl std::fmt::Display for PortInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({:?} {:?})", self.name, self.element, self.shape)
    }
}

impl PortInfo {
    fn of(port: &Port) -> Self {
        Self { name: port.name.clone(), element: port.element, shape: port.shape.clone() }
    }
}

fn declared_peak_bytes(bundle: &Bundle) -> u64 {
    bundle.plan.memory.total_bytes().expect("a validated plan's declaration does not overflow")
}

fn check_budget(bundle: &Bundle, options: &Options) -> Result<(), Error> {
    let declared_bytes = declared_peak_bytes(bundle);
    match options.budget_bytes {
        Some(budget_bytes) if budget_bytes < declared_bytes => Err(Error::Budget { declared_bytes, budget_bytes }),
        _ => Ok(()),
    }
}

type Built = (Vec<ComputePipeline>, Vec<BindGroup>, Resources, HostBuffers);

/// Allocates, and creates pipelines meanwhile.
async fn build(
    gpu: &Gpu,
    bundle: &Bundle,
    constants: Vec<u8>,
    ledger: &mut Ledger,
    options: &Options,
) -> Result<Built, Error> {
    let plan = &bundle.plan;
    let layouts = pipelines::Layouts::create(gpu, plan).await?;
    let host_bytes = plan_bytes(plan) + checksum_bytes(bundle);
    let allocate = resources::allocate(gpu, plan, constants, host_bytes, ledger, options.timeout);
    #[cfg(not(target_arch = "wasm32"))]
    let (created, allocated) =
        pipelines::create_while(&gpu.device, &layouts, &plan.pipelines, options.pipeline_threads.max(1), || {
            pollster::block_on(allocate)
        });
    #[cfg(target_arch = "wasm32")]
    let (allocated, created) = (allocate.await, pipelines::create_all(&gpu.device, &layouts, &plan.pipelines).await);
    let (resources, buffers) = allocated?;
    let bind_groups = pipelines::bind_groups(gpu, &layouts, plan, &resources).await?;
    Ok((created?, bind_groups, resources, buffers))
}

/// Drops what the device has by now.
fn strip(bundle: &mut Bundle) {
    bundle.plan.params = Vec::new();
    for pipeline in &mut bundle.plan.pipelines {
        pipeline.source = String::new();
    }
}

fn loads(commands: &[Command]) -> Vec<PageId> {
    let pages = commands.iter().filter_map(|command| match command {
        Command::Load { page, .. } => Some(*page),
        Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
    });
    pages.collect()
}

fn checksum_bytes(bundle: &Bundle) -> u64 {
    size_of_val(&*bundle.page_checksums) as u64
}

/// What a session holds on the host between runs.
fn host_bytes(parts: &Parts) -> u64 {
    plan_bytes(&parts.bundle.plan)
        + checksum_bytes(&parts.bundle)
        + (size_of_val(&*parts.loads) + size_of_val(&*parts.repeat_loads)) as u64
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use flashmem_plan_format::MemorySource;
    use flashmem_plan_format::testing;

    fn session() -> Session {
        let source = Arc::new(MemorySource::from(testing::small_bundle()));
        Session::open_source(source, &Options::default()).unwrap()
    }

    fn inputs() -> [(&'static str, Tensor); 2] {
        [("x", Tensor::from_f32(&[1, 64], &[0.0; 64])), ("ids", Tensor::from_i64(&[2], &[0, 1]))]
    }

    #[test]
    fn a_lost_device_ends_the_session() {
        let mut session = session();
        session.run(&inputs()).unwrap();
        session.parts.gpu.device.destroy();
        let error = session.run(&inputs()).unwrap_err();
        assert!(error.loses_session(), "{error}");
        let error = session.run(&inputs()).unwrap_err();
        assert!(matches!(error, Error::SessionLost { .. }), "{error}");
    }

    #[test]
    fn a_load_into_a_buffer_that_is_not_submitted_is_refused() {
        let mut session = session();
        session.parts.bundle.plan.commands.retain(|command| *command != Command::Submit);
        let error = session.run(&inputs()).unwrap_err();
        assert!(matches!(error, Error::RingStalled { page: PageId(2), .. }), "{error}");
        session.parts.bundle.plan = testing::small_plan();
        session.run(&inputs()).unwrap();
    }

    #[test]
    fn nothing_is_allocated_after_loading() {
        let mut session = session();
        let loaded = session.parts.gpu.device.generate_allocator_report().map(|report| report.allocations.len());
        for _ in 0..2 {
            session.run(&inputs()).unwrap();
            let now = session.parts.gpu.device.generate_allocator_report().map(|report| report.allocations.len());
            assert_eq!(now, loaded);
        }
    }
}
