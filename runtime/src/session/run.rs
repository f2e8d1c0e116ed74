//! The session, what it is in between two steps of its life, its runs and what it says about them.

use super::records::Records;
use crate::api::{Error, IoStats, MemoryStats, Options, Outputs, PlanStats, PortInfo, RunRecord, RunRequest, Stats};
use crate::device::{Ledger, Reservation, plan_bytes};
use crate::io::FileMode;
use crate::loaded::{HostBuffers, Input, Loaded};
use crate::replay::{self, Ports, RunResult};
use crate::time::{Stopwatch, Wait};
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{Command, Plan};

/// An opened bundle, ready to run. [`Session::builder`] opens one.
///
/// Fields are dropped in order: first the readers, then what they use.
pub struct Session {
    pub(super) input: Input,
    pub(super) loaded: Loaded,
    pub(super) buffers: HostBuffers,
    pub(super) ledger: Ledger,
    pub(super) options: Options,
    pub(super) condition: Condition,
    pub(super) load_ms: f64,
    pub(super) cold_ms: Option<f64>,
    /// Completed runs.
    pub(super) runs: Records,
    /// Bytes read before the run that is going on, or the next one.
    pub(super) bytes_read_before: u64,
    /// What became of the pipeline cache, when one was requested.
    pub(super) cache_state: Option<&'static str>,
    /// What lives from run to run, while the rest was given back.
    pub(super) states: Option<wgpu::Buffer>,
    /// Position of the network that runs after the next run, where the app has said it.
    pub(super) announced: Option<usize>,
    /// `None` for a source that is no file.
    pub(super) file_mode: Option<FileMode>,
    /// Its part of the budget that it shares with others on the device. The last field: nothing is freed behind it.
    pub(super) reservation: Option<Reservation>,
}

/// What a session is in between two steps of its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Every buffer is with the host, or with the readers for the next run. With `repeats`, the arena holds what a completed
    /// run leaves there, so that the next one may repeat.
    Settled { repeats: bool },
    /// A run is going on, or ended early: buffers must come back before the next one, which finds an arena of no use.
    Unsettled,
    /// Everything on the device was given back.
    Trimmed,
    /// It cannot run any more.
    Lost { reason: String },
}

