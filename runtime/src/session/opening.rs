//! Opens a session: everything that must happen before the first dispatch, overlapped as far as it can be.
//!
//! The adapter is found on its own thread while the bundle is read and checked. Checked, the first pages are announced to
//! the source, which may fetch them while there is no device yet. Then come the device, staging memory, and with it the
//! first reads; pipelines are created on threads of their own from there on, and a run waits for each only when
//! it needs it. Bundle, budget and limits are checked before anything is allocated on the device.

use super::context::Context;
use super::records::Records;
use super::run::{Condition, Session, declared_peak_bytes, host_bytes};
use crate::api::{Error, Mark, Options};
use crate::device::adapter::{self, Chosen};
use crate::device::{CooperativeBytes, Gpu, Ledger, plan_bytes};
use crate::io::{FileMode, MeteredSource, watched};
use crate::loaded::{
    DeviceState, HostBuffers, Input, KnownPipelines, Layouts, Loaded, Networks, Pipelines, Resources, Staging,
    bind_groups, plans,
};
use crate::pages::{PageReader, PageSource, useful_readers};
use crate::time::{Timeline, Wait};
use crate::trace::{Timestamps, Trace};
use flashmem_plan_format::linked::Connection;
use flashmem_plan_format::plan::{PageId, Plan};
use flashmem_plan_format::{Bundle, OpenedBundle, OpenedNetwork};
use std::sync::Arc;
use wgpu::{BindGroup, Features};

/// Opens a bundle, on a shared device or on one of its own.
pub(super) async fn open(
    context: Option<&Context>,
    source: MeteredSource,
    file_mode: Option<FileMode>,
    options: Options,
) -> Result<Session, Error> {
    let timeline = Arc::new(Timeline::start());
    let source = Arc::new(source);
    let (checked, gpu, reservation) = match context {
        Some(context) => {
            let checked = check(&source, &options, &timeline).await?;
            let gpu = context.gpu_for(&checked.bundle.plan.requirements)?;
            let reservation = context.reserve(&checked.name(), declared_peak_bytes(&checked.bundle))?;
            if reservation.is_some() {
                // What a session held that was dropped is freed when the device is looked at.
                gpu.wait_until_idle("freeing what other sessions held", &Wait::blocking(options.timeout)).await?;
            }
            (checked, gpu, reservation)
        }
        None => {
            let (checked, chosen) = check_and_choose(&source, &options, &timeline).await;
            let checked = checked?;
            let plan = &checked.bundle.plan;
            let cooperative = CooperativeBytes::of(plan);
            let gpu = adapter::open(chosen?, &plan.requirements, features(&options), cooperative).await?;
            (checked, gpu, None)
        }
    };
    timeline.mark(Mark::Device);
    if let Some(trace) = &checked.trace {
        // Before the ledger starts: tracing's own memory is not in it.
        let of_networks = checked.networks.iter().map(|network| network.bundle.plan.dispatches.len());
        let dispatches = of_networks.max().unwrap_or(checked.bundle.plan.dispatches.len());
        trace.use_timestamps(Timestamps::create(&gpu, dispatches as u32).await?);
    }
    let mut ledger = Ledger::start(&gpu.device);
    let bytes_read_before = checked.bytes_read;
    let built = build(gpu, context, checked, &options, &mut ledger, timeline).await?;
    let Built { input, loaded, buffers, cache_state } = built;
    ledger.sample(&loaded.gpu.device, host_bytes(&loaded, &input));
    let load_ms = loaded.timeline.elapsed_ms();
    Ok(Session {
        input,
        loaded,
        buffers,
        ledger,
        options,
        condition: Condition::Settled { repeats: false },
        load_ms,
        cold_ms: None,
        runs: Records::default(),
        bytes_read_before,
        cache_state,
        states: None,
        announced: None,
        file_mode,
        reservation,
    })
}

/// Features that are no kernel's business.
fn features(options: &Options) -> Features {
    let of = |requested: bool, features: Features| if requested { features } else { Features::empty() };
    of(options.cache_dir.is_some(), Features::PIPELINE_CACHE).union(of(options.trace, Features::TIMESTAMP_QUERY))
}

