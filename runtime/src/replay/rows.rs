//! Gathers single rows of a table that stays in the file.
//!
//! Rows are read in file order and each only once, one at a time, checked, widened to f32 and written to every place that
//! wants them. Negative indices count from the end, as in ONNX Gather.

use crate::convert;
use crate::error::{Error, InputError};
use crate::session::Parts;
use crate::tensor::Tensor;
use flashmem_plan_format::plan::{ElementType, RowGather, RowTable};
use flashmem_plan_format::source::ReadAt;
use wgpu::BufferViewMut;

/// Writes the rows that `indices` select to `view` from `start_bytes` on.
pub(crate) fn gather(
    parts: &Parts,
    gather: &RowGather,
    indices: &Tensor,
    view: &mut BufferViewMut,
    start_bytes: u64,
) -> Result<(), Error> {
    let table = &parts.bundle.plan.row_tables[gather.table as usize];
    let row_device_bytes = table.row_elements as usize * 4;
    let mut row_bytes = vec![0; table.row_stride_bytes() as usize];
    let mut held = None;
    let wanted = wanted_rows(parts, gather, table, indices)?;
    // All together, or every row would cost the disk's latency.
    for (row, _) in &wanted {
        let start_bytes = parts.bundle.row_offset_bytes(gather.table, *row).expect("the row is in the table");
        parts.source.will_read(start_bytes..start_bytes + table.row_stride_bytes());
    }
    for (row, position) in wanted {
        if held != Some(row) {
            read_row(parts, gather.table, table, row, &mut row_bytes)?;
            held = Some(row);
        }
        let mut next = start_bytes as usize + position as usize * row_device_bytes;
        convert::widen_row(table.format, &row_bytes[..table.row_bytes() as usize], |piece| {
            view.slice(next..next + piece.len()).copy_from_slice(piece);
            next += piece.len();
        });
    }
    Ok(())
}

/// Row and position of every index, in file order.
fn wanted_rows(
    parts: &Parts,
    gather: &RowGather,
    table: &RowTable,
    indices: &Tensor,
) -> Result<Vec<(u32, u32)>, InputError> {
    let row_of = |position: u32, index: i64| {
        let from_start = if index < 0 { index.checked_add(i64::from(table.rows)) } else { Some(index) };
        let row = from_start.and_then(|row| u32::try_from(row).ok()).filter(|row| *row < table.rows);
        row.map(|row| (row, position)).ok_or_else(|| InputError::RowIndex {
            name: parts.bundle.plan.inputs[gather.input as usize].name.clone(),
            position: position.into(),
            index,
            rows: table.rows,
            table: table.name.clone(),
            node: gather.node.clone(),
        })
    };
    let mut wanted =
        (0..).zip(integers(indices)).map(|(position, index)| row_of(position, index)).collect::<Result<Vec<_>, _>>()?;
    wanted.sort_unstable();
    Ok(wanted)
}

/// The elements of a tensor of integers.
fn integers(tensor: &Tensor) -> Box<dyn Iterator<Item = i64> + '_> {
    match tensor.element {
        ElementType::I64 => Box::new(tensor.bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes))),
        ElementType::I32 => {
            Box::new(tensor.bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()))
        }
        ElementType::U8 | ElementType::Bool => Box::new(tensor.bytes.iter().map(|byte| i64::from(*byte))),
        ElementType::I8 => Box::new(tensor.bytes.iter().map(|byte| i64::from(byte.cast_signed()))),
        ElementType::F32 | ElementType::F16 => unreachable!("a validated plan gathers by integers"),
    }
}

fn read_row(parts: &Parts, table_index: u32, table: &RowTable, row: u32, bytes: &mut [u8]) -> Result<(), Error> {
    let offset = parts.bundle.row_offset_bytes(table_index, row);
    let offset_bytes = offset.expect("the row was checked against the table");
    parts.source.read_at(offset_bytes, bytes).map_err(|source| Error::RowRead {
        table: table.name.clone(),
        row,
        offset_bytes,
        source,
    })?;
    Ok(parts.bundle.check_row(table_index, row, bytes)?)
}
