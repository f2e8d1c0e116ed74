//! Gathers single rows of a table that stays in the file.
//!
//! Rows are read in file order and each only once, a batch at a time, checked, widened to f32 and written to every place
//! that needs them. Rows of a source that answers later are on their way some at a time. A place that needs the row that it got
//! in an earlier run keeps it, and nothing is read: the same prompt, or one that grew, costs its new rows only. Indices are
//! elements of inputs, or what the plan's program makes of them; negative ones count from the end, as in ONNX Gather.

use super::bound::Bound;
use super::convert;
use super::indices::{float_at, integer_at};
use crate::api::{Error, InputError};
use crate::io::{fetching_first, watched};
use crate::loaded::{HeldRows, Input, NO_ROW};
use crate::time::Wait;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::implied::GATHERED_ROWS_IN_FLIGHT;
use flashmem_plan_format::plan::{BufferSlice, Plan, RowGather};
use flashmem_plan_format::row_indices::{IndexOperand, IndexSource};
use flashmem_plan_format::source::ReadAt;
use std::sync::Arc;
use wgpu::BufferViewMut;

/// What a gather is to read.
pub(crate) struct RequestedRows<'a> {
    gather: &'a RowGather,
    held: &'a mut Vec<u32>,
    /// Row and position, in file order.
    requested: Vec<(u32, u32)>,
}

impl RequestedRows<'_> {
    /// Where all rows of the gather belong, held ones included.
    pub(crate) const fn destination(&self) -> BufferSlice {
        self.gather.destination
    }
}

/// Finds the rows that the inputs select and that are not held, and announces them all: one by one, every row would cost the
/// disk's latency, and with pages announced far ahead that is long.
pub(crate) fn announce<'a>(
    input: &'a Input,
    tensors: &[Bound<'_>],
    held: &'a mut HeldRows,
) -> Result<Vec<RequestedRows<'a>>, InputError> {
    let plan = &input.bundle.plan;
    let find = |(gather, held): (&'a RowGather, &'a mut Vec<u32>)| {
        let table = &plan.row_tables[gather.table as usize];
        let requested = requested_rows(plan, gather, tensors, held)?;
        for neighbours in requested.chunk_by(|(a, _), (b, _)| b - a <= 1) {
            let ((first, _), (last, _)) = (neighbours[0], neighbours[neighbours.len() - 1]);
            let start_bytes = input.bundle.row_offset_bytes(gather.table, first).expect("the row is in the table");
            input.source.will_read(start_bytes..start_bytes + u64::from(last - first + 1) * table.row_stride_bytes());
        }
        Ok(RequestedRows { gather, held, requested })
    };
    plan.row_gathers.iter().zip(&mut held.by_gather).map(find).collect()
}

/// Writes the rows that a gather needs to `view`, the input staging buffer, where it has the gather's destination from
/// `start_bytes` on.
pub(crate) async fn gather(
    input: &Input,
    RequestedRows { gather, held, requested }: RequestedRows<'_>,
    view: &mut BufferViewMut,
    start_bytes: u64,
    wait: &Wait,
) -> Result<(), Error> {
    let table = &input.bundle.plan.row_tables[gather.table as usize];
    let mut batch = Vec::new();
    for requested in batches(&requested) {
        batch.clear();
        batch.extend(requested.iter().map(|(row, _)| *row));
        batch.dedup();
        let bytes = read_batch(input, gather.table, &batch, wait).await?;
        for (row, position) in requested {
            let index = batch.binary_search(row).expect("the batch was read for these rows");
            let stored = &bytes[index * table.row_stride_bytes() as usize..][..table.row_bytes() as usize];
            let mut next = start_bytes as usize + *position as usize * table.row_elements as usize * 4;
            convert::widen_row(table.encoding, table.row_elements as usize, stored, |piece| {
                view.slice(next..next + piece.len()).copy_from_slice(piece);
                next += piece.len();
            });
            held[*position as usize] = *row;
        }
    }
    Ok(())
}