/// A bundle that may be run, and what reads its pages.
struct Checked {
    bundle: Bundle,
    /// Of a bundle of several.
    networks: Vec<OpenedNetwork>,
    connections: Vec<Connection>,
    loads: Arc<[PageId]>,
    source: Arc<MeteredSource>,
    pages: PageSource,
    trace: Option<Arc<Trace>>,
    /// What checking took.
    bytes_read: u64,
}

impl Checked {
    /// What the bundle is called where sessions share a budget: its model, or its networks.
    fn name(&self) -> String {
        let networks: Vec<_> = self.networks.iter().map(|network| network.name.as_str()).collect();
        if networks.is_empty() { self.bundle.plan.provenance.model.clone() } else { networks.join("+") }
    }
}

/// Checks the bundle while the adapter is found.
#[cfg(not(target_arch = "wasm32"))]
async fn check_and_choose(
    source: &Arc<MeteredSource>,
    options: &Options,
    timeline: &Arc<Timeline>,
) -> (Result<Checked, Error>, Result<Chosen, Error>) {
    let (requested, noting) = (options.adapter.clone(), Arc::clone(timeline));
    let choose = move || {
        let chosen = pollster::block_on(adapter::choose(requested.as_deref()));
        noting.mark(Mark::Adapter);
        chosen
    };
    let thread = std::thread::Builder::new().name("flashmem-adapter".to_owned()).spawn(choose.clone());
    let checked = check(source, options, timeline).await;
    let chosen = match thread {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // Without another thread this one does it.
        Err(_) => choose(),
    };
    (checked, chosen)
}

#[cfg(target_arch = "wasm32")]
async fn check_and_choose(
    source: &Arc<MeteredSource>,
    options: &Options,
    timeline: &Arc<Timeline>,
) -> (Result<Checked, Error>, Result<Chosen, Error>) {
    let checked = check(source, options, timeline).await;
    let chosen = adapter::choose(options.adapter.as_deref()).await;
    timeline.mark(Mark::Adapter);
    (checked, chosen)
}

async fn check(source: &Arc<MeteredSource>, options: &Options, timeline: &Arc<Timeline>) -> Result<Checked, Error> {
    let wait = Wait::blocking(options.timeout);
    let OpenedBundle { mut bundle, networks, connections } =
        watched(source, &wait, "opening the bundle", OpenedBundle::open).await??;
    let declared_bytes = declared_peak_bytes(&bundle);
    if let Some(budget_bytes) = options.budget_bytes.filter(|budget| *budget < declared_bytes) {
        return Err(Error::Budget { declared_bytes, budget_bytes });
    }
    timeline.mark(Mark::Validated);
    let bytes_read = source.bytes_read();
    let loads = crate::loaded::loads(&bundle.plan.commands);
    let readers = useful_readers(&bundle.plan, options.reader_threads);
    // What is fetched needs no threads.
    let threads = if source.is_fetched() { 0 } else { readers };
    let trace = options.trace.then(|| Arc::new(Trace::new(timeline.clock())));
    let reader = PageReader::new(Arc::clone(source), &mut bundle, readers, Arc::clone(timeline), trace.clone());
    let pages = PageSource::start(reader, bundle.plan.staging_pages, threads)?;
    // Which of several networks runs first is not known.
    if networks.is_empty() {
        pages.begin(&loads);
    }
    Ok(Checked { bundle, networks, connections, loads, source: Arc::clone(source), pages, trace, bytes_read })
}

/// Everything that opening makes.
struct Built {
    input: Input,
    loaded: Loaded,
    buffers: HostBuffers,
    cache_state: Option<&'static str>,
}

