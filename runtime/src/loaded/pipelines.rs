//! Pipelines, their layouts and the bind groups of all dispatches.
//!
//! Pipelines are created in order of first use, by several threads where there are threads, while the rest of the session is
//! opened and while its first run goes on. Layouts follow from the plan's binding rules alone (parameters, arena, storage
//! buffers); nothing is reflected from WGSL here.

use super::pipeline_cache::DiskCache;
use super::resources::Resources;
use crate::api::{Error, Mark, Span};
use crate::device::{Gpu, checked};
use crate::lock::lock;
use crate::time::{Stopwatch, Timeline, Wait};
use flashmem_plan_format::plan::{Buffer, BufferSlice, Dispatch, Pipeline, Plan};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, BufferBinding, BufferBindingType, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineCache, PipelineLayout, PipelineLayoutDescriptor, ShaderModuleDescriptor, ShaderSource, ShaderStages,
    TextureSampleType, TextureViewDimension,
};

/// Layouts by shape: whether the arena is bound, and how many storage buffers are.
pub(crate) struct Layouts(Vec<(Shape, BindGroupLayout, PipelineLayout)>);

type Shape = (bool, u32);

const fn shape_of(pipeline: &Pipeline) -> Shape {
    (pipeline.uses_weights, pipeline.storage_bindings)
}

/// Pipelines that the sessions of one device have in common, by the shape of their layout and their source. wgpu takes
/// layouts of equal entries for one another, so a pipeline goes with every session's own layouts.
#[derive(Default)]
pub(crate) struct KnownPipelines(Mutex<BTreeMap<(Shape, String), ComputePipeline>>);

impl KnownPipelines {
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    fn find(&self, pipeline: &Pipeline) -> Option<ComputePipeline> {
        lock(&self.0).get(&(shape_of(pipeline), pipeline.source.clone())).cloned()
    }

    fn keep(&self, pipeline: &Pipeline, created: &ComputePipeline) {
        lock(&self.0).insert((shape_of(pipeline), pipeline.source.clone()), created.clone());
    }
}

impl Layouts {
    pub(crate) async fn create(gpu: &Gpu, plan: &Plan) -> Result<Self, Error> {
        let mut layouts: Vec<(Shape, BindGroupLayout, PipelineLayout)> = Vec::new();
        for pipeline in &plan.pipelines {
            let shape = shape_of(pipeline);
            if layouts.iter().all(|(known, ..)| *known != shape) {
                let (group, layout) = gpu.checked("creating layouts", || layout_of(&gpu.device, shape)).await?;
                layouts.push((shape, group, layout));
            }
        }
        Ok(Self(layouts))
    }

    fn of(&self, pipeline: &Pipeline) -> (&BindGroupLayout, &PipelineLayout) {
        let shape = shape_of(pipeline);
        let found = self.0.iter().find(|(known, ..)| *known == shape);
        let (_, group, layout) = found.expect("there is a layout for every pipeline");
        (group, layout)
    }
}

fn layout_of(device: &Device, (uses_weights, storage_bindings): Shape) -> (BindGroupLayout, PipelineLayout) {
    let mut types = vec![(0, buffer_binding(BufferBindingType::Uniform))];
    if uses_weights {
        let sample_type = TextureSampleType::Uint;
        let view_dimension = TextureViewDimension::D2Array;
        types.push((1, BindingType::Texture { sample_type, view_dimension, multisampled: false }));
    }
    let storage = buffer_binding(BufferBindingType::Storage { read_only: false });
    types.extend((0..storage_bindings).map(|index| (2 + index, storage)));
    let entries: Vec<_> = types
        .into_iter()
        .map(|(binding, ty)| BindGroupLayoutEntry { binding, visibility: ShaderStages::COMPUTE, ty, count: None })
        .collect();
    let group = device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: None, entries: &entries });
    let bind_group_layouts = &[Some(&group)];
    let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts,
        ..PipelineLayoutDescriptor::default()
    });
    (group, layout)
}

const fn buffer_binding(ty: BufferBindingType) -> BindingType {
    BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None }
}

const DURING: &str = "creating pipelines";

/// All pipelines of a plan, created in order of first use; whoever needs one waits for it.
pub(crate) struct Pipelines {
    shared: Arc<Shared>,
    #[cfg(not(target_arch = "wasm32"))]
    threads: Vec<std::thread::JoinHandle<()>>,
}

struct Shared {
    device: Device,
    known: Option<Arc<KnownPipelines>>,
    layouts: Arc<Layouts>,
    timeline: Arc<Timeline>,
    cache: Option<DiskCache>,
    /// Pipelines that are created from their cooperative source.
    cooperative: u32,
    /// By pipeline.
    created: Box<[OnceLock<ComputePipeline>]>,
    state: Mutex<State>,
    /// A pipeline was created, or one cannot be.
    changed: Condvar,
}