/// Cuts what is needed into runs of at most as many different rows as may be held.
fn batches(requested: &[(u32, u32)]) -> impl Iterator<Item = &[(u32, u32)]> {
    let mut rest = requested;
    std::iter::from_fn(move || {
        let mut different = 0;
        let mut previous = None;
        let fits = rest.iter().take_while(|(row, _)| {
            different += u64::from(previous.replace(*row) != Some(*row));
            different <= GATHERED_ROWS_IN_FLIGHT
        });
        let (batch, after) = rest.split_at(fits.count());
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Reads and checks rows: one after another, with their checksums.
async fn read_batch(input: &Input, table_index: u32, rows: &[u32], wait: &Wait) -> Result<Vec<u8>, Error> {
    let (bundle, rows) = (Arc::clone(&input.bundle), rows.to_vec());
    let during = "reading rows";
    let stride = bundle.plan.row_tables[table_index as usize].row_stride_bytes() as usize;
    let offset = |row: &u32| bundle.row_offset_bytes(table_index, *row).expect("the row was checked against the table");
    let needed: Vec<_> = rows.iter().map(|row| (offset(row), stride)).collect();
    let work = move |source: &dyn ReadAt| {
        let mut bytes = vec![0; rows.len() * stride];
        let mut rest = bytes.as_mut_slice();
        for neighbours in rows.chunk_by(|a, b| a + 1 == *b) {
            let (bytes, after) = rest.split_at_mut(neighbours.len() * stride);
            read_neighbours(source, &bundle, table_index, neighbours[0], bytes)?;
            rest = after;
        }
        Ok(bytes)
    };
    if input.source.is_fetched() {
        let needed = (needed, input.rows_at_a_time);
        let fetching = fetching_first(&input.source, wait, during, needed, work);
        return input.pages.beside(fetching).await?;
    }
    watched(&input.source, wait, during, work).await?
}

/// Reads rows that stand one behind the other in the file, from `first` on, and checks each.
fn read_neighbours(
    source: &dyn ReadAt,
    bundle: &Bundle,
    table_index: u32,
    first: u32,
    bytes: &mut [u8],
) -> Result<(), Error> {
    let table = &bundle.plan.row_tables[table_index as usize];
    let offset = bundle.row_offset_bytes(table_index, first);
    let offset_bytes = offset.expect("the row was checked against the table");
    source.read_at(offset_bytes, bytes).map_err(|source| Error::RowRead {
        table: table.name.clone(),
        row: first,
        offset_bytes,
        source,
    })?;
    for (row, bytes) in (first..).zip(bytes.chunks_exact(table.row_stride_bytes() as usize)) {
        bundle.check_row(table_index, row, bytes)?;
    }
    Ok(())
}

/// Row and position of every index whose row is not held, in file order. From here on these positions hold nothing: whoever
/// reads may fail.
fn requested_rows(
    plan: &Plan,
    gather: &RowGather,
    inputs: &[Bound<'_>],
    held: &mut [u32],
) -> Result<Vec<(u32, u32)>, InputError> {
    // As many as there may be: growing would hold twice what is declared.
    let mut requested = Vec::with_capacity(held.len());
    let mut indices = Indices::of(plan, gather, inputs);
    for (place, held) in held.iter_mut().enumerate() {
        let row = indices.next_row()?;
        if std::mem::replace(held, row) != row {
            *held = NO_ROW;
            requested.push((row, place as u32));
        }
    }
    requested.sort_unstable();
    Ok(requested)
}

/// The indices of a gather, computed one after another from the inputs of a run.
struct Indices<'a> {
    plan: &'a Plan,
    gather: &'a RowGather,
    inputs: &'a [Bound<'a>],
    positions: Vec<Box<dyn Iterator<Item = u64> + 'a>>,
    /// Positions, elements and results of one index.
    at: Vec<u64>,
    words: Vec<i32>,
    results: Vec<i32>,
}

impl<'a> Indices<'a> {
    fn of(plan: &'a Plan, gather: &'a RowGather, inputs: &'a [Bound<'a>]) -> Self {
        let walk = |operand: &'a IndexOperand| Box::new(operand.walk.positions()) as Box<dyn Iterator<Item = u64>>;
        let positions = gather.indices.operands.iter().map(walk).collect();
        Self { plan, gather, inputs, positions, at: Vec::new(), words: Vec::new(), results: Vec::new() }
    }

    /// The row of the next index. A negative one counts from the end.
    fn next_row(&mut self) -> Result<u32, InputError> {
        self.at.clear();
        self.at.extend(self.positions.iter_mut().map(|walk| walk.next().expect("all walks are as long")));
        let index = self.index()?;
        let rows = self.plan.row_tables[self.gather.table as usize].rows;
        let from_start = if index < 0 { index.checked_add(i64::from(rows)) } else { Some(index) };
        let row = from_start.and_then(|row| u32::try_from(row).ok()).filter(|row| *row < rows);
        row.ok_or_else(|| self.outside(index, rows))
    }

    fn index(&mut self) -> Result<i64, InputError> {
        let indices = &self.gather.indices;
        if indices.instructions.is_empty() {
            return Ok(self.element(0));
        }
        self.words.clear();
        for operand in 0..indices.operands.len() {
            let word = self.word(operand)?;
            self.words.push(word);
        }
        Ok(indices.evaluate(&self.words, &mut self.results).into())
    }

    /// The element of an operand as instructions take it.
    fn word(&self, operand: usize) -> Result<i32, InputError> {
        if let Some(float) = self.float(operand) {
            return Ok(float.to_bits().cast_signed());
        }
        let value = self.element(operand);
        let out_of_range = |_| InputError::IntegerRange { name: self.name(operand), index: self.at[operand], value };
        i32::try_from(value).map_err(out_of_range)
    }

    /// The element of an operand, a float without its fraction.
    fn element(&self, operand: usize) -> i64 {
        if let Some(float) = self.float(operand) {
            return float as i64;
        }
        let position = self.at[operand] as usize;
        match &self.gather.indices.operands[operand].source {
            IndexSource::Input(input) => integer_at(self.inputs[*input as usize].tensor(), position),
            IndexSource::Constant(values) => values[position].into(),
        }
    }

    /// The element of an operand that is an input of floats.
    fn float(&self, operand: usize) -> Option<f32> {
        match self.gather.indices.operands[operand].source {
            IndexSource::Input(input) => float_at(self.inputs[input as usize].tensor(), self.at[operand] as usize),
            IndexSource::Constant(_) => None,
        }
    }

    /// The input that an operand is.
    fn name(&self, operand: usize) -> String {
        match self.gather.indices.operands[operand].source {
            IndexSource::Input(input) => self.plan.inputs[input as usize].name.clone(),
            IndexSource::Constant(_) => "(constant)".to_owned(),
        }
    }

    fn outside(&self, index: i64, rows: u32) -> InputError {
        let gather = self.gather;
        let is_input = |operand: &IndexOperand| matches!(operand.source, IndexSource::Input(_));
        let operand = gather.indices.operands.iter().position(is_input).unwrap_or(0);
        let (name, position) = (self.name(operand), self.at[operand]);
        let (table, node) =
            (self.plan.row_tables[gather.table as usize].name.clone(), self.plan.name(gather.node).to_owned());
        if gather.indices.instructions.is_empty() {
            return InputError::RowIndex { name, position, index, rows, table, node };
        }
        let value = self.element(operand);
        InputError::ComputedRowIndex { name, position, value, index, rows, table, node }
    }
}
