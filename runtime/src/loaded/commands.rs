//! A list of commands with the sequence of its loads.

use flashmem_plan_format::plan::{Command, PageId};
use std::sync::Arc;

/// What a run does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandList<'a> {
    pub(crate) commands: &'a [Command],
    /// Its pages in order of loading.
    pub(crate) loads: &'a Arc<[PageId]>,
}

/// Pages in order of loading.
pub(crate) fn loads(commands: &[Command]) -> Arc<[PageId]> {
    let pages = commands.iter().filter_map(|command| match command {
        Command::Load { page, .. } => Some(*page),
        Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
    });
    pages.collect()
}
