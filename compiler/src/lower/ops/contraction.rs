//! What the product, convolution and attention lowerings share: outputs with their epilogue, and calls by weight panels.
//!
//! It deliberately knows no operator.

use super::pointwise::MAX_VIEWS;
use super::strided::word;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Operand, Pointwise};
use crate::kernels::rounds::of_program;
use crate::kernels::{Kernel, MAX_EPILOGUE_OPERANDS, Math};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::{LowerError, LowerOptions};
use crate::lower::product::memory_order;
use crate::lower::program::Weight;
use crate::lower::view::View;
use crate::narrow::index32;
use crate::profile::Tiles;
use flashmem_plan_format::plan::PageGeometry;
use std::ops::Range;

/// The product kernel for rows and columns of a call, in so many batches. Few rows run with lanes along the columns.
pub fn product_kernel(options: &LowerOptions, rows: usize, columns: usize, batches: usize) -> Kernel {
    const LARGE: [Kernel; 2] = [Kernel::MatmulTiled128, Kernel::MatmulTiled64];
    match (options.tiles, rows) {
        (Tiles::Gpu, 0 | 1) => {
            slices(options, [Kernel::MatmulSlices, Kernel::MatmulSlicesNarrow], rows, columns, batches)
        }
        (Tiles::Gpu, 2..=20) => {
            slices(options, [Kernel::MatmulSlices4, Kernel::MatmulSlices4Narrow], rows, columns, batches)
        }
        (Tiles::Software, 0 | 1) => Kernel::MatmulVec,
        (Tiles::Software, 2..=20) => Kernel::MatmulRows,
        (Tiles::Gpu, _) => largest_busy(options, LARGE, rows, columns, batches).unwrap_or(Kernel::MatmulTiled),
        (Tiles::Software, 21..=32) => Kernel::Matmul,
        (Tiles::Software, _) => Kernel::MatmulWide,
    }
}

/// The kernel of a call that computes some columns of a product, given that of all columns and its parts. Calls follow the budget,
/// so only sizes of tiles may, which change no bit: how many invocations share a sum does.
pub fn call_kernel(
    options: &LowerOptions,
    (whole, parts): (Kernel, Parts),
    rows: usize,
    columns: usize,
    batches: usize,
) -> Kernel {
    let is_tiled = matches!(whole, Kernel::MatmulTiled | Kernel::MatmulTiled64 | Kernel::MatmulTiled128);
    if is_tiled && parts.count == 1 { product_kernel(options, rows, columns, batches) } else { whole }
}

/// The convolution kernel for pixels and channels of a call, in so many images and groups.
pub fn conv_kernel(options: &LowerOptions, pixels: usize, channels: usize, batches: usize) -> Kernel {
    const LARGE: [Kernel; 2] = [Kernel::ConvTiled128, Kernel::ConvTiled64];
    match options.tiles {
        Tiles::Gpu => largest_busy(options, LARGE, pixels, channels, batches).unwrap_or(Kernel::ConvTiled),
        Tiles::Software => Kernel::ConvWide,
    }
}

/// What larger tiles are faster by, in workgroups that are all busy: NVIDIA H200, f16 weights.
const GAIN: [f64; 2] = [1.3, 1.2];

/// How many times fewer workgroups of larger tiles pay where matrices of halves are multiplied, which takes less of a tile's time than
/// bringing it there: NVIDIA H200.
const FEWER: usize = 2;

/// The kernel that computes least for nothing past the edges, of those with large tiles that keep the device busy; the largest first.
fn largest_busy(
    options: &LowerOptions,
    kernels: [Kernel; 2],
    rows: usize,
    columns: usize,
    batches: usize,
) -> Option<Kernel> {
    let busy = options.busy_workgroups? as usize / if options.math == Math::Mixed { FEWER } else { 1 };
    let computed = |(m, n): (usize, usize)| (rows.next_multiple_of(m) * columns.next_multiple_of(n)) as f64;
    let pays = |kernel: Kernel, gain: f64| {
        let is_busy = groups(kernel, rows, columns, batches) >= busy;
        is_busy && computed(kernel.tile()) < gain * computed(Kernel::MatmulTiled.tile())
    };
    kernels.into_iter().zip(GAIN).find(|(kernel, gain)| pays(*kernel, *gain)).map(|(kernel, _)| kernel)
}

