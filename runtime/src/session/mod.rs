//! A session: one bundle on one device, with everything that it will ever hold.
//!
//! Opening checks first and allocates then; see `opening.rs` for the order. A session is used by one thread at a time.

mod opening;
#[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "a browser keeps its own cache"))]
mod pipeline_cache;
mod pipelines;
mod resources;
mod trim;

pub(crate) use pipelines::{KnownPipelines, Pipelines};
pub(crate) use resources::{HostBuffers, ReadBuffer, Resources, WriteBuffer, WriteState, unmapped};

use crate::clock::Stopwatch;
use crate::context::Context;
use crate::control::RunControl;
use crate::counting::CountingSource;
use crate::error::Error;
use crate::fetch::AsyncReadAt;
use crate::gpu::Gpu;
use crate::io::{IoMode, IoNote};
use crate::ledger::{Ledger, plan_bytes};
use crate::options::Options;
use crate::patience::Patience;
use crate::replay::{self, Feed, Ran};
use crate::stats::Stats;
use crate::tensor::{Outputs, Tensor};
use crate::timeline::{Mark, Span, Timeline};
use crate::trace::Trace;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{Command, ElementType, PageId, Port};
use flashmem_plan_format::source::ReadAt;
use std::sync::Arc;
use wgpu::BindGroup;

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
    load_ms: f64,
    runs_ms: Vec<f64>,
    cold_ms: Option<f64>,
    /// Whether a run ended early, so that buffers must come back before the next one.
    unsettled: bool,
    /// Whether the arena holds what a completed run leaves there, so that the next run may repeat. False before the
    /// first run, during every run, after one that failed, and when the arena is gone.
    repeats: bool,
    /// Time of every completed run on the CPU until its last submission, without waiting and submitting.
    setup_runs_ms: Vec<f64>,
    /// Time that every completed run took to submit.
    submit_runs_ms: Vec<f64>,
    /// Bytes read by every completed run. What is read ahead counts for the run that it is for.
    bytes_read_runs: Vec<u64>,
    /// Bytes read before the run that is going on, or the next one.
    bytes_read_before: u64,
    /// Why the session cannot run any more.
    lost: Option<String>,
    /// How the file is read, and why not as wanted; `None` for a source that is no file.
    io: Option<(IoMode, Option<IoNote>)>,
}

/// What a run only reads.
///
/// Fields are dropped in order: first what has threads, then what these use.
pub(crate) struct Parts {
    pub(crate) feed: Feed,
    pub(crate) pipelines: Pipelines,
    /// `None` after a trim.
    held: Option<Held>,
    pub(crate) gpu: Gpu,
    pub(crate) source: Arc<CountingSource>,
    /// Without constants, parameters and kernel sources, which the device has, and without checksums, which the feed has.
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) options: Options,
    /// Pages of a first run in order of loading.
    pub(crate) loads: Arc<[PageId]>,
    /// Pages of a later run in order of loading.
    pub(crate) repeat_loads: Arc<[PageId]>,
    /// What became of the pipeline cache, when one was wanted.
    pub(crate) cache_state: Option<&'static str>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) trace: Option<Arc<Trace>>,
}

/// What a session can give back between runs.
pub(crate) struct Held {
    /// By dispatch.
    pub(crate) bind_groups: Vec<BindGroup>,
    pub(crate) resources: Resources,
}

/// One of the plan's programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) commands: &'a [Command],
    /// Its pages in order of loading.
    pub(crate) loads: &'a Arc<[PageId]>,
}

