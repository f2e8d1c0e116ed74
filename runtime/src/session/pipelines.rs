//! Pipelines, their layouts and the bind groups of all dispatches.
//!
//! Pipelines are created in order of first use, by several threads where there are threads. Layouts follow from the plan's
//! binding rules alone (parameters, arena, storage buffers); nothing is reflected from WGSL here.

use super::resources::Resources;
use crate::error::Error;
use crate::gpu::{Gpu, checked, lock};
use flashmem_plan_format::plan::{Buffer, BufferSlice, Dispatch, Pipeline, Plan};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, BufferBinding, BufferBindingType, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineLayout, PipelineLayoutDescriptor, ShaderModuleDescriptor, ShaderSource, ShaderStages, TextureSampleType,
    TextureViewDimension,
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
pub(crate) struct Shared(Mutex<BTreeMap<(Shape, String), ComputePipeline>>);

impl Shared {
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
        let sample_type = TextureSampleType::Float { filterable: false };
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

/// A pipeline that another session has made, or a new one.
async fn create_one(
    device: &Device,
    shared: Option<&Shared>,
    layouts: &Layouts,
    pipeline: &Pipeline,
) -> Result<ComputePipeline, Error> {
    if let Some(found) = shared.and_then(|shared| shared.find(pipeline)) {
        return Ok(found);
    }
    let during = format!("creating pipeline `{}`", pipeline.label);
    let created = checked(device, &during, || {
        let source = ShaderSource::Wgsl(pipeline.source.as_str().into());
        let module = device.create_shader_module(ShaderModuleDescriptor { label: Some(&pipeline.label), source });
        device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(&pipeline.label),
            layout: Some(layouts.of(pipeline).1),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    })
    .await?;
    if let Some(shared) = shared {
        shared.keep(pipeline, &created);
    }
    Ok(created)
}

/// Creates all pipelines one after another.
#[cfg(target_arch = "wasm32")]
pub(crate) async fn create_all(
    device: &Device,
    shared: Option<&Shared>,
    layouts: &Layouts,
    pipelines: &[Pipeline],
) -> Result<Vec<ComputePipeline>, Error> {
    let mut created = Vec::with_capacity(pipelines.len());
    for pipeline in pipelines {
        created.push(create_one(device, shared, layouts, pipeline).await?);
    }
    Ok(created)
}

/// Creates all pipelines on `threads` threads while this one does something else.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn create_while<T>(
    device: &Device,
    shared: Option<&Shared>,
    layouts: &Layouts,
    pipelines: &[Pipeline],
    threads: u32,
    meanwhile: impl FnOnce() -> T,
) -> (Result<Vec<ComputePipeline>, Error>, T) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let next = AtomicUsize::new(0);
    let created = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(pipeline) = pipelines.get(index) else { return };
            let result = pollster::block_on(create_one(device, shared, layouts, pipeline));
            lock(&created).push((index, result));
        }
    };
    let done = std::thread::scope(|scope| {
        for _ in 0..threads.min(pipelines.len() as u32) {
            // Without more threads the calling one does the rest.
            let _ = std::thread::Builder::new().name("flashmem-pipelines".to_owned()).spawn_scoped(scope, work);
        }
        let done = meanwhile();
        work();
        done
    });
    let mut created = created.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    created.sort_by_key(|(index, _)| *index);
    (created.into_iter().map(|(_, result)| result).collect(), done)
}

/// One bind group for every dispatch.
pub(crate) async fn bind_groups(
    gpu: &Gpu,
    layouts: &Layouts,
    plan: &Plan,
    resources: &Resources,
) -> Result<Vec<BindGroup>, Error> {
    let mut groups = Vec::with_capacity(plan.dispatches.len());
    for dispatch in &plan.dispatches {
        let during = format!("binding the buffers of `{}`", dispatch.node);
        groups.push(gpu.checked(&during, || bind(&gpu.device, layouts, plan, resources, dispatch)).await?);
    }
    Ok(groups)
}

fn bind(device: &Device, layouts: &Layouts, plan: &Plan, resources: &Resources, dispatch: &Dispatch) -> BindGroup {
    let pipeline = &plan.pipelines[dispatch.pipeline as usize];
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
    device.create_bind_group(&BindGroupDescriptor { label: Some(&dispatch.node), layout, entries: &entries })
}

fn buffer_range(buffer: &wgpu::Buffer, offset: u64, size_bytes: u64) -> BindingResource<'_> {
    BindingResource::Buffer(BufferBinding { buffer, offset, size: NonZero::new(size_bytes) })
}

impl Resources {
    /// The buffer that a slice is in.
    pub(crate) fn buffer(&self, slice: BufferSlice) -> &wgpu::Buffer {
        match slice.buffer {
            Buffer::Activations => &self.activations,
            Buffer::Constants => self.constants.as_ref().expect("a validated plan that binds constants has some"),
        }
    }
}