struct State {
    /// What nobody has begun to create, in order.
    pending: VecDeque<(usize, Pipeline)>,
    /// Bytes of sources that are pending or being created.
    source_bytes: u64,
    missing: usize,
    failure: Option<Error>,
    failed: bool,
}

impl Pipelines {
    /// Takes the sources from `pipelines` and starts creating on `threads` threads, where there are threads; elsewhere
    /// [`Pipelines::create_all`] does everything.
    pub(crate) fn start(
        gpu: &Gpu,
        known: Option<Arc<KnownPipelines>>,
        layouts: &Arc<Layouts>,
        pipelines: &mut [Pipeline],
        threads: u32,
        cache: Option<DiskCache>,
        timeline: &Arc<Timeline>,
    ) -> Result<Self, Error> {
        let mut cooperative = 0;
        let take = |pipeline: &mut Pipeline| {
            let source = std::mem::take(&mut pipeline.source);
            let other = pipeline.cooperative.take().filter(|other| other.workgroup_bytes <= gpu.cooperative.0);
            cooperative += u32::from(other.is_some());
            Pipeline { source: other.map_or(source, |other| other.source), ..pipeline.clone() }
        };
        let pending: VecDeque<_> = pipelines.iter_mut().map(take).enumerate().collect();
        let source_bytes = pending.iter().map(|(_, pipeline)| pipeline.source.capacity() as u64).sum();
        let created = pending.iter().map(|_| OnceLock::new()).collect();
        let state = State { missing: pending.len(), pending, source_bytes, failure: None, failed: false };
        if state.missing == 0 {
            timeline.mark(Mark::Pipelines);
        }
        let shared = Shared {
            device: gpu.device.clone(),
            known,
            layouts: Arc::clone(layouts),
            timeline: Arc::clone(timeline),
            cache,
            cooperative,
            created,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self::create(Arc::new(shared), threads.min(pipelines.len() as u32))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn create(shared: Arc<Shared>, threads: u32) -> Result<Self, Error> {
        let mut all = Self { shared, threads: Vec::new() };
        for _ in 0..threads {
            let shared = Arc::clone(&all.shared);
            let thread = std::thread::Builder::new().name("flashmem-pipelines".to_owned());
            let spawned = thread.spawn(move || pollster::block_on(shared.create_pending()));
            all.threads.push(spawned.map_err(|source| Error::Threads { source })?);
        }
        Ok(all)
    }

    #[cfg(target_arch = "wasm32")]
    fn create(shared: Arc<Shared>, _threads: u32) -> Result<Self, Error> {
        Ok(Self { shared })
    }

    /// Creates all pipelines; fails with the first one that the device rejects.
    #[cfg(target_arch = "wasm32")]
    pub(crate) async fn create_all(&self) -> Result<(), Error> {
        self.shared.create_pending().await;
        lock(&self.shared.state).failure.take().map_or(Ok(()), Err)
    }

    pub(crate) fn layouts(&self) -> &Layouts {
        &self.shared.layouts
    }

    pub(crate) fn count(&self) -> u32 {
        self.shared.created.len() as u32
    }

    /// Pipelines that are created from their cooperative source.
    pub(crate) fn cooperative(&self) -> u32 {
        self.shared.cooperative
    }

    /// Bytes of sources of pipelines that are not created yet.
    pub(crate) fn source_bytes(&self) -> u64 {
        lock(&self.shared.state).source_bytes
    }

    /// A pipeline, as soon as it is there.
    ///
    /// # Errors
    /// The first pipeline that the device rejects, whichever it is; a wait for longer than is allowed.
    pub(crate) async fn get(&self, index: u32, wait: &Wait) -> Result<&ComputePipeline, Error> {
        let slot = &self.shared.created[index as usize];
        match slot.get() {
            Some(pipeline) => Ok(pipeline),
            None => self.wait(slot, wait).await,
        }
    }

    async fn wait<'a>(&self, slot: &'a OnceLock<ComputePipeline>, wait: &Wait) -> Result<&'a ComputePipeline, Error> {
        let waiting = Stopwatch::start();
        let mut sleep = Duration::ZERO;
        loop {
            self.shared.wait_for_change(slot, wait.piece(sleep))?;
            if let Some(pipeline) = slot.get() {
                self.shared.timeline.add(Span::PipelineWait, waiting.elapsed());
                return Ok(pipeline);
            }
            wait.check(DURING)?;
            let left = wait.timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
            let waited = wait.timeout;
            sleep = left.ok_or_else(|| Error::Timeout { during: DURING.to_owned(), waited })?;
            wait.pause().await;
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Pipelines {
    /// No thread may be inside a driver when the process ends.
    fn drop(&mut self) {
        lock(&self.shared.state).pending.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so, and nothing depends on it any more.
            let _ = thread.join();
        }
    }
}

impl Shared {
    async fn create_pending(&self) {
        let cache = self.cache.as_ref().map(DiskCache::pipelines);
        while let Some((index, pipeline)) = self.next() {
            let result = self.find_or_create(&pipeline, cache).await;
            let mut state = lock(&self.state);
            state.source_bytes -= pipeline.source.capacity() as u64;
            match result {
                Ok(created) => {
                    // Every index is pending once, so the slot is empty.
                    let _ = self.created[index].set(created);
                    state.missing -= 1;
                    if state.missing == 0 {
                        self.timeline.mark(Mark::Pipelines);
                        self.changed.notify_all();
                        drop(state);
                        return self.cache.iter().for_each(DiskCache::save);
                    }
                }
                Err(error) => {
                    state.pending.clear();
                    if !std::mem::replace(&mut state.failed, true) {
                        state.failure = Some(error);
                    }
                }
            }
            self.changed.notify_all();
        }
    }

    /// A pipeline that another session has made, or a new one.
    async fn find_or_create(
        &self,
        pipeline: &Pipeline,
        cache: Option<&PipelineCache>,
    ) -> Result<ComputePipeline, Error> {
        if let Some(found) = self.known.as_ref().and_then(|known| known.find(pipeline)) {
            return Ok(found);
        }
        let created = create_one(&self.device, &self.layouts, pipeline, cache).await?;
        if let Some(known) = &self.known {
            known.keep(pipeline, &created);
        }
        Ok(created)
    }

    fn next(&self) -> Option<(usize, Pipeline)> {
        lock(&self.state).pending.pop_front()
    }

    /// Waits for at most `sleep` unless the pipeline is there; fails when one was rejected.
    fn wait_for_change(&self, slot: &OnceLock<ComputePipeline>, sleep: Duration) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if slot.get().is_none() && !state.failed && !sleep.is_zero() {
            state = self.changed.wait_timeout(state, sleep).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.failed || slot.get().is_some() {
            return Ok(());
        }
        let message = || "one of them was rejected before".to_owned();
        let again = || Error::Device { during: DURING.to_owned(), message: message() };
        Err(state.failure.take().unwrap_or_else(again))
    }
}

async fn create_one(
    device: &Device,
    layouts: &Layouts,
    pipeline: &Pipeline,
    cache: Option<&PipelineCache>,
) -> Result<ComputePipeline, Error> {
    let during = format!("creating pipeline `{}`", pipeline.label);
    checked(device, &during, || {
        let source = ShaderSource::Wgsl(pipeline.source.as_str().into());
        let module = device.create_shader_module(ShaderModuleDescriptor { label: Some(&pipeline.label), source });
        device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(&pipeline.label),
            layout: Some(layouts.of(pipeline).1),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache,
        })
    })
    .await
}

