//! Opens a session: everything that must happen before the first dispatch, overlapped as far as it can be.
//!
//! The adapter is found on its own thread while the bundle is read and checked. Then come the device, staging memory, and
//! with it the first reads; pipelines are created on threads of their own from there on, and a run waits for each only when
//! it needs it. Bundle, budget and limits are checked before anything is allocated on the device.

use super::pipelines::{Layouts, Pipelines, bind_groups};
use super::resources::{HostBuffers, Staging};
use super::{Held, Parts, Session, declared_peak_bytes, host_bytes};
use crate::counting::CountingSource;
use crate::device::{self, Chosen};
use crate::error::Error;
use crate::gpu::Gpu;
use crate::ledger::{Ledger, plan_bytes};
use crate::options::Options;
use crate::patience::Patience;
use crate::replay::{Feed, PageReader, useful_readers};
use crate::timeline::{Mark, Timeline};
use crate::trace::{Timestamps, Trace};
use crate::watch::watched;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{Command, PageId};
use flashmem_plan_format::source::ReadAt;
use std::sync::Arc;

/// Opens a bundle from any source.
pub(super) async fn open(source: Arc<dyn ReadAt>, options: &Options) -> Result<Session, Error> {
    let timeline = Arc::new(Timeline::start());
    let source = Arc::new(CountingSource::new(source));
    let (bundle, chosen) = check_and_choose(&source, options, &timeline).await;
    let bundle = bundle?;
    let bytes_read_before = source.bytes_read();
    let gpu = device::open(chosen?, &bundle.plan.requirements, options.trace).await?;
    timeline.mark(Mark::Device);
    // Before the ledger starts: tracing's own memory is not in it.
    let trace = start_trace(&gpu, &bundle, options, &timeline).await?;
    let mut ledger = Ledger::start(&gpu.device);
    let (parts, buffers) = build(gpu, source, bundle, options, &mut ledger, timeline, trace).await?;
    ledger.sample(&parts.gpu.device, host_bytes(&parts));
    let load_ms = parts.timeline.elapsed_ms();
    Ok(Session {
        parts,
        buffers,
        ledger,
        load_ms,
        runs_ms: Vec::new(),
        cold_ms: None,
        unsettled: false,
        repeats: false,
        bytes_read_runs: Vec::new(),
        bytes_read_before,
        lost: None,
    })
}

type Checked = (Result<Bundle, Error>, Result<Chosen, Error>);

/// Checks the bundle while the adapter is found.
#[cfg(not(target_arch = "wasm32"))]
async fn check_and_choose(source: &Arc<CountingSource>, options: &Options, timeline: &Timeline) -> Checked {
    let choose = || {
        let chosen = pollster::block_on(device::choose(options.adapter.as_deref()));
        timeline.mark(Mark::Adapter);
        chosen
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("flashmem-adapter".to_owned()).spawn_scoped(scope, choose);
        let bundle = pollster::block_on(check(source, options, timeline));
        let chosen = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // Without another thread this one does it.
            Err(_) => choose(),
        };
        (bundle, chosen)
    })
}

#[cfg(target_arch = "wasm32")]
async fn check_and_choose(source: &Arc<CountingSource>, options: &Options, timeline: &Timeline) -> Checked {
    let bundle = check(source, options, timeline).await;
    let chosen = device::choose(options.adapter.as_deref()).await;
    timeline.mark(Mark::Adapter);
    (bundle, chosen)
}

async fn check(source: &Arc<CountingSource>, options: &Options, timeline: &Timeline) -> Result<Bundle, Error> {
    let patience = Patience::blocking(options.timeout);
    let bundle = watched(source, &patience, "opening the bundle", Bundle::open_without_golden).await??;
    let declared_bytes = declared_peak_bytes(&bundle);
    if let Some(budget_bytes) = options.budget_bytes.filter(|budget| *budget < declared_bytes) {
        return Err(Error::Budget { declared_bytes, budget_bytes });
    }
    timeline.mark(Mark::Validated);
    Ok(bundle)
}

/// Allocates, starts reading and creating pipelines, and binds.
async fn build(
    gpu: Gpu,
    source: Arc<CountingSource>,
    mut bundle: Bundle,
    options: &Options,
    ledger: &mut Ledger,
    timeline: Arc<Timeline>,
    trace: Option<Arc<Trace>>,
) -> Result<(Parts, HostBuffers), Error> {
    let constants = std::mem::take(&mut bundle.constants);
    let (loads, repeat_loads) = (loads(&bundle.plan.commands), loads(&bundle.plan.repeat_commands));
    let readers = useful_readers(&bundle.plan, options.reader_threads);
    let reader = PageReader::new(Arc::clone(&source), &mut bundle, readers, Arc::clone(&timeline), trace.clone());
    let feed = Feed::start(reader, bundle.plan.staging_pages, readers)?;

    let mut staging = Staging::allocate(&gpu, &bundle.plan, bundle.plan.params.len(), &constants, ledger).await?;
    timeline.mark(Mark::Staging);
    feed.begin(&loads);
    let last = staging.ring.len().saturating_sub(1);
    for (ring_index, buffer) in (0..).zip(&mut staging.ring[..last]) {
        buffer.give(ring_index, &feed)?;
    }
    let layouts = Arc::new(Layouts::create(&gpu, &bundle.plan).await?);
    let threads = options.pipeline_threads.max(1);
    let pipelines = Pipelines::start(&gpu, &layouts, &mut bundle.plan.pipelines, threads, &timeline).await?;

    staging.upload(&gpu, &bundle.plan.params, &constants, &Patience::blocking(options.timeout)).await?;
    if let Some(buffer) = staging.ring.last_mut() {
        buffer.give(last as u32, &feed)?;
    }
    let host_bytes = plan_bytes(&bundle.plan) + pipelines.source_bytes() + feed.host_bytes();
    ledger.sample(&gpu.device, host_bytes + constants.len() as u64);
    drop(constants);
    let (resources, buffers) = staging.complete(&gpu, &bundle.plan, ledger).await?;
    let bind_groups = bind_groups(&gpu, &layouts, &bundle.plan, &resources).await?;
    // The device has them.
    bundle.plan.params = Vec::new();
    timeline.mark(Mark::Allocated);
    let options = options.clone();
    let bundle = Arc::new(bundle);
    let parts = Parts {
        feed,
        pipelines,
        held: Some(Held { bind_groups, resources }),
        gpu,
        source,
        bundle,
        options,
        loads,
        repeat_loads,
        timeline,
        trace,
    };
    Ok((parts, buffers))
}

async fn start_trace(
    gpu: &Gpu,
    bundle: &Bundle,
    options: &Options,
    timeline: &Timeline,
) -> Result<Option<Arc<Trace>>, Error> {
    if !options.trace {
        return Ok(None);
    }
    let timestamps = Timestamps::create(gpu, bundle.plan.dispatches.len() as u32).await?;
    Ok(Some(Arc::new(Trace::new(timeline.clock(), timestamps))))
}

/// Pages in order of loading.
fn loads(commands: &[Command]) -> Arc<[PageId]> {
    let pages = commands.iter().filter_map(|command| match command {
        Command::Load { page, .. } => Some(*page),
        Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
    });
    pages.collect()
}