impl Parts {
    /// What dispatches and copies use.
    pub(crate) fn held(&self) -> &Held {
        self.held.as_ref().expect("every run takes again what was given back")
    }

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
    /// Opens the bundle at `path`, which is read as [`Options::io_mode`] says.
    ///
    /// # Errors
    /// Everything of [`Session::open_source`], and a file that cannot be opened.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<std::path::Path>, options: &Options) -> Result<Self, Error> {
        let file = crate::io::open(path.as_ref(), options.io_mode)?;
        let mut session = Self::open_source(file.source, options)?;
        session.io = Some((file.mode, file.note));
        Ok(session)
    }

    /// Opens a bundle from any source. Pages for the first run are read, and pipelines created, from here on: a run that
    /// comes soon finds a part of its work done, and waits for the rest.
    ///
    /// # Errors
    /// An invalid bundle, a budget below its declared peak, no adapter, a missing limit, no device memory. The first four
    /// are found before anything is allocated on the device. A kernel that the device rejects fails the first run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_source(source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        pollster::block_on(Self::open_async(source, options))
    }

    /// Opens a bundle where blocking is not allowed.
    ///
    /// # Errors
    /// As [`Session::open_source`].
    pub async fn open_async(source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        opening::open(None, CountingSource::new(source), options).await
    }

    /// Opens a bundle from a source that answers later, as in a browser. Pages for the first run are on their way from here
    /// on, up to [`Options::reader_threads`] at a time.
    ///
    /// # Errors
    /// As [`Session::open_source`].
    pub async fn open_fetched(source: Arc<dyn AsyncReadAt>, options: &Options) -> Result<Self, Error> {
        opening::open(None, CountingSource::fetched(source), options).await
    }

    /// Opens a bundle on a device that other sessions use too; [`Options::adapter`] is ignored.
    ///
    /// # Errors
    /// As [`Session::open_source`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_on(context: &Context, source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        pollster::block_on(Self::open_on_async(context, source, options))
    }

    /// Opens a bundle on a shared device where blocking is not allowed.
    ///
    /// # Errors
    /// As [`Session::open_source`].
    pub async fn open_on_async(context: &Context, source: Arc<dyn ReadAt>, options: &Options) -> Result<Self, Error> {
        opening::open(Some(context), CountingSource::new(source), options).await
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
        self.run_with(inputs, RunControl::new())
    }

    /// As [`Session::run`], with progress or cancellation.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Error::Cancelled`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_with<N: AsRef<str>>(
        &mut self,
        inputs: &[(N, Tensor)],
        control: RunControl<'_>,
    ) -> Result<Outputs, Error> {
        pollster::block_on(self.run_in(inputs, control, true))
    }

    /// Runs the model once without sleeping in the thread that polls it. Dropping the future ends the run, and the session
    /// can run again. Where there are no reader threads, a page is read by the thread that polls.
    ///
    /// # Errors
    /// As for a blocking run.
    pub async fn run_async<N: AsRef<str>>(&mut self, inputs: &[(N, Tensor)]) -> Result<Outputs, Error> {
        self.run_async_with(inputs, RunControl::new()).await
    }

    /// As [`Session::run_async`], with progress or cancellation.
    ///
    /// # Errors
    /// As [`Session::run_async`], and [`Error::Cancelled`].
    pub async fn run_async_with<N: AsRef<str>>(
        &mut self,
        inputs: &[(N, Tensor)],
        control: RunControl<'_>,
    ) -> Result<Outputs, Error> {
        self.run_in(inputs, control, false).await
    }

    async fn run_in<N: AsRef<str>>(
        &mut self,
        inputs: &[(N, Tensor)],
        mut control: RunControl<'_>,
        may_block: bool,
    ) -> Result<Outputs, Error> {
        let patience = Patience::new(self.parts.options.timeout, may_block, control.cancel.take());
        self.check_lost()?;
        let inputs = replay::bind_inputs(&self.parts.bundle.plan, inputs)?;
        replay::check_inputs(&self.parts.bundle.plan, &inputs)?;
        self.prepare(&patience).await?;
        let running = Stopwatch::start();
        let program = self.parts.program(std::mem::take(&mut self.repeats));
        let result = replay::run(&self.parts, program, &mut self.buffers, &inputs, &patience, &mut control).await;
        let outputs = self.after_run(running, result, &patience).await?;
        replay::check_outputs(&self.parts.bundle.plan, &outputs)?;
        Ok(outputs)
    }

    /// What the session did so far, beside what the plan predicts, in the Chrome trace format (for Perfetto); `None` unless
    /// [`Options::trace`] is set.
    pub fn trace(&self) -> Option<String> {
        let trace = self.parts.trace.as_ref()?;
        Some(trace.export(&self.parts.bundle.plan, &self.parts.timeline))
    }

    /// What was measured so far.
    pub fn stats(&self) -> Stats {
        let plan = &self.parts.bundle.plan;
        let timeline = &self.parts.timeline;
        let declared_peak_bytes = declared_peak_bytes(&self.parts.bundle);
        let measured_peak_bytes = self.ledger.peak_bytes();
        Stats {
            adapter: self.parts.gpu.info.name.clone(),
            backend: self.parts.gpu.info.backend.to_string(),
            software: self.parts.gpu.is_software(),
            declared_peak_bytes,
            declared_host_bytes: plan.memory.host_bytes,
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
            setup_runs_ms: self.setup_runs_ms.clone(),
            submit_runs_ms: self.submit_runs_ms.clone(),
            cold_ms: self.cold_ms,
            pipelines: self.parts.pipelines.count(),
            dispatches: plan.dispatches.len() as u32,
            loads: self.parts.loads.len() as u32,
            loads_repeat: self.parts.program(true).loads.len() as u32,
            bytes_read_runs: self.bytes_read_runs.clone(),
            reader_threads: self.parts.options.reader_threads,
            io_mode: self.io.as_ref().map(|(mode, _)| *mode),
            io_note: self.io.as_ref().and_then(|(_, note)| Some(note.as_ref()?.to_string())),
            pipeline_cache: self.parts.cache_state,
            validate_ms: timeline.mark_ms(Mark::Validated),
            adapter_ms: timeline.mark_ms(Mark::Adapter),
            device_ms: timeline.mark_ms(Mark::Device),
            staging_ms: timeline.mark_ms(Mark::Staging),
            reading_began_ms: timeline.mark_ms(Mark::ReadingBegan),
            first_page_ms: timeline.mark_ms(Mark::FirstPage),
            last_page_ms: timeline.mark_ms(Mark::LastPage),
            allocated_ms: timeline.mark_ms(Mark::Allocated),
            pipelines_ms: timeline.mark_ms(Mark::Pipelines),
            first_dispatch_ms: timeline.mark_ms(Mark::FirstDispatch),
            last_dispatch_ms: timeline.mark_ms(Mark::LastDispatch),
            readback_ms: timeline.mark_ms(Mark::Readback),
            read_busy_ms: timeline.span_ms(Span::Reading),
            readers_wait_ms: timeline.span_ms(Span::ReadersWait),
            submit_ms: timeline.span_ms(Span::Submit),
            page_wait_ms: timeline.span_ms(Span::PageWait),
            pipeline_wait_ms: timeline.span_ms(Span::PipelineWait),
            before_open_ms: None,
            predicted_cold_ms: plan.predicted_cold_us as f64 / 1e3,
            predicted_warm_ms: plan.predicted_warm_us as f64 / 1e3,
        }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What a run from an empty arena needs.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn for_a_first_run(&mut self) -> (&Parts, &mut HostBuffers) {
        self.repeats = false;
        (&self.parts, &mut self.buffers)
    }

    fn check_lost(&self) -> Result<(), Error> {
        match &self.lost {
            Some(reason) => Err(Error::SessionLost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Before a run: everything is with the host, and allocated.
    pub(crate) async fn prepare(&mut self, patience: &Patience) -> Result<(), Error> {
        self.check_lost()?;
        if self.unsettled {
            self.settle(patience).await?;
            self.bytes_read_before = self.parts.source.bytes_read();
        }
        self.take_again(patience).await?;
        self.unsettled = true;
        Ok(())
    }

    /// Brings back what a run left with readers or with the device.
    async fn settle(&mut self, patience: &Patience) -> Result<(), Error> {
        match self.buffers.settle(&self.parts.gpu, &self.parts.feed, patience).await {
            Ok(()) => {
                self.unsettled = false;
                if let Some(trace) = &self.parts.trace {
                    trace.all_returned();
                }
            }
            Err(error) if error.loses_session() => self.lost = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        self.check_lost()
    }

    /// After a run: gives what it gave and the bytes that were read for it. The buffers of a run that failed come back
    /// when the next one starts.
    pub(crate) async fn conclude<T>(
        &mut self,
        result: Result<T, Error>,
        patience: &Patience,
    ) -> Result<(T, u64), Error> {
        self.lost = result.as_ref().err().filter(|error| error.loses_session()).map(ToString::to_string);
        let value = result?;
        self.settle(patience).await?;
        let bytes_read = self.parts.source.bytes_read();
        Ok((value, bytes_read - std::mem::replace(&mut self.bytes_read_before, bytes_read)))
    }

    /// Takes a run into the statistics.
    async fn after_run(
        &mut self,
        clock: Stopwatch,
        result: Result<Ran, Error>,
        patience: &Patience,
    ) -> Result<Outputs, Error> {
        let (ran, bytes_read) = self.conclude(result, patience).await?;
        self.repeats = true;
        self.runs_ms.push(clock.elapsed_ms());
        self.setup_runs_ms.push(ran.setup.as_secs_f64() * 1e3);
        self.submit_runs_ms.push(ran.submit.as_secs_f64() * 1e3);
        self.bytes_read_runs.push(bytes_read);
        if self.cold_ms.is_none() {
            self.cold_ms = Some(self.parts.timeline.elapsed_ms());
        }
        let output_bytes: u64 = ran.outputs.tensors.iter().map(|(_, tensor)| tensor.bytes.capacity() as u64).sum();
        let run_bytes = replay::host_bytes(&self.parts) + output_bytes;
        self.ledger.sample(&self.parts.gpu.device, host_bytes(&self.parts) + run_bytes);
        Ok(ran.outputs)
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

/// What a session holds on the host between runs.
fn host_bytes(parts: &Parts) -> u64 {
    plan_bytes(&parts.bundle.plan)
        + parts.pipelines.source_bytes()
        + parts.feed.host_bytes()
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
        Arc::make_mut(&mut session.parts.bundle).plan.commands.retain(|command| *command != Command::Submit);
        let error = session.run(&inputs()).unwrap_err();
        assert!(matches!(error, Error::RingStalled { page: PageId(2), .. }), "{error}");
        Arc::make_mut(&mut session.parts.bundle).plan = testing::small_plan();
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
