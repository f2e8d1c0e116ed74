//! A plan's requirements against an adapter's limits: checked before anything is allocated, and requested exactly.
//!
//! More than the plan needs is deliberately never requested, so that a plan that works on one device is known to work on
//! every device whose limits cover it.

use crate::api::Error;
use flashmem_plan_format::plan::Requirements;
use wgpu::{AdapterInfo, DeviceType, Limits};

/// Rounds after which Mesa's CPU adapter ends all loops of an invocation together, without an error.
const SOFTWARE_LOOP_ROUNDS: u32 = 65_535;

/// The limits to request for `requirements`, or the first one that the adapter does not have.
pub(crate) fn limits_for(
    requirements: &Requirements,
    adapter: &AdapterInfo,
    available: &Limits,
) -> Result<Limits, Error> {
    let (software, needed) = (adapter.device_type == DeviceType::Cpu, requirements.loop_rounds);
    let adapter = &adapter.name;
    if software && needed > SOFTWARE_LOOP_ROUNDS {
        return Err(Error::LoopRounds { adapter: adapter.clone(), needed, limit: SOFTWARE_LOOP_ROUNDS });
    }
    let needed = needed_limits(requirements);
    let mut missing = None;
    needed.check_limits_with_fail_fn(available, true, |limit, needed, available| {
        missing = Some(Error::Limit { adapter: adapter.clone(), limit, needed, available });
    });
    missing.map_or_else(
        || Ok(Limits::downlevel_defaults().or_worse_values_from(available).or_better_values_from(&needed)),
        Err,
    )
}

/// Only what the plan needs: everything else at its weakest value.
fn needed_limits(requirements: &Requirements) -> Limits {
    let weakest = Limits {
        max_texture_dimension_1d: 0,
        max_texture_dimension_3d: 0,
        min_uniform_buffer_offset_alignment: 256,
        min_storage_buffer_offset_alignment: 256,
        ..weakest_limits()
    };
    Limits {
        max_texture_array_layers: requirements.texture_array_layers,
        max_texture_dimension_2d: requirements.texture_side,
        max_buffer_size: requirements.buffer_bytes,
        max_storage_buffer_binding_size: requirements.storage_binding_bytes,
        max_uniform_buffer_binding_size: requirements.uniform_binding_bytes.into(),
        max_storage_buffers_per_shader_stage: requirements.storage_buffers,
        max_compute_workgroup_storage_size: requirements.workgroup_bytes,
        max_compute_invocations_per_workgroup: requirements.workgroup_invocations,
        max_compute_workgroup_size_x: requirements.workgroup_size[0],
        max_compute_workgroup_size_y: requirements.workgroup_size[1],
        max_compute_workgroup_size_z: requirements.workgroup_size[2],
        max_compute_workgroups_per_dimension: requirements.workgroups_per_dimension,
        ..weakest
    }
}

/// Limits that every device has: the WebGL2 set, with compute as low as it goes.
fn weakest_limits() -> Limits {
    Limits { max_color_attachments: 0, ..Limits::downlevel_webgl2_defaults().or_worse_values_from(&Limits::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::Backend;

    fn adapter(name: &str, device_type: DeviceType) -> AdapterInfo {
        AdapterInfo { name: name.to_owned(), ..AdapterInfo::new(device_type, Backend::Vulkan) }
    }

    #[test]
    fn loops_that_a_software_adapter_would_end_are_refused_there_only() {
        let requirements = Requirements { loop_rounds: 65_536, ..Requirements::default() };
        let on = |device_type| limits_for(&requirements, &adapter("pipe", device_type), &Limits::default());
        let error = on(DeviceType::Cpu).unwrap_err().to_string();
        assert!(error.contains("`pipe`") && error.contains("65536") && error.contains("--device software"), "{error}");
        assert!(on(DeviceType::IntegratedGpu).is_ok());
    }

    #[test]
    fn a_missing_limit_is_named_with_both_values() {
        let requirements = Requirements { texture_array_layers: 300, ..Requirements::default() };
        let available = Limits { max_texture_array_layers: 256, ..Limits::default() };
        let error = limits_for(&requirements, &adapter("thin", DeviceType::Other), &available).unwrap_err();
        assert_eq!(error.to_string(), "adapter `thin` has max_texture_array_layers = 256, and the plan needs 300");
    }

    #[test]
    fn what_is_needed_is_requested() {
        let requirements = Requirements { storage_buffers: 7, texture_side: 4096, ..Requirements::default() };
        let limits = limits_for(&requirements, &adapter("web", DeviceType::Other), &Limits::default()).unwrap();
        assert_eq!((limits.max_storage_buffers_per_shader_stage, limits.max_texture_dimension_2d), (7, 4096));
        assert!(limits.check_limits(&Limits::default()));
    }
}
