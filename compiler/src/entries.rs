//! One model at several sizes in one bundle: each size is compiled as a model of its own, and then they are linked.
//!
//! The entry that runs most often decides the size of pages, so that all cut the same weights into the same pages, which linking stores
//! once. Under a budget, entries are compiled for all of it first, then for less, and last for as little memory as they can have:
//! together they need more than each alone. It decides nothing else; what stays resident is linking's choice.

use crate::compile::{CompileError, CompileOptions, Progress, compile_scratch};
use crate::import::ImportOptions;
use crate::link::{LinkError, LinkOptions, LinkReport, link_files};
use crate::options::{Objective, Slack};
use crate::search::{BudgetError, SolveError};
use flashmem_plan_format::Bundle;
use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::files::ScratchFile;
use flashmem_plan_format::source::FileSource;
use std::io;
use std::path::Path;

/// A model at some sizes.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What apps call it.
    pub name: String,
    /// What is imported.
    pub import: ImportOptions,
}

/// Entries cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    /// One of them cannot be compiled.
    #[error("entry `{entry}`")]
    Compile {
        /// Its name.
        entry: String,
        /// Why.
        source: Box<CompileError>,
    },
    /// What was compiled cannot be read again.
    #[error("entry `{entry}`: what was compiled for it cannot be read again")]
    Read {
        /// Its name.
        entry: String,
        /// Why.
        source: io::Error,
    },
    /// What was compiled is no bundle: a mistake of ours.
    #[error("entry `{entry}`: what was compiled for it is no bundle")]
    Bundle {
        /// Its name.
        entry: String,
        /// Why.
        source: BundleError,
    },
    /// They cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Compiles `model` into the bundle `output` of all entries, in order. `progress` hears what is done for which entry; of all
/// together without a name.
///
/// # Errors
/// See [`EntriesError`].
pub fn compile_entries(
    model: &Path,
    output: &Path,
    entries: &[Entry],
    (options, link): (&CompileOptions, &LinkOptions),
    progress: &mut dyn FnMut(Option<&str>, Progress),
) -> Result<LinkReport, EntriesError> {
    let mut attempt = |options: &CompileOptions| {
        let files = files(model, output, entries, (options, &link.calls), progress)?;
        progress(None, Progress::Stage("link"));
        let written = &mut |done, total| progress(None, Progress::Writing(done, total));
        Ok(link_files(files.named(entries)?, output, link, written)?)
    };
    for options in attempts(options) {
        match attempt(&options) {
            Err(error) if is_too_small(&error) => {}
            done => return done,
        }
    }
    // What all entries need at least, and the smallest budget that works where that is too much.
    let least = Objective::Memory { slack: Slack::Unlimited };
    attempt(&CompileOptions { budget_bytes: None, objective: least, ..options.clone() })
}

/// Parts of the budget that entries are compiled for.
const BUDGET_PARTS: [u64; 3] = [1, 2, 4];

/// The options of every attempt but the last; without a budget the first one succeeds.
fn attempts(options: &CompileOptions) -> Vec<CompileOptions> {
    let with =
        |part| CompileOptions { budget_bytes: options.budget_bytes.map(|bytes| bytes / part), ..options.clone() };
    let parts = if options.budget_bytes.is_some() { &BUDGET_PARTS[..] } else { &BUDGET_PARTS[..1] };
    parts.iter().map(|part| with(*part)).collect()
}

/// Whether less memory for every entry may do.
fn is_too_small(error: &EntriesError) -> bool {
    match error {
        EntriesError::Link(LinkError::TooSmall { .. }) => true,
        EntriesError::Compile { source, .. } => {
            matches!(**source, CompileError::Solve(SolveError::Budget(BudgetError::TooSmall { .. })))
        }
        EntriesError::Link(_) | EntriesError::Read { .. } | EntriesError::Bundle { .. } => false,
    }
}

/// The compiled entries, in order.
struct Files(Vec<ScratchFile>);

impl Files {
    fn named(&self, entries: &[Entry]) -> Result<Vec<(String, std::fs::File)>, EntriesError> {
        let open = |(entry, file): (&Entry, &ScratchFile)| Ok((entry.name.clone(), opened(entry, file)?));
        entries.iter().zip(&self.0).map(open).collect()
    }
}

fn opened(entry: &Entry, file: &ScratchFile) -> Result<std::fs::File, EntriesError> {
    file.file().try_clone().map_err(|source| EntriesError::Read { entry: entry.name.clone(), source })
}

/// Compiles every entry, the one that runs most often first: the others get pages of its size.
fn files(
    model: &Path,
    output: &Path,
    entries: &[Entry],
    (options, calls): (&CompileOptions, &[f64]),
    progress: &mut dyn FnMut(Option<&str>, Progress),
) -> Result<Files, EntriesError> {
    let mut options = options.clone();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|a, b| calls[*b].total_cmp(&calls[*a]));
    let mut made: Vec<Option<ScratchFile>> = entries.iter().map(|_| None).collect();
    for index in order {
        let entry = &entries[index];
        options.import = entry.import.clone();
        let compiled = compile_scratch(model, output, &options, &mut |done| progress(Some(&entry.name), done));
        let failed = |source| EntriesError::Compile { entry: entry.name.clone(), source: Box::new(source) };
        let file = compiled.map_err(failed)?;
        if options.page_bytes.is_none() {
            options.page_bytes = page_bytes(entry, &file)?;
        }
        made[index] = Some(file);
    }
    Ok(Files(made.into_iter().flatten().collect()))
}

/// The size of an entry's pages, if it has any.
fn page_bytes(entry: &Entry, file: &ScratchFile) -> Result<Option<u64>, EntriesError> {
    let source = FileSource::new(opened(entry, file)?);
    let source = source.map_err(|source| EntriesError::Read { entry: entry.name.clone(), source })?;
    let bundle = Bundle::open_without_golden(&source);
    let bundle = bundle.map_err(|source| EntriesError::Bundle { entry: entry.name.clone(), source })?;
    Ok((bundle.plan.page_count > 0).then(|| bundle.plan.page.page_bytes()))
}