/// One bind group for every dispatch of `plan`, whose pipelines are among `pipelines`.
pub(crate) async fn bind_groups(
    gpu: &Gpu,
    layouts: &Layouts,
    (plan, pipelines): (&Plan, &[Pipeline]),
    resources: &Resources,
) -> Result<Vec<BindGroup>, Error> {
    let mut groups = Vec::with_capacity(plan.dispatches.len());
    for dispatch in &plan.dispatches {
        let during = format!("binding the buffers of `{}`", plan.name(dispatch.node));
        groups.push(gpu.checked(&during, || bind(&gpu.device, layouts, (plan, pipelines), resources, dispatch)).await?);
    }
    Ok(groups)
}

fn bind(
    device: &Device,
    layouts: &Layouts,
    (plan, pipelines): (&Plan, &[Pipeline]),
    resources: &Resources,
    dispatch: &Dispatch,
) -> BindGroup {
    let pipeline = &pipelines[dispatch.pipeline as usize];
    let params = buffer_range(&resources.params, dispatch.params_offset_bytes, pipeline.params_bytes.into());
    let mut entries = vec![BindGroupEntry { binding: 0, resource: params }];
    if pipeline.uses_weights {
        let arena = resources.arena.as_ref().expect("a validated plan with weights has slots");
        entries.push(BindGroupEntry { binding: 1, resource: BindingResource::TextureView(&arena.view) });
    }
    entries.extend((2..).zip(&dispatch.bindings).map(|(binding, slice)| {
        let resource = buffer_range(resources.buffer(*slice), slice.offset_bytes, slice.size_bytes);
        BindGroupEntry { binding, resource }
    }));
    let layout = layouts.of(pipeline).0;
    device.create_bind_group(&BindGroupDescriptor { label: Some(plan.name(dispatch.node)), layout, entries: &entries })
}

fn buffer_range(buffer: &wgpu::Buffer, offset: u64, size_bytes: u64) -> BindingResource<'_> {
    BindingResource::Buffer(BufferBinding { buffer, offset, size: NonZero::new(size_bytes) })
}

impl Resources {
    /// The buffer that a slice is in.
    pub(crate) fn buffer(&self, slice: BufferSlice) -> &wgpu::Buffer {
        match slice.buffer {
            Buffer::Activations => &self.activations,
            Buffer::States => self.states.as_ref().expect("a validated plan that binds states has some"),
            Buffer::Constants => self.constants.as_ref().expect("a validated plan that binds constants has some"),
        }
    }
}
