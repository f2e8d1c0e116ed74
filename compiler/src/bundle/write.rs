//! Plan, constants, rows and pages become a `.fmplan` file, page by page.

use crate::lower::program::Program;
use crate::pack::{self, PackError};
use flashmem_plan_format::container::{BundleWriter, Golden, Summary, WriteError};
use flashmem_plan_format::files::ScratchFile;
use flashmem_plan_format::plan::Plan;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

/// Most threads that pack pages: writing and hashing, which one thread does, keep up with no more.
const MAX_PACKING_THREADS: u32 = 8;

/// A bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A weight cannot be stored.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Packs and writes a bundle; `progress` hears (bytes done, bytes in all).
///
/// # Errors
/// See [`BundleError`].
pub fn write(
    path: &Path,
    program: &Program,
    plan: &Plan,
    golden: Option<&Golden>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, BundleError> {
    let mut writer = BundleWriter::create(path, plan, &program.constants, golden)?;
    push(&mut writer, program, plan, progress)?;
    Ok(writer.finish()?)
}

/// Packs a bundle without a self-test into a file that is read again while an output is made.
///
/// # Errors
/// See [`BundleError`].
pub fn write_scratch(
    scratch: &ScratchFile,
    program: &Program,
    plan: &Plan,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, BundleError> {
    let out = BufWriter::new(scratch.file());
    let mut writer = BundleWriter::new(out, plan, &program.constants, None)?;
    push(&mut writer, program, plan, progress)?;
    Ok(writer.finish_into()?.1)
}

/// All rows and pages.
fn push<W: Write + Seek>(
    writer: &mut BundleWriter<W>,
    program: &Program,
    plan: &Plan,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BundleError> {
    let page_bytes = plan.page.page_bytes();
    let total = page_bytes * u64::from(plan.page_count)
        + plan.row_tables.iter().map(|t| t.row_bytes() * u64::from(t.rows)).sum::<u64>();
    let mut done = 0;
    for source in &program.row_sources {
        for row in 0..source.table.rows {
            writer.push_rows(&pack::row(source, row)?)?;
            done += source.table.row_bytes();
            if row % 1024 == 0 {
                progress(done, total);
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32).min(MAX_PACKING_THREADS);
    pack::parallel::pages(program, threads, |page| {
        writer.push_page(&page)?;
        done += page_bytes;
        progress(done, total);
        Ok::<(), BundleError>(())
    })
}
