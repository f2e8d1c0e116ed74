//! Chooses an adapter and opens a device: with just the limits that a plan needs, or with all that the adapter has.
//!
//! Hardware comes before software; software is used when there is nothing else, and said so. Every kernel is plain WebGPU; the
//! only optional features are those of pipelines' cooperative sources, where a plan has any, and timestamps for tracing.

use super::cooperative::CooperativeBytes;
use super::gpu::Gpu;
use super::limits::limits_for;
use crate::api::Error;
use flashmem_plan_format::plan::Requirements;
use wgpu::{
    Adapter, AdapterInfo, Backends, DeviceDescriptor, DeviceType, Features, Instance, InstanceDescriptor,
    InstanceFlags, Limits, MemoryHints,
};

/// An adapter that was found, which needs no plan.
pub(crate) struct Chosen {
    adapter: Adapter,
    info: AdapterInfo,
}

/// Finds the adapter: the first whose name contains `wanted`, or the best.
///
/// Backends are tried one after another, so that only the needed ones are initialised: a later one only when those before
/// have no adapter of the name, or nothing but software.
pub(crate) async fn choose(requested: Option<&str>) -> Result<Chosen, Error> {
    let mut found = Vec::new();
    for backend in BACKENDS {
        let instance = Instance::new(InstanceDescriptor {
            backends: *backend,
            flags: InstanceFlags::empty(),
            ..InstanceDescriptor::new_without_display_handle()
        });
        for adapter in adapters(&instance, *backend).await {
            let info = adapter.get_info();
            found.push(Chosen { adapter, info });
        }
        let is_enough = |chosen: &Chosen| match requested {
            Some(requested) => chosen.has_name(requested),
            None => chosen.info.device_type != DeviceType::Cpu,
        };
        if found.iter().any(is_enough) {
            break;
        }
    }
    pick(found, requested)
}

/// Opens the device for a plan, with those of the `requested` features that the adapter has, and for its cooperative sources if the
/// adapter can.
pub(crate) async fn open(
    chosen: Chosen,
    requirements: &Requirements,
    requested: Features,
    cooperative: CooperativeBytes,
) -> Result<Gpu, Error> {
    let mut limits = limits_for(requirements, &chosen.info, &chosen.adapter.limits())?;
    let cooperative = cooperative.granted(&chosen.adapter, &chosen.info);
    cooperative.raise(&mut limits);
    request(chosen, limits, requested, cooperative).await
}

/// Opens a device with all limits that its adapter has, for plans that are not known yet.
pub(crate) async fn open_whole(chosen: Chosen) -> Result<Gpu, Error> {
    let limits = chosen.adapter.limits();
    let cooperative = CooperativeBytes(limits.max_compute_workgroup_storage_size);
    let cooperative = cooperative.granted(&chosen.adapter, &chosen.info);
    request(chosen, limits, Features::empty(), cooperative).await
}

async fn request(
    chosen: Chosen,
    required_limits: Limits,
    requested: Features,
    cooperative: CooperativeBytes,
) -> Result<Gpu, Error> {
    let Chosen { adapter, info } = chosen;
    let descriptor = DeviceDescriptor {
        label: Some("flashmem"),
        required_features: adapter.features().intersection(requested.union(cooperative.features())),
        experimental_features: cooperative.experimental(),
        required_limits,
        memory_hints: MemoryHints::Manual { suballocated_device_memory_block_size: BLOCK_BYTES..BLOCK_BYTES },
        ..DeviceDescriptor::default()
    };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| Error::RequestDevice { adapter: info.name.clone(), message: error.to_string() })?;
    Ok(Gpu::new(device, queue, info, cooperative))
}

/// Opens a device with the limits that every device has and that the measured kernels need, and says what the adapter's are.
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub(crate) async fn open_to_measure(chosen: Chosen) -> Result<(Gpu, Limits), Error> {
    let Chosen { adapter, info } = chosen;
    let available = adapter.limits();
    let descriptor = DeviceDescriptor {
        label: Some("flashmem profile"),
        required_limits: Limits::downlevel_defaults().or_worse_values_from(&available),
        memory_hints: MemoryHints::MemoryUsage,
        ..DeviceDescriptor::default()
    };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| Error::RequestDevice { adapter: info.name.clone(), message: error.to_string() })?;
    Ok((Gpu::new(device, queue, info, CooperativeBytes::default()), available))
}

/// Memory that wgpu takes from the driver at a time for resources up to this size; larger ones get their own. It is the
/// least that wgpu allows: growing blocks, which its hints for low memory use have, would leave tens of MiB unused.
const BLOCK_BYTES: u64 = 4 << 20;

/// In order of trying.
#[cfg(target_arch = "wasm32")]
const BACKENDS: &[Backends] = &[Backends::BROWSER_WEBGPU];
#[cfg(target_vendor = "apple")]
const BACKENDS: &[Backends] = &[Backends::METAL, Backends::VULKAN];
#[cfg(not(any(target_arch = "wasm32", target_vendor = "apple")))]
const BACKENDS: &[Backends] = &[Backends::VULKAN, Backends::DX12];

#[cfg(not(target_arch = "wasm32"))]
async fn adapters(instance: &Instance, backend: Backends) -> Vec<Adapter> {
    instance.enumerate_adapters(backend).await
}

#[cfg(target_arch = "wasm32")]
async fn adapters(instance: &Instance, _backend: Backends) -> Vec<Adapter> {
    instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.into_iter().collect()
}

impl Chosen {
    fn has_name(&self, requested: &str) -> bool {
        self.info.name.to_lowercase().contains(&requested.to_lowercase())
    }
}

fn pick(mut found: Vec<Chosen>, requested: Option<&str>) -> Result<Chosen, Error> {
    // The sort is stable: adapters of one kind stay in the order of the system.
    found.sort_by_key(|chosen| preference(chosen.info.device_type));
    match (found.iter().position(|chosen| requested.is_none_or(|requested| chosen.has_name(requested))), requested) {
        (Some(position), _) => Ok(found.swap_remove(position)),
        (None, Some(requested)) if !found.is_empty() => {
            let available = found.into_iter().map(|chosen| chosen.info.name).collect();
            Err(Error::AdapterNotFound { requested: requested.to_owned(), available })
        }
        (None, _) => Err(Error::NoAdapter),
    }
}

const fn preference(device_type: DeviceType) -> u32 {
    match device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}