/// The kernel with fewer columns a workgroup where the other one would not keep the device busy: its invocations have less to add up.
fn slices(options: &LowerOptions, [wide, narrow]: [Kernel; 2], rows: usize, columns: usize, batches: usize) -> Kernel {
    let is_busy = |busy| groups(wide, rows, columns, batches) >= busy as usize;
    if options.busy_workgroups.is_none_or(is_busy) { wide } else { narrow }
}

/// Workgroups of a call.
fn groups(kernel: Kernel, rows: usize, columns: usize, batches: usize) -> usize {
    let (m, n) = kernel.tile();
    rows.div_ceil(m).saturating_mul(columns.div_ceil(n)).saturating_mul(batches)
}

/// Sums that are cut, since whole ones give too few workgroups to keep a device busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Parts of a sum.
    pub count: usize,
    /// Terms of a part, the last one apart.
    pub terms: usize,
}

/// Terms that a part has at least, in f32 and of halves; terms that it is a multiple of, since tiles are; bytes of all parts of a result.
const MIN_TERMS: usize = 128;
const MIN_TERMS_MIXED: usize = 384;
const TILE_TERMS: usize = 32;
const MAX_BYTES: usize = 32 << 20;

impl Parts {
    /// All of a sum.
    pub const fn whole(terms: usize) -> Self {
        Self { count: 1, terms }
    }

    /// Those of products or convolutions of so many terms by `kernel`. Another kernel may add them up, and reads so many `others`.
    pub fn of(
        options: &LowerOptions,
        kernel: Kernel,
        [rows, columns, batches, terms]: [usize; 4],
        others: usize,
    ) -> Self {
        let (Some(busy), Kernel::MatmulTiled | Kernel::ConvTiled) = (options.busy_workgroups, kernel) else {
            return Self::whole(terms);
        };
        let least = match options.math {
            Math::F32 => MIN_TERMS,
            Math::Mixed => MIN_TERMS_MIXED,
        };
        let wanted = (busy as usize).div_ceil(groups(kernel, rows, columns, batches));
        let held = MAX_BYTES / (4 * rows * columns * batches).max(1);
        let count = wanted.min(terms / least).min(held).min(MAX_VIEWS.saturating_sub(others));
        if count < 2 {
            return Self::whole(terms);
        }
        let part = terms.div_ceil(count).next_multiple_of(TILE_TERMS);
        Self { count: terms.div_ceil(part), terms: part }
    }
}

/// The sum of its first inputs, and what `then` makes of it and the others.
fn added_up(parts: usize, then: Option<&Pointwise>) -> Pointwise {
    let [first, last] = [1, parts - 1].map(index32);
    let add = |part: u32| {
        let before = part.checked_sub(2).map_or(Operand::Input(0), Operand::Result);
        Instruction::Binary(BinaryOp::Add, before, Operand::Input(part))
    };
    let mut sum = Pointwise { inputs: vec![Dtype::F32; parts], instructions: (first..=last).map(add).collect() };
    if let Some(then) = then {
        let moved = |operand| match operand {
            Operand::Input(0) => Operand::Result(last - 1),
            Operand::Input(other) => Operand::Input(last + other),
            Operand::Result(earlier) => Operand::Result(last + earlier),
        };
        sum.inputs.extend(&then.inputs[1..]);
        sum.instructions.extend(then.instructions.iter().map(|instruction| instruction.map_operands(moved)));
    }
    sum
}

/// The output of a heavy kernel: where it goes, and what is left to do to its elements.
pub struct Output {
    /// The node's tensor, in the node's axis order.
    pub view: View,
    /// What the kernel links.
    pub expression: Option<Pointwise>,
    /// Views of the epilogue's extra operands, broadcast to the node's shape.
    pub epilogue_views: Vec<View>,
    /// An epilogue that runs as a kernel of its own afterwards.
    rest: Option<(Pointwise, Vec<View>)>,
}

/// A dense tensor whose axes lie in memory in the given order, seen in the node's order.
fn ordered(lowering: &mut Lowering<'_>, shape: &[usize], order: &[usize]) -> View {
    let physical: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let tensor = lowering.output(&physical);
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(position, axis)| inverse[*axis] = position);
    tensor.transposed(&inverse)
}