impl Session {
    /// Runs the model once: `session.run(&inputs)` with names and tensors, or a [`RunRequest`] that names one of several networks,
    /// reports its progress or can be cancelled.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`] and [`Error::NetworkNotNamed`], inputs that do not fit or were
    /// [not handed over](crate::InputError::NotHanded), a page or row that cannot be read or fails its checksum, trouble of the device,
    /// [`Error::Cancelled`]. No output is returned then, and the session can run again unless the error says that it is lost.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run<'a>(&mut self, request: impl Into<RunRequest<'a>>) -> Result<Outputs, Error> {
        pollster::block_on(self.run_once(request.into(), true))
    }

    /// As a blocking run, without sleeping in the thread that polls it. Dropping the future ends the run, and the session can
    /// run again. Where there are no reader threads, a page is read by the thread that polls.
    ///
    /// # Errors
    /// As for a blocking run.
    pub async fn run_async<'a>(&mut self, request: impl Into<RunRequest<'a>>) -> Result<Outputs, Error> {
        self.run_once(request.into(), false).await
    }

    pub(super) async fn run_once(&mut self, mut request: RunRequest<'_>, may_block: bool) -> Result<Outputs, Error> {
        let wait = Wait::new(self.options.timeout, may_block, request.cancel.take());
        self.check_lost()?;
        match request.network {
            Some(name) => self.run_one(name, request, wait).await,
            None if self.loaded.networks.list.is_empty() => self.run_only(request, wait).await,
            None => Err(Error::NetworkNotNamed { available: self.loaded.networks.names() }),
        }
    }

    /// Runs the only network once.
    async fn run_only(&mut self, mut request: RunRequest<'_>, wait: Wait) -> Result<Outputs, Error> {
        let inputs = replay::bind_inputs(&self.loaded.bundle.plan, &request.inputs, &|_| None)?;
        replay::check_inputs(&self.loaded.bundle.plan, &inputs)?;
        let ports = Ports { inputs, staying: Vec::new() };
        let repeats = self.prepare(&wait).await?;
        let running = Stopwatch::start();
        let (list, buffers) = (self.loaded.commands(repeats), &mut self.buffers);
        let result = replay::run((&self.loaded, &self.input), list, buffers, &ports, &wait, &mut request).await;
        let outputs = self.after_run(running, result, &wait).await?;
        replay::check_outputs(&self.loaded.bundle.plan, &outputs)?;
        self.commit(&[])?;
        Ok(outputs)
    }

    /// The inputs that a run takes, in the model's order; nothing where there are several networks ([`Session::network`]).
    pub fn inputs(&self) -> Vec<PortInfo> {
        self.loaded.whole.plan.inputs.iter().map(PortInfo::of).collect()
    }

    /// The outputs that a run gives, in the model's order; nothing where there are several networks.
    pub fn outputs(&self) -> Vec<PortInfo> {
        self.loaded.whole.plan.outputs.iter().map(PortInfo::of).collect()
    }

    /// What the session did so far, beside what the plan predicts, in the Chrome trace format (for Perfetto); `None` unless
    /// [`Options::trace`] is set.
    pub fn trace(&self) -> Option<String> {
        let trace = self.loaded.trace.as_ref()?;
        Some(trace.export(&self.loaded.whole.plan, &self.loaded.plans(), &self.loaded.timeline))
    }

    /// What was measured so far.
    pub fn stats(&self) -> Stats {
        let gpu = &self.loaded.gpu;
        Stats {
            adapter: gpu.info.name.clone(),
            backend: gpu.info.backend.to_string(),
            software: gpu.is_software(),
            memory: self.memory_stats(),
            plan: self.plan_stats(),
            io: self.io_stats(),
            pipeline_cache: self.cache_state,
            load_ms: self.load_ms,
            cold_ms: self.cold_ms,
            run_count: self.runs.count,
            runs: self.runs.last(),
            phases: self.loaded.timeline.phases(),
        }
    }

    fn memory_stats(&self) -> MemoryStats {
        let declared_peak_bytes = declared_peak_bytes(&self.loaded.whole);
        let measured_peak_bytes = self.ledger.peak_bytes();
        MemoryStats {
            declared_peak_bytes,
            declared_host_bytes: self.loaded.whole.plan.memory.host_bytes,
            measured_peak_bytes,
            declared_exceeded: measured_peak_bytes > declared_peak_bytes,
            device_allocated_bytes: self.ledger.device_allocated_bytes(),
            device_reserved_bytes: self.ledger.device_reserved_bytes(),
            device_recorded_bytes: self.ledger.recorded_bytes(),
            device_recorded_by_kind: self.ledger.by_kind(),
            host_bytes: self.ledger.host_bytes(),
        }
    }

    fn plan_stats(&self) -> PlanStats {
        let repeat_loads = self.loaded.commands(true).loads.len();
        let plan = &self.loaded.whole.plan;
        let of_networks = |count: fn(&Plan) -> usize| {
            self.loaded.networks.list.iter().map(|network| count(&network.bundle.plan)).sum::<usize>()
        };
        PlanStats {
            weight_bytes_total: plan.weight_bytes,
            pipelines: self.loaded.pipelines.count(),
            pipelines_cooperative: self.loaded.pipelines.cooperative(),
            dispatches: (plan.dispatches.len() + of_networks(|plan| plan.dispatches.len())) as u32,
            loads: (self.loaded.loads.len() + of_networks(|plan| load_count(&plan.commands))) as u32,
            loads_repeat: (repeat_loads + of_networks(|plan| load_count(&plan.repeat_commands))) as u32,
            predicted_cold_ms: plan.predicted_cold_us as f64 / 1e3,
            predicted_warm_ms: plan.predicted_warm_us as f64 / 1e3,
        }
    }

    fn io_stats(&self) -> IoStats {
        IoStats {
            bytes_read: self.input.source.bytes_read(),
            reader_threads: self.options.reader_threads,
            mode: self.file_mode.as_ref().map(|(mode, _)| *mode),
            note: self.file_mode.as_ref().and_then(|(_, note)| Some(note.as_ref()?.to_string())),
        }
    }

    pub(super) fn check_lost(&self) -> Result<(), Error> {
        match &self.condition {
            Condition::Lost { reason } => Err(Error::SessionLost { reason: reason.clone() }),
            Condition::Settled { .. } | Condition::Unsettled | Condition::Trimmed => Ok(()),
        }
    }

    /// Before a run: everything is with the host, and allocated. Returns whether the run may repeat; from here on the session is
    /// unsettled.
    pub(super) async fn prepare(&mut self, wait: &Wait) -> Result<bool, Error> {
        if matches!(self.condition, Condition::Unsettled) {
            self.settle(wait).await?;
            self.bytes_read_before = self.input.source.bytes_read();
        }
        if matches!(self.condition, Condition::Trimmed) {
            self.take_again(wait).await?;
        }
        self.check_lost()?;
        let before = std::mem::replace(&mut self.condition, Condition::Unsettled);
        Ok(before == Condition::Settled { repeats: true })
    }

    /// Brings back what a run left with readers or with the device.
    pub(super) async fn settle(&mut self, wait: &Wait) -> Result<(), Error> {
        match self.buffers.settle(&self.loaded.gpu, &self.input.pages, wait).await {
            Ok(()) => {
                self.condition = Condition::Settled { repeats: false };
                if let Some(trace) = &self.loaded.trace {
                    trace.all_returned();
                }
                Ok(())
            }
            Err(error) if error.loses_session() => {
                self.lose(&error);
                self.check_lost()
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn lose(&mut self, error: &Error) {
        self.condition = Condition::Lost { reason: error.to_string() };
    }

    /// After a run: gives what it gave and the bytes that were read for it. The buffers of a run that failed come back
    /// when the next one starts.
    pub(super) async fn conclude<T>(&mut self, result: Result<T, Error>, wait: &Wait) -> Result<(T, u64), Error> {
        let value = result.inspect_err(|error| {
            if error.loses_session() {
                self.lose(error);
            }
        })?;
        self.settle(wait).await?;
        let bytes_read = self.input.source.bytes_read();
        Ok((value, bytes_read - std::mem::replace(&mut self.bytes_read_before, bytes_read)))
    }

    /// Takes a run into the statistics.
    pub(super) async fn after_run(
        &mut self,
        clock: Stopwatch,
        result: Result<RunResult, Error>,
        wait: &Wait,
    ) -> Result<Outputs, Error> {
        let (ran, bytes_read) = self.conclude(result, wait).await?;
        self.condition = Condition::Settled { repeats: true };
        self.runs.push(RunRecord {
            ms: clock.elapsed_ms(),
            setup_ms: ran.setup.as_secs_f64() * 1e3,
            submit_ms: ran.submit.as_secs_f64() * 1e3,
            bytes_read,
        });
        if self.cold_ms.is_none() {
            self.cold_ms = Some(self.loaded.timeline.elapsed_ms());
        }
        let output_bytes: u64 = ran.outputs.tensors.iter().map(|(_, tensor)| tensor.bytes.capacity() as u64).sum();
        let run_bytes = replay::host_bytes(&self.loaded.bundle.plan) + output_bytes;
        self.ledger.sample(&self.loaded.gpu.device, host_bytes(&self.loaded, &self.input) + run_bytes);
        Ok(ran.outputs)
    }
}

pub(super) fn declared_peak_bytes(bundle: &Bundle) -> u64 {
    bundle.plan.memory.total_bytes().expect("a validated plan's declaration does not overflow")
}

fn load_count(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Load { .. })).count()
}

