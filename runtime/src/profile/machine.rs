//! The adapter to measure, with every limit that it has.
//!
//! It differs from what a session opens: a plan's device has just the limits that the plan needs.

use super::MeasuredLimits;
use crate::error::Error;
use crate::gpu::Gpu;
use wgpu::{
    Adapter, Backends, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, InstanceFlags, Limits, MemoryHints,
};

/// Opens the first adapter of the wanted name, or the best one.
pub(super) async fn open(wanted: Option<&str>) -> Result<(Gpu, MeasuredLimits), Error> {
    let backends = Backends::VULKAN.union(Backends::METAL).union(Backends::DX12);
    let instance = Instance::new(InstanceDescriptor {
        backends,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapter = choose(instance.enumerate_adapters(backends).await, wanted)?;
    let (info, available) = (adapter.get_info(), adapter.limits());
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
    let limits = MeasuredLimits {
        storage_binding_bytes: available.max_storage_buffer_binding_size,
        buffer_bytes: available.max_buffer_size,
        texture_array_layers: available.max_texture_array_layers,
        texture_side: available.max_texture_dimension_2d,
    };
    Ok((Gpu::new(device, queue, info), limits))
}

/// Hardware before software, in the system's order.
fn choose(mut adapters: Vec<Adapter>, wanted: Option<&str>) -> Result<Adapter, Error> {
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let fits = |name: &String| wanted.is_none_or(|wanted| name.to_lowercase().contains(&wanted.to_lowercase()));
    match (names.iter().position(fits), wanted) {
        (Some(position), _) => Ok(adapters.swap_remove(position)),
        (None, Some(wanted)) if !names.is_empty() => {
            Err(Error::AdapterNotFound { wanted: wanted.to_owned(), available: names })
        }
        (None, _) => Err(Error::NoAdapter),
    }
}
