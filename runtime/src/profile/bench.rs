//! Kernels, copies and launches on a device, timed by whole submissions.
//!
//! A submission's cost is taken out by timing two that differ in length. Copies beside a kernel are encoded as a replay
//! encodes them: between compute passes, from staging buffers into layers of an array texture. It deliberately checks no
//! results.

use super::measured::KernelRate;
use crate::api::Error;
use crate::device::Gpu;
use crate::time::Wait;
use std::time::{Duration, Instant};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferDescriptor,
    BufferUsages, CommandEncoder, CommandEncoderDescriptor, ComputePassDescriptor, ComputePipeline,
    ComputePipelineDescriptor, Extent3d, Origin3d, PipelineCompilationOptions, ShaderModuleDescriptor, ShaderSource,
    TexelCopyBufferInfo, TexelCopyBufferLayout, TexelCopyTextureInfo, Texture, TextureAspect, TextureDescriptor,
    TextureDimension, TextureFormat, TextureUsages,
};

const ELEMENTAL: &str = include_str!("../../kernels/elemental.wgsl");
const REUSABLE: &str = include_str!("../../kernels/reusable.wgsl");
const REUSABLE_WIDE: &str = include_str!("../../kernels/reusable_wide.wgsl");
const HIERARCHICAL: &str = include_str!("../../kernels/hierarchical.wgsl");

/// Longest wait for a submission.
const TIMEOUT: Duration = Duration::from_secs(120);
const DURING: &str = "measuring the device";

/// Texels and rows of a page of 256 KiB.
const PAGE_WIDTH: u32 = 256;
const PAGE_ROWS: u32 = 64;
const PAGE_BYTES: u64 = PAGE_WIDTH as u64 * PAGE_ROWS as u64 * 16;
const LAYERS: u32 = 64;
const STAGING_BUFFERS: u32 = 8;
/// Largest operand.
const BUFFER_BYTES: u64 = 32 << 20;
/// Copies beside one kernel, in turn.
const PAGES_BESIDE: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// No class allows more slowdown than this.
const MAX_SLOWDOWN: f64 = 4.0;
/// Kernels of the shorter submission, and those that the longer one has more.
const FEW: u32 = 1;
const MORE: u32 = 4;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Elemental,
    Reusable { software: bool },
    Hierarchical,
}

/// A kernel of one size.
struct Case {
    pipeline: ComputePipeline,
    group: BindGroup,
    workgroups: [u32; 2],
    /// Bytes or floating-point operations.
    work: f64,
}

pub(super) struct Bench {
    gpu: Gpu,
    operands: [Buffer; 3],
    staging: Vec<Buffer>,
    texture: Texture,
    repeats: u32,
}

impl Bench {
    pub(super) async fn new(gpu: Gpu, repeats: u32) -> Result<Self, Error> {
        let buffer = |size, usage| {
            gpu.device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let texture = TextureDescriptor {
            label: None,
            size: Extent3d { width: PAGE_WIDTH, height: PAGE_ROWS, depth_or_array_layers: LAYERS },
            mip_level_count: 1,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: TextureFormat::Rgba32Uint,
            usage: TextureUsages::COPY_DST.union(TextureUsages::TEXTURE_BINDING),
            view_formats: &[],
        };
        let (operands, staging, texture) = gpu
            .checked("allocating buffers to measure with", || {
                let operands = [(); 3].map(|()| buffer(BUFFER_BYTES, BufferUsages::STORAGE));
                let usage = BufferUsages::MAP_WRITE.union(BufferUsages::COPY_SRC);
                let staging = (0..STAGING_BUFFERS).map(|_| buffer(PAGE_BYTES, usage)).collect();
                (operands, staging, gpu.device.create_texture(&texture))
            })
            .await?;
        Ok(Self { gpu, operands, staging, texture, repeats })
    }

    /// Fixed cost of a kernel call: many calls of one workgroup.
    pub(super) fn launch_us(&self) -> Result<f64, Error> {
        let case = pollster::block_on(self.case(Class::Elemental, 4096))?;
        let launches = |count: u32| {
            self.time(|encoder| {
                let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
                pass.set_pipeline(&case.pipeline);
                pass.set_bind_group(0, &case.group, &[]);
                (0..count).for_each(|_| pass.dispatch_workgroups(1, 1, 1));
            })
        };
        let (few, many) = (10, 210);
        Ok(difference(launches(few)?, launches(many)?, f64::from(many - few)))
    }

    /// Rate of copies alone.
    pub(super) fn upload_bytes_per_second(&self) -> Result<f64, Error> {
        let copies = |count: u32| self.time(|encoder| self.copy_pages(encoder, 0, count));
        let (few, many) = (16, 80);
        let page_us = difference(copies(few)?, copies(many)?, f64::from(many - few));
        Ok(PAGE_BYTES as f64 / page_us * 1e6)
    }

    /// A kernel alone and with copies beside it.
    pub(super) async fn kernel(&self, class: Class, min_us: f64, launch_us: f64) -> Result<KernelRate, Error> {
        let (mut size, largest) = class.sizes();
        let (case, alone_us) = loop {
            let case = self.case(class, size).await?;
            let alone_us = self.kernel_us(&case, 0)?;
            if alone_us >= min_us || size == largest {
                break (case, alone_us);
            }
            size *= 2;
        };
        // What is little more than a launch is not distinguished from it.
        let working_us = (alone_us - launch_us).max(alone_us * 0.2);
        let mut curve: Vec<[f64; 2]> = Vec::new();
        for pages in PAGES_BESIDE {
            let slower = (self.kernel_us(&case, pages)? - alone_us).max(0.0) / alone_us;
            // More copies do not make a kernel faster: what says so is noise.
            let slower = slower.max(curve.last().map_or(0.0, |point| point[1])).min(MAX_SLOWDOWN * 2.0);
            curve.push([f64::from(pages) * PAGE_BYTES as f64 / alone_us, slower]);
            if slower > MAX_SLOWDOWN {
                break;
            }
        }
        Ok(KernelRate { alone_us, work_per_second: case.work / working_us * 1e6, curve })
    }

    /// Time of one call, with `pages` copies before it.
    fn kernel_us(&self, case: &Case, pages: u32) -> Result<f64, Error> {
        let calls = |count: u32| {
            self.time(|encoder| {
                for call in 0..count {
                    self.copy_pages(encoder, call * pages, pages);
                    let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
                    pass.set_pipeline(&case.pipeline);
                    pass.set_bind_group(0, &case.group, &[]);
                    pass.dispatch_workgroups(case.workgroups[0], case.workgroups[1], 1);
                }
            })
        };
        Ok(difference(calls(FEW)?, calls(FEW + MORE)?, f64::from(MORE)))
    }

    /// Median time of a submission, the first one left out.
    fn time(&self, mut encode: impl FnMut(&mut CommandEncoder)) -> Result<f64, Error> {
        let wait = Wait::blocking(TIMEOUT);
        let mut times_us = Vec::new();
        for repeat in 0..=self.repeats {
            let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
            encode(&mut encoder);
            let commands = encoder.finish();
            let started = Instant::now();
            self.gpu.queue.submit([commands]);
            pollster::block_on(self.gpu.wait_until_idle(DURING, &wait))?;
            if repeat > 0 {
                times_us.push(started.elapsed().as_secs_f64() * 1e6);
            }
        }
        Ok(super::disk::median(&mut times_us))
    }

    fn copy_pages(&self, encoder: &mut CommandEncoder, first: u32, count: u32) {
        for copy in first..first + count {
            let buffer = &self.staging[(copy % STAGING_BUFFERS) as usize];
            let layout = TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(PAGE_WIDTH * 16),
                rows_per_image: Some(PAGE_ROWS),
            };
            encoder.copy_buffer_to_texture(
                TexelCopyBufferInfo { buffer, layout },
                TexelCopyTextureInfo {
                    texture: &self.texture,
                    mip_level: 0,
                    origin: Origin3d { x: 0, y: 0, z: copy % LAYERS },
                    aspect: TextureAspect::All,
                },
                Extent3d { width: PAGE_WIDTH, height: PAGE_ROWS, depth_or_array_layers: 1 },
            );
        }
    }