/// Allocates, starts reading and creating pipelines, and binds.
async fn build(
    gpu: Gpu,
    context: Option<&Context>,
    checked: Checked,
    options: &Options,
    ledger: &mut Ledger,
    timeline: Arc<Timeline>,
) -> Result<Built, Error> {
    let Checked { mut bundle, networks, connections, loads, source, pages, trace, bytes_read: _ } = checked;
    let networks = Networks::new(networks, connections, bundle.plan.slot_count);
    let is_one = networks.list.is_empty();
    let constants = std::mem::take(&mut bundle.constants);
    let repeat_loads = crate::loaded::loads(&bundle.plan.repeat_commands);
    let layouts = Arc::new(Layouts::create(&gpu, &bundle.plan).await?);
    let known = context.map(Context::known_pipelines);
    let (pipelines, cache_state) = start_pipelines(&gpu, known, &mut bundle, &layouts, options, &timeline)?;

    let plans = plans(&bundle, &networks);
    let (for_plans, state_bytes) = ((&bundle.plan, plans.as_slice()), networks.state_buffer_bytes(&bundle.plan));
    let mut staging = Staging::allocate(&gpu, for_plans, bundle.plan.params.len(), &constants, ledger).await?;
    timeline.mark(Mark::Staging);
    ledger.check(&bundle.plan.memory)?;
    let last = staging.ring.len().saturating_sub(1);
    for (ring_index, buffer) in (0..).zip(&mut staging.ring[..last]).filter(|_| is_one) {
        buffer.give(ring_index, &pages)?;
    }

    staging.upload(&gpu, &bundle.plan.params, &constants, &Wait::blocking(options.timeout)).await?;
    if let Some(buffer) = staging.ring.last_mut().filter(|_| is_one) {
        buffer.give(last as u32, &pages)?;
    }
    #[cfg(target_arch = "wasm32")]
    pages.beside(pipelines.create_all()).await?;
    let plan_bytes = plan_bytes(&bundle.plan) + networks.host_bytes();
    let host_bytes = plan_bytes + pipelines.source_bytes() + pages.host_bytes();
    ledger.sample(&gpu.device, host_bytes + constants.len() as u64);
    drop(constants);
    let (resources, buffers) = staging.complete(&gpu, for_plans, (None, state_bytes), ledger).await?;
    ledger.check(&bundle.plan.memory)?;
    let bind_groups = bind_all(&gpu, &layouts, for_plans, &resources).await?;
    // The device has them.
    bundle.plan.params = Vec::new();
    timeline.mark(Mark::Allocated);
    let whole = Arc::new(bundle);
    let bundle = Arc::clone(&whole);
    let input = Input { pages, source, bundle: Arc::clone(&bundle), rows_at_a_time: options.reader_threads };
    let device_state = Some(DeviceState { bind_groups, resources });
    let loaded = Loaded { pipelines, device_state, gpu, bundle, whole, networks, loads, repeat_loads, timeline, trace };
    Ok(Built { input, loaded, buffers, cache_state })
}

/// Starts creating pipelines, with a cache if one is requested; says what became of the cache.
fn start_pipelines(
    gpu: &Gpu,
    known: Option<Arc<KnownPipelines>>,
    bundle: &mut Bundle,
    layouts: &Arc<Layouts>,
    options: &Options,
    timeline: &Arc<Timeline>,
) -> Result<(Pipelines, Option<&'static str>), Error> {
    let threads = pipeline_threads(options);
    let pipelines = &mut bundle.plan.pipelines;
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(directory) = &options.cache_dir {
        let (cache, state) = crate::loaded::pipeline_cache::open(gpu, directory);
        let pipelines = Pipelines::start(gpu, known, layouts, pipelines, threads, cache, timeline)?;
        return Ok((pipelines, Some(state.name())));
    }
    Ok((Pipelines::start(gpu, known, layouts, pipelines, threads, None, timeline)?, None))
}

/// Threads that create pipelines: as requested, or one a core, within reason.
fn pipeline_threads(options: &Options) -> u32 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    if options.pipeline_threads == 0 { cores().clamp(2, 8) } else { options.pipeline_threads }
}

/// The bind groups of every plan that runs follow; pipelines are those of the plan that memory was allocated for.
pub(super) async fn bind_all(
    gpu: &Gpu,
    layouts: &Layouts,
    (plan, plans): (&Plan, &[&Plan]),
    resources: &Resources,
) -> Result<Vec<Vec<BindGroup>>, Error> {
    let mut all = Vec::with_capacity(plans.len());
    for own in plans {
        all.push(bind_groups(gpu, layouts, (own, &plan.pipelines), resources).await?);
    }
    Ok(all)
}