/// Rounds of loops in an epilogue that an invocation computes for every one of its elements, at most.
const MAX_EPILOGUE_ROUNDS: u64 = 64;

/// Whether an epilogue has loops that a device which ends them too soon should run apart.
fn loops_too_long(lowering: &Lowering<'_>, epilogue: Option<&Pointwise>) -> bool {
    lowering.max_rounds().is_some() && epilogue.is_some_and(|program| of_program(program) > MAX_EPILOGUE_ROUNDS)
}

/// The output of a node with its epilogue linked.
pub fn output_for(lowering: &mut Lowering<'_>, id: NodeId) -> Output {
    let node = lowering.graph().node(id);
    let order = memory_order(lowering.graph(), id);
    let view = ordered(lowering, &node.shape, &order);
    let mut output = Output::new(lowering, id, view);
    let inputs_are_f32 =
        node.epilogue.as_ref().is_none_or(|e| e.inputs.iter().all(|d| *d == Dtype::F32) && e.dtype() == Dtype::F32);
    if !inputs_are_f32 {
        output.split_epilogue();
    }
    output
}

impl Output {
    /// A node's result in `view`, with its epilogue linked where every kernel that links one can run it.
    pub fn new(lowering: &mut Lowering<'_>, id: NodeId, view: View) -> Self {
        let graph = lowering.graph();
        let node = graph.node(id);
        let operands = &graph.operands(id)[graph.op_operand_count(id)..];
        let epilogue_views = operands.iter().map(|o| lowering.view(*o).broadcast(&node.shape)).collect();
        let mut output = Self { view, expression: node.epilogue.clone(), epilogue_views, rest: None };
        let too_long = loops_too_long(lowering, output.expression.as_ref());
        if output.epilogue_views.len() > MAX_EPILOGUE_OPERANDS || too_long {
            output.split_epilogue();
        }
        output
    }

    /// One of no node: its place, what the kernel links, and the views of that, all of one shape.
    pub const fn of(view: View, expression: Option<Pointwise>, epilogue_views: Vec<View>) -> Self {
        Self { view, expression, epilogue_views, rest: None }
    }

    /// Takes the epilogue out of the kernel: it will run on its own.
    pub fn split_epilogue(&mut self) {
        if let Some(expression) = self.expression.take() {
            self.rest = Some((expression, std::mem::take(&mut self.epilogue_views)));
        }
        self.epilogue_views.clear();
    }

    /// Extra operands of the epilogue, whether the kernel reads them or what runs afterwards.
    pub fn epilogue_operands(&self) -> usize {
        self.rest.as_ref().map_or(self.epilogue_views.len(), |(_, operands)| operands.len())
    }

    /// Lets the kernel write every part of its sums, side by side in a tensor of their own; what adds them up goes on with the
    /// epilogue. Returns how far apart they lie.
    pub fn in_parts(&mut self, lowering: &mut Lowering<'_>, parts: usize) -> usize {
        let elements = self.view.len();
        if parts > 1 {
            self.split_epilogue();
            let (then, operands) = self.rest.take().unzip();
            let sums = lowering.output(&[parts, elements]);
            let whole = self.view.clone();
            let at = |part: usize| View { tensor: sums.tensor, offset: (part * elements) as i64, ..whole.clone() };
            let views = (1..parts).map(at).chain(operands.into_iter().flatten()).collect();
            self.rest = Some((added_up(parts, then.as_ref()), views));
            self.view = at(0);
        }
        elements
    }

    /// An output whose axes lie in memory in the order of `kinds`, epilogue apart; `labels` names the node's axes.
    pub fn canonical(lowering: &mut Lowering<'_>, id: NodeId, kinds: &[&[u8]], labels: &[u8]) -> Self {
        let order: Vec<usize> = kinds
            .iter()
            .flat_map(|kind| kind.iter())
            .map(|label| labels.iter().position(|l| l == label).expect("every output label has a kind"))
            .collect();
        let mut output = output_for(lowering, id);
        output.split_epilogue();
        let shape = lowering.graph().node(id).shape.clone();
        output.view = ordered(lowering, &shape, &order);
        output
    }