    /// A kernel on operands of `size`: bytes of each, or rows of square matrices.
    async fn case(&self, class: Class, size: u32) -> Result<Case, Error> {
        let elements = f64::from(size) / 4.0;
        let (source, operand_bytes, workgroups, work) = match class {
            Class::Elemental => (ELEMENTAL, size.into(), spread((size / 16).div_ceil(64)), elements * 12.0),
            Class::Hierarchical => (HIERARCHICAL, size.into(), [size / 4096, 1], elements * 12.0),
            Class::Reusable { software } => {
                let source = if software { REUSABLE_WIDE } else { REUSABLE };
                let tiles = if software { [size.div_ceil(256), size.div_ceil(32)] } else { [size / 64; 2] };
                (source, 4 * u64::from(size).pow(2), tiles, 2.0 * f64::from(size).powi(3))
            }
        };
        let constants = [("SIDE", f64::from(size))];
        let has_side = matches!(class, Class::Reusable { .. });
        let device = &self.gpu.device;
        let (pipeline, group) = self
            .gpu
            .checked("creating a kernel to measure", || {
                let source = ShaderSource::Wgsl(source.into());
                let module = device.create_shader_module(ShaderModuleDescriptor { label: None, source });
                let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
                    label: None,
                    layout: None,
                    module: &module,
                    entry_point: Some("main"),
                    compilation_options: PipelineCompilationOptions {
                        constants: if has_side { &constants } else { &[] },
                        ..PipelineCompilationOptions::default()
                    },
                    cache: None,
                });
                let entries = [0_u32, 1, 2].map(|binding| BindGroupEntry {
                    binding,
                    resource: BindingResource::Buffer(BufferBinding {
                        buffer: &self.operands[binding as usize],
                        offset: 0,
                        size: std::num::NonZero::new(operand_bytes),
                    }),
                });
                let layout = &pipeline.get_bind_group_layout(0);
                let group = device.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries });
                (pipeline, group)
            })
            .await?;
        Ok(Case { pipeline, group, workgroups, work })
    }
}

impl Class {
    /// The smallest and the largest size; the second is the first times a power of two.
    const fn sizes(self) -> (u32, u32) {
        match self {
            Self::Elemental | Self::Hierarchical => (1 << 18, BUFFER_BYTES as u32),
            // 2,048 rows are 16 MiB.
            Self::Reusable { .. } => (256, 2048),
        }
    }
}

/// Workgroups in two dimensions, neither above the limit of every device.
fn spread(workgroups: u32) -> [u32; 2] {
    let rows = workgroups.div_ceil(32_768).max(1);
    [workgroups.div_ceil(rows), rows]
}

/// Time of one of `more` things that the second measurement has and the first has not.
fn difference(few_us: f64, many_us: f64, more: f64) -> f64 {
    // Noise must not make time run backwards: a clock has steps.
    ((many_us - few_us) / more).max(1e-3)
}
