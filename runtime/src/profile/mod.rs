//! Measures the machine at hand: the rates that a device profile holds, from real kernels, copies and reads.
//!
//! Three kernels stand for the classes of docs/schedule.md (`kernels/`): additions, a matrix product, a softmax. Each runs alone
//! and with page copies beside it, so that the slowdown by uploads is measured and not assumed. Times are those of whole
//! submissions, on the host's clock, after a warm-up; of several repetitions the median counts, and of two lengths the
//! difference, so that what every submission costs falls out. It deliberately does not run the compiler's own kernels: a
//! profile's rates are those of plain ones, which is what the compiler's predictions are relative to.

mod bench;
mod disk;
mod measured;
mod text;

pub use measured::{DiskRate, KernelRate, MeasuredLimits, MeasuredProfile, ProfileError, ProfileOptions};

use crate::device::adapter;
use bench::Bench;

/// Measures a machine; `progress` hears what is being done.
///
/// # Errors
/// See [`ProfileError`].
pub fn measure(options: &ProfileOptions, progress: &mut dyn FnMut(&str)) -> Result<MeasuredProfile, ProfileError> {
    progress("disk");
    let disk = disk::measure(options)?;
    progress("adapter");
    let chosen = pollster::block_on(adapter::choose(options.adapter.as_deref()))?;
    let (gpu, available) = pollster::block_on(adapter::open_to_measure(chosen))?;
    let limits = MeasuredLimits {
        storage_binding_bytes: available.max_storage_buffer_binding_size,
        buffer_bytes: available.max_buffer_size,
        texture_array_layers: available.max_texture_array_layers,
        texture_side: available.max_texture_dimension_2d,
    };
    let (adapter, software) = (gpu.info.name.clone(), gpu.is_software());
    let discrete = gpu.info.device_type == wgpu::DeviceType::DiscreteGpu;
    let bench = pollster::block_on(Bench::new(gpu, options.repeats.max(1)))?;
    progress("launches");
    let launch_us = bench.launch_us()?;
    progress("uploads");
    let upload_bytes_per_second = bench.upload_bytes_per_second()?;
    let mut kernel = |what: &str, class| {
        progress(what);
        pollster::block_on(bench.kernel(class, options.min_kernel_us, launch_us))
    };
    let elemental = kernel("elemental kernels", bench::Class::Elemental)?;
    let reusable = kernel("reusable kernels", bench::Class::Reusable { software })?;
    let hierarchical = kernel("hierarchical kernels", bench::Class::Hierarchical)?;
    Ok(MeasuredProfile {
        adapter,
        software,
        discrete,
        disk,
        upload_bytes_per_second,
        launch_us,
        elemental,
        reusable,
        hierarchical,
        limits,
    })
}
