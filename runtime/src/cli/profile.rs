//! `flashmem-run profile`: measures, writes the profile, and says what to make of it.

use clap::Args;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::{self, Destination, Named, check_outputs};
use flashmem_runtime::profile::{KernelRate, MeasuredProfile, ProfileOptions, measure};
use std::path::{Path, PathBuf};

/// What to measure.
#[derive(Debug, Args)]
pub struct ProfileArguments {
    /// Where the profile goes.
    #[arg(short, long, value_name = "DEVICE.toml")]
    pub output: PathBuf,
    /// Measure the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Read this file instead of a temporary one beside the profile.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// How much to read: bytes, or a number with MiB, GiB, M, G (powers of 1024), MB or GB (powers of 1000).
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = byte_size::parse)]
    pub size: u64,
    /// Repetitions of every measurement, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Enlarge kernels until one takes this many microseconds.
    #[arg(long, value_name = "US", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub kernel_us: u32,
}

/// Measures this machine.
pub fn run(arguments: &ProfileArguments) -> anyhow::Result<()> {
    let output = &arguments.output;
    let read = arguments.file.iter().map(|path| Named::new("--file", path));
    check_outputs(&read.collect::<Vec<_>>(), &[Named::new("--output", output)])?;
    let options = ProfileOptions {
        adapter: arguments.adapter.clone(),
        file: arguments.file.clone(),
        folder: folder_of(output)?,
        file_bytes: arguments.size,
        repeats: arguments.repeats,
        min_kernel_us: arguments.kernel_us.into(),
    };
    let measured = measure(&options, &mut |what| errln!("measuring: {what}"))?;
    report(&measured);
    files::write(output, measured.to_toml().as_bytes())?;
    errln!("profile: {}", output.display());
    Ok(())
}

/// The folder of the file that is written, or the current one when it is no file.
fn folder_of(output: &Path) -> anyhow::Result<PathBuf> {
    Ok(match Destination::of(output)? {
        Destination::File(path) => path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned),
        Destination::Null(_) | Destination::Stream(..) | Destination::StandardOutput | Destination::StandardError => {
            PathBuf::from(".")
        }
    })
}

fn report(measured: &MeasuredProfile) {
    let giga = |value: f64| format!("{:.2}", value / 1e9);
    errln!("adapter: {}{}", measured.adapter, if measured.software { " (computes on the CPU)" } else { "" });
    errln!(
        "disk: {} GB/s, cached {} GB/s",
        giga(measured.disk.bytes_per_second),
        giga(measured.disk.cached_bytes_per_second)
    );
    if measured.disk.looks_cached {
        errln!(
            "note: the file seems to come from a cache; give --file a file that was not read lately, or correct \
             disk_bytes_per_second by hand"
        );
    }
    errln!("upload: {} GB/s, launch: {:.1} us", giga(measured.upload_bytes_per_second), measured.launch_us);
    let kernel = |name: &str, rate: &KernelRate, unit: &str| {
        let most = rate.curve.last().copied().unwrap_or_default();
        errln!(
            "{name}: {} {unit} ({:.0} us alone), {:.0} % slower beside {} GB/s of uploads",
            giga(rate.work_per_second),
            rate.alone_us,
            most[1] * 100.0,
            giga(most[0] * 1e6),
        );
    };
    kernel("elemental", &measured.elemental, "GB/s");
    kernel("reusable", &measured.reusable, "GFLOP/s");
    kernel("hierarchical", &measured.hierarchical, "GB/s");
}
