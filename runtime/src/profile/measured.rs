//! What is measured of a machine, how, and why it cannot be.

use crate::api::Error;
use std::io;
use std::path::PathBuf;

/// How a machine is measured.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// Use the first adapter whose name contains this text, in any case.
    pub adapter: Option<String>,
    /// An existing file to read; without one, a temporary file is written and removed.
    pub file: Option<PathBuf>,
    /// Where the temporary file goes: on the disk that is to be measured.
    pub folder: PathBuf,
    /// Bytes that are read.
    pub file_bytes: u64,
    /// Repetitions of every measurement, at least 1.
    pub repeats: u32,
    /// Kernels are enlarged until they take this long.
    pub min_kernel_us: f64,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self {
            adapter: None,
            file: None,
            folder: PathBuf::from("."),
            file_bytes: 256 << 20,
            repeats: 7,
            min_kernel_us: 500.0,
        }
    }
}

/// The machine cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The device is at fault.
    #[error(transparent)]
    Device(#[from] Error),
    /// The file is at fault.
    #[error("cannot measure with {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too short to measure anything.
    #[error("{}: {bytes} bytes are too few to measure a disk, at least {least} are needed", path.display())]
    ShortFile {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is needed.
        least: u64,
    },
}

/// Sequential reads of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskRate {
    /// After the file was dropped from the page cache, where the system can do that.
    pub bytes_per_second: f64,
    /// Of a file that was just read.
    pub cached_bytes_per_second: f64,
    /// Whether the first rate is probably that of a cache.
    pub looks_cached: bool,
}

/// One kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelRate {
    /// Time alone, with its launch.
    pub alone_us: f64,
    /// What it does in that time, launch subtracted: bytes or floating-point operations a second.
    pub work_per_second: f64,
    /// Bytes copied beside it per microsecond of its time alone, and by which fraction of that time it became slower.
    pub curve: Vec<[f64; 2]>,
}

/// Limits of an adapter that plans depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredLimits {
    /// `max_storage_buffer_binding_size`.
    pub storage_binding_bytes: u64,
    /// `max_buffer_size`.
    pub buffer_bytes: u64,
    /// `max_texture_array_layers`.
    pub texture_array_layers: u32,
    /// `max_texture_dimension_2d`.
    pub texture_side: u32,
}

/// A measured machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredProfile {
    /// The adapter's name.
    pub adapter: String,
    /// Whether it computes on the CPU.
    pub software: bool,
    /// Whether it is a card of its own, with many registers and multiprocessors.
    pub discrete: bool,
    /// The disk.
    pub disk: DiskRate,
    /// Copies from staging into the arena.
    pub upload_bytes_per_second: f64,
    /// Fixed cost of a kernel call.
    pub launch_us: f64,
    /// Additions; bytes read and written.
    pub elemental: KernelRate,
    /// A matrix product; floating-point operations.
    pub reusable: KernelRate,
    /// A softmax; three times its elements' bytes, as predictions count.
    pub hierarchical: KernelRate,
    /// The adapter's limits.
    pub limits: MeasuredLimits,
}
