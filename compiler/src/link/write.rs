//! Copies golden values, rows and pages of several bundles into the linked one, each once, checked on the way.

use super::share::{Shared, row_pieces};
use super::types::{LinkError, Member};
use flashmem_plan_format::container::{BundleWriter, Summary};
use flashmem_plan_format::linked::Linked;
use std::path::Path;

/// Writes the bundle, whole or not at all.
pub fn write(
    output: &Path,
    members: &[Member],
    shared: &Shared,
    linked: &Linked,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, LinkError> {
    let golden = |member: &Member| {
        let read = member.bundle.read_golden(&member.source);
        read.map_err(|source| LinkError::Read { path: member.path.clone(), source })
    };
    let goldens = members.iter().map(golden).collect::<Result<Vec<_>, _>>()?;
    let mut writer = BundleWriter::create_linked(output, linked, &shared.constants, &goldens)?;
    let sizes = linked.rows_bytes().zip(linked.pages_bytes()).ok_or(LinkError::MemoryOverflow)?;
    let (total, mut done) = (sizes.0 + sizes.1, 0);
    let mut bytes = Vec::new();
    for (table, origin) in linked.row_tables.iter().zip(&shared.table_origins) {
        let (stride, row_bytes) = (table.row_stride_bytes() as usize, table.row_bytes() as usize);
        for (first, count) in row_pieces(table) {
            members[origin.network].read_rows(origin.index, first, count, &mut bytes)?;
            for row in bytes.chunks(stride) {
                // The writer adds the checksum again.
                writer.push_rows(&row[..row_bytes])?;
            }
            done += bytes.len() as u64;
            progress(done, total);
        }
    }
    for origin in &shared.page_origins {
        members[origin.network].read_page(origin.index, &mut bytes)?;
        writer.push_page(&bytes)?;
        done += bytes.len() as u64;
        progress(done, total);
    }
    Ok(writer.finish()?)
}