/// What a session holds on the host between runs.
pub(super) fn host_bytes(loaded: &Loaded, input: &Input) -> u64 {
    plan_bytes(&loaded.whole.plan)
        + loaded.networks.host_bytes()
        + loaded.pipelines.source_bytes()
        + input.pages.host_bytes()
        + (size_of_val(&*loaded.loads) + size_of_val(&*loaded.repeat_loads)) as u64
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::Source;
    use crate::api::Tensor;
    use flashmem_plan_format::plan::{Command, PageId};
    use flashmem_plan_format::{MemorySource, testing};
    use std::sync::Arc;

    fn session() -> Session {
        let source = Arc::new(MemorySource::from(testing::small_bundle()));
        Session::builder(Source::Blocking(source)).open().unwrap()
    }

    fn inputs() -> [(&'static str, Tensor); 2] {
        [("x", Tensor::from_f32(&[1, 64], &[0.0; 64])), ("ids", Tensor::from_i64(&[2], &[0, 1]))]
    }

    #[test]
    fn a_lost_device_ends_the_session() {
        let mut session = session();
        session.run(&inputs()).unwrap();
        session.loaded.gpu.device.destroy();
        let error = session.run(&inputs()).unwrap_err();
        assert!(error.loses_session(), "{error}");
        let error = session.run(&inputs()).unwrap_err();
        assert!(matches!(error, Error::SessionLost { .. }), "{error}");
    }

    #[test]
    fn a_load_into_a_buffer_that_is_not_submitted_is_refused() {
        let mut session = session();
        Arc::make_mut(&mut session.loaded.bundle).plan.commands.retain(|command| *command != Command::Submit);
        let error = session.run(&inputs()).unwrap_err();
        assert!(matches!(error, Error::RingStalled { page: PageId(2), .. }), "{error}");
        assert_eq!(session.condition, Condition::Unsettled);
        Arc::make_mut(&mut session.loaded.bundle).plan = testing::small_plan();
        session.run(&inputs()).unwrap();
    }

    #[test]
    fn the_condition_follows_runs_and_trims() {
        let mut session = session();
        assert_eq!(session.condition, Condition::Settled { repeats: false });
        session.run(&inputs()[..1]).unwrap_err();
        assert_eq!(session.condition, Condition::Settled { repeats: false });
        session.run(&inputs()).unwrap();
        assert_eq!(session.condition, Condition::Settled { repeats: true });
        for _ in 0..2 {
            session.trim().unwrap();
            assert_eq!(session.condition, Condition::Trimmed);
        }
        session.run(&inputs()).unwrap();
        session.run_reads_only().unwrap();
        assert_eq!(session.condition, Condition::Settled { repeats: false });
    }

    /// A trim that is dropped before it ends has taken buffers from the readers, which are to be given them again.
    #[test]
    fn a_trim_that_is_dropped_leaves_a_session_that_runs() {
        let mut session = session();
        {
            let mut trim = std::pin::pin!(session.trim_async());
            let _ = trim.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        }
        session.run(&inputs()).unwrap();
    }

    #[test]
    fn nothing_is_allocated_after_loading() {
        let mut session = session();
        let allocations = |session: &Session| {
            session.loaded.gpu.device.generate_allocator_report().map(|report| report.allocations.len())
        };
        let loaded = allocations(&session);
        for _ in 0..2 {
            session.run(&inputs()).unwrap();
            assert_eq!(allocations(&session), loaded);
        }
    }
}