    /// An output that lies in memory in the node's own axis order, epilogue linked.
    pub fn in_node_order(lowering: &mut Lowering<'_>, id: NodeId) -> Self {
        let mut output = output_for(lowering, id);
        let shape = lowering.graph().node(id).shape.clone();
        output.view = lowering.output(&shape);
        output
    }

    /// Runs what is left of the epilogue and makes the result the node's tensor.
    pub fn finish(self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let view = self.finished(lowering)?;
        lowering.set_view(id, view);
        Ok(())
    }

    /// Runs what is left of the epilogue and gives the result.
    pub fn finished(self, lowering: &mut Lowering<'_>) -> Result<View, LowerError> {
        let Some((expression, operands)) = self.rest else { return Ok(self.view) };
        let shape = self.view.shape.clone();
        let views: Vec<View> = [self.view].into_iter().chain(operands).collect();
        super::pointwise::apply(lowering, &expression, &views, &shape)
    }
}

/// The `operands` words of an epilogue: offset and strides (batch, m, n) of every extra operand, padded.
pub fn attach_epilogue(views: &[View], strides: impl Fn(usize) -> (i64, i64, i64)) -> [u32; 4 * MAX_EPILOGUE_OPERANDS] {
    let mut words = [0; 4 * MAX_EPILOGUE_OPERANDS];
    for ((i, view), place) in views.iter().enumerate().zip(words.chunks_exact_mut(4)) {
        let (batch, m, n) = strides(i);
        place.copy_from_slice(&[view.offset, batch, m, n].map(word));
    }
    words
}

/// Pages touched by a range of texels.
pub fn pages_of(page: PageGeometry, texels: &Range<u64>) -> u64 {
    let size = u64::from(page.texels());
    if texels.is_empty() { 0 } else { (texels.end - 1) / size - texels.start / size + 1 }
}

/// Panels that lie one after the other in the stream.
pub struct Panels {
    /// Of the weight, for people.
    name: String,
    first_texel: u64,
    /// Of one panel.
    texels: u64,
    count: usize,
}

impl Panels {
    /// Those of a group of a weight.
    pub fn of(weight: &Weight, group: usize) -> Self {
        let (count, texels) = (weight.packing.panels(), weight.panel_texels());
        let first_texel = weight.texels_of(&(group * count..group * count)).start;
        Self { name: weight.name.clone(), first_texel, texels, count }
    }

    /// With those of a weight that follows in the stream, encoded alike and with as many terms.
    pub fn and(mut self, next: &Weight) -> Self {
        let end = self.first_texel + self.texels * self.count as u64;
        debug_assert_eq!((end, self.texels), (next.texel_offset, next.panel_texels()), "they follow");
        self.count += next.packing.panels();
        self
    }

    /// Texels of the stream that some of them are.
    fn texels_of(&self, panels: &Range<usize>) -> Range<u64> {
        let [start, end] = [panels.start, panels.end].map(|panel| self.first_texel + panel as u64 * self.texels);
        start..end
    }
}

/// Cuts panels into ranges that need few enough pages each, and appends the call that `make` gives for (panels, texels of the
/// stream, first texel relative to the first page).
pub fn panel_calls(
    lowering: &mut Lowering<'_>,
    panels: &Panels,
    mut make: impl FnMut(Range<usize>, Range<u64>, u32) -> Call,
) -> Result<(), LowerError> {
    let (page, limit) = (lowering.options().page, lowering.options().max_pages_per_call);
    let mut first = 0;
    while first < panels.count {
        let mut last = panels.count;
        let fits = |end: usize| pages_of(page, &panels.texels_of(&(first..end))) <= u64::from(limit);
        if !fits(last) {
            last = first + (first + 1..=panels.count).take_while(|end| fits(*end)).count();
            // Whole tiles of four panels keep the kernels' column tiles full.
            if last > first + 4 {
                last = first + (last - first) / 4 * 4;
            }
        }
        if last == first {
            let pages = pages_of(page, &panels.texels_of(&(first..first + 1)));
            return Err(LowerError::PanelTooLarge { node: panels.name.clone(), pages, limit });
        }
        let range = panels.texels_of(&(first..last));
        let base = (range.start % u64::from(page.texels())) as u32;
        let call = make(first..last, range, base);
        lowering.call(call);
        first = last;
    }
    Ok(())
}
