//! Bundles of one network each become one bundle of several, which take turns in one arena under one budget.
//!
//! `share.rs` finds what is equal (pages, tables, constants, states, kernels) and stores it once, `connect.rs` what goes from
//! one to another on the device, `choose.rs` decides ring, slots and which pages stay, `build.rs` makes the linked plans with
//! new command lists, `write.rs` copies rows and pages. A linked bundle needs nothing but the bundles: each holds its whole
//! scheduling problem. Kernels, parameters and page cuts stay as they were compiled, so every network gives the bits of its own
//! bundle.

mod build;
mod choose;
mod connect;
mod share;
mod types;
mod write;

pub use types::{ConnectionRequest, LinkError, LinkInput, LinkOptions, LinkReport, NetworkReport};

use crate::stages::problem_of_plan;
use build::sequence_bound_us;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::source::FileSource;
use std::fs::File;
use std::path::{Path, PathBuf};
use types::Member;

/// Links bundles, in order, and writes the result to `output`; `progress` hears (bytes done, bytes in all).
///
/// # Errors
/// See [`LinkError`].
pub fn link(
    inputs: &[LinkInput],
    output: &Path,
    options: &LinkOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<LinkReport, LinkError> {
    let members = inputs.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    link_members(&members, output, options, progress)
}

/// Links bundles in files that are open: names of networks, each with its file.
pub(crate) fn link_files(
    files: Vec<(String, File)>,
    output: &Path,
    options: &LinkOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<LinkReport, LinkError> {
    let member = |(name, file): (String, File)| {
        let path = PathBuf::from(&name);
        let source = FileSource::new(file).map_err(|source| LinkError::Open { path: path.clone(), source })?;
        member(name, path, source)
    };
    let members = files.into_iter().map(member).collect::<Result<Vec<_>, _>>()?;
    link_members(&members, output, options, progress)
}

fn link_members(
    members: &[Member],
    output: &Path,
    options: &LinkOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<LinkReport, LinkError> {
    check_page_sizes(members)?;
    let shared = share::share(members, options)?;
    let chosen = choose::choose(members, &shared, options)?;
    let bound_us = sequence_bound_us(members, &chosen.linked, &options.sequence);
    let sequence_us = chosen.sequence_us(&options.sequence).map(|us| (us, bound_us));
    let summary = write::write(output, members, &shared, &chosen.linked, progress)?;
    Ok(LinkReport {
        summary,
        networks: chosen.reports,
        pages_given: members.iter().map(|member| member.bundle.plan.page_count).sum(),
        linked: chosen.linked,
        sequence_us,
    })
}

fn open(input: &LinkInput) -> Result<Member, LinkError> {
    let LinkInput { name, path } = input.clone();
    let source = FileSource::open(&path).map_err(|source| LinkError::Open { path: path.clone(), source })?;
    member(name, path, source)
}

fn member(name: String, path: PathBuf, source: FileSource) -> Result<Member, LinkError> {
    let bundle =
        Bundle::open_without_golden(&source).map_err(|source| LinkError::Read { path: path.clone(), source })?;
    let problem = problem_of_plan(&bundle.plan);
    let problem = problem.map_err(|source| LinkError::Schedule { network: name.clone(), source })?;
    Ok(Member { name, path, source, bundle, problem })
}

fn check_page_sizes(members: &[Member]) -> Result<(), LinkError> {
    let with_pages = members.iter().filter(|member| member.bundle.plan.page_count > 0);
    let sizes: Vec<_> = with_pages.map(|member| (member.name.clone(), member.bundle.plan.page.page_bytes())).collect();
    if sizes.windows(2).all(|pair| pair[0].1 == pair[1].1) { Ok(()) } else { Err(LinkError::PageSizes { sizes }) }
}
