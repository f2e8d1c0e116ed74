//! Chooses an adapter and opens a device: with just the limits that a plan needs, or with all that the adapter has.
//!
//! Hardware comes before software; software is used when there is nothing else, and said so. No optional feature is ever
//! requested, so every kernel is plain WebGPU.

use crate::error::Error;
use crate::gpu::Gpu;
use crate::limits::limits_for;
use flashmem_plan_format::plan::Requirements;
use wgpu::{
    Adapter, Backends, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, InstanceFlags, Limits, MemoryHints,
};

/// Opens the device for a plan.
pub(crate) async fn open(requirements: &Requirements, wanted: Option<&str>) -> Result<Gpu, Error> {
    let adapter = adapter(wanted).await?;
    let limits = limits_for(requirements, &adapter.get_info().name, &adapter.limits())?;
    request(&adapter, limits).await
}

/// Opens a device with all limits that its adapter has, for plans that are not known yet.
pub(crate) async fn open_whole(wanted: Option<&str>) -> Result<Gpu, Error> {
    let adapter = adapter(wanted).await?;
    request(&adapter, adapter.limits()).await
}

async fn adapter(wanted: Option<&str>) -> Result<Adapter, Error> {
    let instance = Instance::new(InstanceDescriptor {
        backends: backends(),
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    choose(adapters(&instance).await, wanted)
}

async fn request(adapter: &Adapter, required_limits: Limits) -> Result<Gpu, Error> {
    let info = adapter.get_info();
    let descriptor = DeviceDescriptor {
        label: Some("flashmem"),
        required_limits,
        memory_hints: MemoryHints::MemoryUsage,
        ..DeviceDescriptor::default()
    };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| Error::RequestDevice { adapter: info.name.clone(), message: error.to_string() })?;
    Ok(Gpu::new(device, queue, info))
}

const fn backends() -> Backends {
    if cfg!(target_arch = "wasm32") {
        Backends::BROWSER_WEBGPU
    } else {
        Backends::VULKAN.union(Backends::METAL).union(Backends::DX12)
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn adapters(instance: &Instance) -> Vec<Adapter> {
    instance.enumerate_adapters(backends()).await
}

#[cfg(target_arch = "wasm32")]
async fn adapters(instance: &Instance) -> Vec<Adapter> {
    instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.into_iter().collect()
}

fn choose(mut adapters: Vec<Adapter>, wanted: Option<&str>) -> Result<Adapter, Error> {
    // The sort is stable: adapters of one kind stay in the order of the system.
    adapters.sort_by_key(|adapter| preference(adapter.get_info().device_type));
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let position = match wanted {
        Some(wanted) => {
            let lower = wanted.to_lowercase();
            names.iter().position(|name| name.to_lowercase().contains(&lower))
        }
        None => (!names.is_empty()).then_some(0),
    };
    match (position, wanted) {
        (Some(position), _) => Ok(adapters.swap_remove(position)),
        (None, Some(wanted)) if !names.is_empty() => {
            Err(Error::AdapterNotFound { wanted: wanted.to_owned(), available: names })
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
