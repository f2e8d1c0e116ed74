//! Constants that a file keeps as small integers: element = (integer − zero point) · scale, with a scale for a block of them.
//! Where the zero point is a float, the element is integer · scale − zero point · scale, each of the three rounded.
//!
//! Plain data: packed integers of 2, 4 or 8 bits, one scale and zero point for a block of elements along every axis, and where
//! each of them lies, by strides. Bytes are shared with whatever holds the file, never unpacked or copied. Transposes, views
//! that keep blocks whole, and parts at the borders of blocks give another [`Quantized`] over the same bytes. An element is
//! the f32 (or f16, where the file says so) that ONNX Runtime dequantizes it to, bit for bit. It deliberately knows no operator
//! and no bundle.

use super::bytes::SharedBytes;
use half::f16;
use std::ops::Range;
use std::sync::Arc;

/// Bits of a packed integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Four of them a byte.
    Two,
    /// Two of them a byte.
    Four,
    /// A byte each.
    Eight,
}

impl Width {
    /// Number of bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// The width of this many bits.
    pub const fn of_bits(bits: u64) -> Option<Self> {
        match bits {
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// How many of them a byte has.
    pub const fn per_byte(self) -> usize {
        8 / self.bits() as usize
    }
}

/// Packed integers, those of a byte from its low bits on.
#[derive(Clone)]
pub struct Packed {
    /// Bits of each.
    pub width: Width,
    /// Whether they are in two's complement.
    pub signed: bool,
    /// All of them.
    pub bytes: SharedBytes,
}

impl Packed {
    /// Number of integers that the bytes have room for.
    pub fn len(&self) -> usize {
        (*self.bytes).as_ref().len() * self.width.per_byte()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integer at a position.
    pub fn at(&self, position: usize) -> i32 {
        let (bits, per_byte) = (self.width.bits(), self.width.per_byte());
        let byte = u32::from((*self.bytes).as_ref()[position / per_byte]);
        let raw = byte >> (position % per_byte * bits as usize) << (32 - bits);
        if self.signed { raw as i32 >> (32 - bits) } else { (raw >> (32 - bits)) as i32 }
    }

    /// Calls `take` with the integers at some positions, in order: in a long loop several times as fast as one by one.
    pub fn for_each_at(&self, positions: impl Iterator<Item = usize>, mut take: impl FnMut(i32)) {
        let bytes = (*self.bytes).as_ref();
        match (self.width, self.signed) {
            (Width::Eight, false) => positions.for_each(|position| take(i32::from(bytes[position]))),
            (Width::Eight, true) => positions.for_each(|position| take(i32::from(bytes[position].cast_signed()))),
            (Width::Two | Width::Four, _) => positions.for_each(|position| take(self.at(position))),
        }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.signed { "i" } else { "u" }, self.width.bits())
    }
}

/// Floats as the file has them.
#[derive(Clone)]
pub struct Floats {
    /// f16 instead of f32.
    pub half: bool,
    /// Little-endian.
    pub bytes: SharedBytes,
}

impl Floats {
    /// f32 values.
    pub fn from_f32(values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { half: false, bytes: Arc::new(bytes) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        (*self.bytes).as_ref().len() / if self.half { 2 } else { 4 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a position.
    pub fn at(&self, position: usize) -> f32 {
        let b = (*self.bytes).as_ref();
        if self.half {
            f16::from_le_bytes([b[2 * position], b[2 * position + 1]]).to_f32()
        } else {
            let at = 4 * position;
            f32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
        }
    }
}

impl std::fmt::Debug for Floats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.half { "f16" } else { "f32" })
    }
}

/// What is taken from an integer before it is scaled.
#[derive(Debug, Clone)]
pub enum ZeroPoints {
    /// The same everywhere.
    Same(i32),
    /// An integer a block.
    Integers(Packed),
    /// A float a block.
    Floats(Floats),
}

/// Where the elements of a tensor lie in a list: at `first`, and `strides` further for every step along an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Position of the first one.
    pub first: usize,
    /// Distance of neighbours along each axis.
    pub strides: Vec<usize>,
}

impl Places {
    /// One after the other in row-major order.
    pub fn dense(shape: &[usize]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis].max(1);
        }
        Self { first: 0, strides }
    }

    fn at(&self, index: &[usize]) -> usize {
        self.first + index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>()
    }

    /// One more than the last position of a tensor of this shape; `None` when it is beyond any list.
    fn end(&self, shape: &[usize]) -> Option<usize> {
        let mut last = self.first;
        for (size, stride) in shape.iter().zip(&self.strides) {
            last = last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    fn permuted(&self, perm: &[usize]) -> Self {
        Self { first: self.first, strides: perm.iter().map(|axis| self.strides[*axis]).collect() }
    }
}

/// What the elements of a block have in common.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// Elements along each axis that share a scale and a zero point; the last block may be shorter.
    pub lengths: Vec<usize>,
    /// Scales.
    pub scales: Floats,
    /// Where the scales lie, an element of them a block.
    pub scale_places: Places,
    /// Zero points.
    pub zeros: ZeroPoints,
    /// Where the zero points lie, unless they are the same everywhere.
    pub zero_places: Places,
}

/// A constant of small integers.
#[derive(Debug, Clone)]
pub struct Quantized {
    shape: Vec<usize>,
    integers: Packed,
    places: Places,
    blocks: Blocks,
    /// Whether elements are rounded to f16.
    half: bool,
}

impl Quantized {
    /// A constant of this shape; `half` when its elements are f16. `None` where a list is too short for the shape, or the ranks
    /// differ.
    pub fn new(shape: Vec<usize>, integers: Packed, places: Places, blocks: Blocks, half: bool) -> Option<Self> {
        let rank = shape.len();
        let ranks = [&blocks.lengths, &places.strides, &blocks.scale_places.strides, &blocks.zero_places.strides];
        if ranks.iter().any(|list| list.len() != rank) || blocks.lengths.contains(&0) || shape.contains(&0) {
            return None;
        }
        let counts: Vec<usize> = shape.iter().zip(&blocks.lengths).map(|(n, block)| n.div_ceil(*block)).collect();
        let zeros = match &blocks.zeros {
            ZeroPoints::Same(_) => true,
            ZeroPoints::Integers(list) => blocks.zero_places.end(&counts)? <= list.len(),
            ZeroPoints::Floats(list) => blocks.zero_places.end(&counts)? <= list.len(),
        };
        let fits =
            zeros && places.end(&shape)? <= integers.len() && blocks.scale_places.end(&counts)? <= blocks.scales.len();
        fits.then_some(Self { shape, integers, places, blocks, half })
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The integers, packed.
    pub const fn integers(&self) -> &Packed {
        &self.integers
    }

    /// Where the integers lie.
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// Scales and zero points.
    pub const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Whether elements are rounded to f16.
    pub const fn half(&self) -> bool {
        self.half
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element: never.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The integer at an index.
    pub fn integer_at(&self, index: &[usize]) -> i32 {
        self.integers.at(self.places.at(index))
    }

    fn block(&self, index: &[usize], places: &Places) -> usize {
        let along = index.iter().zip(&self.blocks.lengths).zip(&places.strides);
        places.first + along.map(|((i, length), stride)| i / length * stride).sum::<usize>()
    }

    /// The scale at an index.
    pub fn scale_at(&self, index: &[usize]) -> f32 {
        self.blocks.scales.at(self.block(index, &self.blocks.scale_places))
    }

    /// The zero point at an index.
    pub fn zero_at(&self, index: &[usize]) -> f32 {
        match &self.blocks.zeros {
            ZeroPoints::Same(zero) => *zero as f32,
            ZeroPoints::Integers(list) => list.at(self.block(index, &self.blocks.zero_places)) as f32,
            ZeroPoints::Floats(list) => list.at(self.block(index, &self.blocks.zero_places)),
        }
    }

    fn value(&self, integer: i32, zero: f32, scale: f32) -> f32 {
        let value = match self.blocks.zeros {
            ZeroPoints::Same(_) | ZeroPoints::Integers(_) => (integer as f32 - zero) * scale,
            ZeroPoints::Floats(_) => integer as f32 * scale - zero * scale,
        };
        if self.half { f16::from_f32(value).to_f32() } else { value }
    }

    /// The index of an element by its row-major position.
    fn index(&self, position: usize) -> Vec<usize> {
        let mut rest = position;
        let mut index = vec![0; self.shape.len()];
        for (axis, size) in self.shape.iter().enumerate().rev() {
            index[axis] = rest % size;
            rest /= size;
        }
        index
    }

    /// The element at a row-major position.
    pub fn value_at(&self, position: usize) -> f32 {
        let (mut rest, mut at) = (position, self.places.first);
        let (mut scale, mut zero) = (self.blocks.scale_places.first, self.blocks.zero_places.first);
        for (axis, size) in self.shape.iter().enumerate().rev() {
            let i = rest % size;
            rest /= size;
            let block = i / self.blocks.lengths[axis];
            at += i * self.places.strides[axis];
            scale += block * self.blocks.scale_places.strides[axis];
            zero += block * self.blocks.zero_places.strides[axis];
        }
        let zero = match &self.blocks.zeros {
            ZeroPoints::Same(zero) => *zero as f32,
            ZeroPoints::Integers(list) => list.at(zero) as f32,
            ZeroPoints::Floats(list) => list.at(zero),
        };
        self.value(self.integers.at(at), zero, self.blocks.scales.at(scale))
    }

    /// Elements from row-major position `first` on, as many as `out` has.
    pub fn read(&self, first: usize, mut out: &mut [f32]) {
        let Some(last) = self.shape.len().checked_sub(1) else {
            out.iter_mut().for_each(|to| *to = self.value_at(0));
            return;
        };
        let mut position = first;
        while !out.is_empty() {
            let index = self.index(position);
            let count = (self.shape[last] - index[last]).min(out.len());
            let (row, rest) = out.split_at_mut(count);
            self.read_row(index, row);
            (out, position) = (rest, position + count);
        }
    }

    /// Neighbours along the last axis, from an index on.
    fn read_row(&self, mut index: Vec<usize>, mut out: &mut [f32]) {
        let last = index.len() - 1;
        let (length, stride) = (self.blocks.lengths[last], self.places.strides[last]);
        let mut at = self.places.at(&index);
        while !out.is_empty() {
            let (scale, zero) = (self.scale_at(&index), self.zero_at(&index));
            let count = (length - index[last] % length).min(out.len());
            let (block, rest) = out.split_at_mut(count);
            let positions = (0..count).map(|step| at + step * stride);
            let mut block = block.iter_mut();
            self.integers.for_each_at(positions, |integer| {
                if let Some(to) = block.next() {
                    *to = self.value(integer, zero, scale);
                }
            });
            at += count * stride;
            index[last] += count;
            out = rest;
        }
    }

    /// All elements in row-major order.
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]`.
    pub fn transposed(&self, perm: &[usize]) -> Self {
        let permuted = |list: &[usize]| perm.iter().map(|axis| list[*axis]).collect::<Vec<usize>>();
        Self {
            shape: permuted(&self.shape),
            integers: self.integers.clone(),
            places: self.places.permuted(perm),
            blocks: Blocks {
                lengths: permuted(&self.blocks.lengths),
                scale_places: self.blocks.scale_places.permuted(perm),
                zero_places: self.blocks.zero_places.permuted(perm),
                ..self.blocks.clone()
            },
            half: self.half,
        }
    }

    /// Elements `range` along an axis; `None` where that begins inside one of several blocks.
    pub fn part(&self, axis: usize, range: &Range<usize>) -> Option<Self> {
        let length = self.blocks.lengths[axis];
        let one = length >= self.shape[axis];
        if !(one || range.start.is_multiple_of(length)) || range.end > self.shape[axis] || range.is_empty() {
            return None;
        }
        let mut part = self.clone();
        part.shape[axis] = range.len();
        part.places.first += range.start * self.places.strides[axis];
        if !one {
            for places in [&mut part.blocks.scale_places, &mut part.blocks.zero_places] {
                places.first += range.start / length * places.strides[axis];
            }
        }
        Some(part)
    }

    /// The same elements under another shape of equal count; `None` where a block would not be one of it.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let mut new = Self { shape: shape.to_vec(), ..self.clone() };
        let rank = shape.len();
        let empty = |first| Places { first, strides: vec![0; rank] };
        new.places = empty(self.places.first);
        new.blocks.scale_places = empty(self.blocks.scale_places.first);
        new.blocks.zero_places = empty(self.blocks.zero_places.first);
        new.blocks.lengths = shape.iter().map(|size| (*size).max(1)).collect();
        for (own, others) in axis_groups(&self.shape, shape)? {
            match (own.as_slice(), others.as_slice()) {
                (_, []) => {}
                ([axis], [other]) => {
                    new.blocks.lengths[*other] = self.blocks.lengths[*axis];
                    new.places.strides[*other] = self.places.strides[*axis];
                    new.blocks.scale_places.strides[*other] = self.blocks.scale_places.strides[*axis];
                    new.blocks.zero_places.strides[*other] = self.blocks.zero_places.strides[*axis];
                }
                (&[axis], others) if self.blocks.lengths[axis] < self.shape[axis] => {
                    let pieces = split_blocks(self.blocks.lengths[axis], shape, others)?;
                    let mut stride = self.places.strides[axis];
                    for (other, Piece { length, blocks }) in others.iter().rev().zip(pieces) {
                        new.places.strides[*other] = stride;
                        stride *= shape[*other];
                        new.blocks.lengths[*other] = length;
                        new.blocks.scale_places.strides[*other] = self.blocks.scale_places.strides[axis] * blocks;
                        new.blocks.zero_places.strides[*other] = self.blocks.zero_places.strides[axis] * blocks;
                    }
                }
                (own, others) => {
                    let last = *own.last()?;
                    let shared = own.iter().all(|axis| self.blocks.lengths[*axis] >= self.shape[*axis]);
                    let steps = |pair: &[usize]| {
                        self.places.strides[pair[0]] == self.places.strides[pair[1]] * self.shape[pair[1]]
                    };
                    if !shared || !own.windows(2).all(steps) {
                        return None;
                    }
                    let mut stride = self.places.strides[last];
                    for other in others.iter().rev() {
                        new.places.strides[*other] = stride;
                        stride *= shape[*other];
                    }
                }
            }
        }
        Some(new)
    }
}

/// One of the axes that an axis with blocks is split into: elements of a block along it, and blocks from one of these to the next.
struct Piece {
    length: usize,
    blocks: usize,
}

/// The axes `others` of `shape`, which an axis with blocks of so many elements is split into, from the last one on; `None` where a block
/// is no box of them.
fn split_blocks(length: usize, shape: &[usize], others: &[usize]) -> Option<Vec<Piece>> {
    let mut inner = 1_usize;
    let mut pieces = Vec::new();
    for other in others.iter().rev() {
        let piece = if inner.is_multiple_of(length) {
            Piece { length: 1, blocks: inner / length }
        } else if length.is_multiple_of(inner) {
            // A block is a run of this axis, or has all of it.
            Piece { length: (length / inner).min(shape[*other]), blocks: usize::from(length / inner < shape[*other]) }
        } else {
            return None;
        };
        pieces.push(piece);
        inner *= shape[*other];
    }
    Some(pieces)
}

/// Groups of axes of two shapes, without those of size 1, that have the same elements; `None` where the counts differ.
fn axis_groups(own: &[usize], other: &[usize]) -> Option<Vec<(Vec<usize>, Vec<usize>)>> {
    let axes = |shape: &[usize]| (0..shape.len()).filter(|axis| shape[*axis] != 1).collect::<Vec<usize>>();
    let (own_axes, other_axes) = (axes(own), axes(other));
    let (mut i, mut j) = (0, 0);
    let mut groups = Vec::new();
    while i < own_axes.len() && j < other_axes.len() {
        let (mut group, mut others) = (vec![own_axes[i]], vec![other_axes[j]]);
        let (mut left, mut right) = (own[own_axes[i]], other[other_axes[j]]);
        while left != right {
            if left < right {
                i += 1;
                left *= own[*own_axes.get(i)?];
                group.push(own_axes[i]);
            } else {
                j += 1;
                right *= other[*other_axes.get(j)?];
                others.push(other_axes[j]);
            }
        }
        groups.push((group, others));
        (i, j) = (i + 1, j + 1);
    }
    (i == own_axes.len() && j == other_axes.len()).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Floats, Packed, Places, Quantized, Width, ZeroPoints};
    use std::sync::Arc;

    /// (3, 5) integers of 4 bits in rows of 6, blocks of 2 along axis 1, negative scales, and zero points in rows of whole bytes.
    fn sample() -> Quantized {
        let bytes: Vec<u8> = (0..9).map(|i| (i * 37 + 11) as u8).collect();
        let scales: Vec<f32> = (0..9).map(|i| (i as f32 - 4.5) * 0.25).collect();
        let packed = |bytes: Vec<u8>| Packed { width: Width::Four, signed: false, bytes: Arc::new(bytes) };
        let blocks = Blocks {
            lengths: vec![1, 2],
            scales: Floats::from_f32(&scales),
            scale_places: Places::dense(&[3, 3]),
            zeros: ZeroPoints::Integers(packed(vec![0x21, 0x03, 0x54, 0x06, 0x87, 0x09])),
            zero_places: Places { first: 0, strides: vec![4, 1] },
        };
        let places = Places { first: 0, strides: vec![6, 1] };
        Quantized::new(vec![3, 5], packed(bytes), places, blocks, false).expect("the lists are long enough")
    }

    fn reference() -> Vec<f32> {
        let nibble = |i: usize| (((i / 2 * 37 + 11) as u8) >> (4 * (i % 2)) & 15) as f32;
        let element = |r: usize, c: usize| {
            let block = 3 * r + c / 2;
            (nibble(6 * r + c) - (block as f32 + 1.0)) * (block as f32 - 4.5) * 0.25
        };
        (0..3).flat_map(|r| (0..5).map(move |c| element(r, c))).collect()
    }

    #[test]
    fn blocks_rows_and_nibbles_are_read_where_they_lie() {
        let (sample, expected) = (sample(), reference());
        assert_eq!(sample.values(), expected);
        assert_eq!((0..15).map(|i| sample.value_at(i)).collect::<Vec<_>>(), expected);
        let mut some = [0.0; 6];
        sample.read(4, &mut some);
        assert_eq!(some, expected[4..10]);
    }

    #[test]
    fn integers_of_every_width_are_signed_or_not() {
        let at = |width, signed| {
            let packed = Packed { width, signed, bytes: Arc::new(vec![0b1101_0010_u8]) };
            let mut together = Vec::new();
            packed.for_each_at(0..packed.len(), |integer| together.push(integer));
            assert_eq!(together, (0..packed.len()).map(|i| packed.at(i)).collect::<Vec<_>>());
            together
        };
        assert_eq!(at(Width::Two, false), [2, 0, 1, 3]);
        assert_eq!(at(Width::Two, true), [-2, 0, 1, -1]);
        assert_eq!((at(Width::Four, false), at(Width::Four, true)), (vec![2, 13], vec![2, -3]));
        assert_eq!((at(Width::Eight, false), at(Width::Eight, true)), (vec![210], vec![-46]));
    }

    #[test]
    fn views_that_keep_blocks_are_over_the_same_bytes() {
        let (sample, values) = (sample(), reference());
        let turned = sample.transposed(&[1, 0]);
        let expected: Vec<f32> =
            (0..5).flat_map(|c| (0..3).map(move |r| (r, c))).map(|(r, c)| values[5 * r + c]).collect();
        assert_eq!((turned.shape(), turned.values()), ([5, 3].as_slice(), expected));
        let wider = sample.reshaped(&[1, 3, 1, 5]).expect("axes of size 1 keep blocks");
        assert_eq!((wider.shape(), wider.values()), ([1, 3, 1, 5].as_slice(), values.clone()));
        assert!(sample.reshaped(&[15]).is_none() && sample.reshaped(&[5, 3]).is_none());
        let part = sample.part(1, &(2..5)).expect("it begins at the border of a block");
        let expected: Vec<f32> = (0..3).flat_map(|r| values[5 * r + 2..5 * r + 5].to_vec()).collect();
        assert_eq!((part.shape(), part.values()), ([3, 3].as_slice(), expected));
        assert!(sample.part(1, &(1..5)).is_none());
        assert_eq!(sample.part(0, &(1..2)).map(|p| p.values()), Some(values[5..10].to_vec()));
    }

    #[test]
    fn axes_that_share_a_scale_are_split_and_merged() {
        let integers = Packed { width: Width::Eight, signed: true, bytes: Arc::new((0..24).collect::<Vec<u8>>()) };
        let blocks = Blocks {
            lengths: vec![1, 12],
            scales: Floats::from_f32(&[1.0, -2.0]),
            scale_places: Places { first: 0, strides: vec![1, 0] },
            zeros: ZeroPoints::Same(3),
            zero_places: Places { first: 0, strides: vec![0, 0] },
        };
        let flat = Quantized::new(vec![2, 12], integers, Places::dense(&[2, 12]), blocks, false).expect("it fits");
        let split = flat.reshaped(&[2, 3, 4]).expect("the second axis shares a scale");
        assert_eq!(split.values(), flat.values());
        assert_eq!(split.reshaped(&[2, 12]).map(|m| m.values()), Some(flat.values()));
        let part = flat.part(1, &(5..9)).expect("one block is along the axis");
        assert_eq!(part.values(), [2.0, 3.0, 4.0, 5.0, -28.0, -30.0, -32.0, -34.0]);
        assert!(split.transposed(&[0, 2, 1]).reshaped(&[2, 12]).is_none(), "no longer in order");
    }

    #[test]
    fn axes_with_blocks_are_split_where_blocks_are_boxes() {
        let bytes: Vec<u8> = (0..48).map(|i| (i * 29 + 5) as u8).collect();
        let blocks = Blocks {
            lengths: vec![1, 4],
            scales: Floats::from_f32(&(0..12).map(|i| i as f32 - 5.5).collect::<Vec<f32>>()),
            scale_places: Places::dense(&[2, 6]),
            zeros: ZeroPoints::Integers(Packed {
                width: Width::Eight,
                signed: false,
                bytes: Arc::new((0..12).map(|i| i * 7).collect::<Vec<u8>>()),
            }),
            zero_places: Places::dense(&[2, 6]),
        };
        let integers = Packed { width: Width::Eight, signed: false, bytes: Arc::new(bytes) };
        let flat = Quantized::new(vec![2, 24], integers, Places::dense(&[2, 24]), blocks, false).expect("it fits");
        // Whole blocks, one, and parts of one along the last axis; rows split at their scale of their own.
        for shape in
            [&[2, 3, 8][..], &[2, 6, 4], &[2, 12, 2], &[2, 3, 2, 4], &[2, 3, 2, 2, 2], &[1, 2, 3, 4, 2], &[2, 24, 1]]
        {
            let split = flat.reshaped(shape).expect("blocks are boxes");
            assert_eq!((split.shape(), split.values()), (shape, flat.values()));
        }
        assert!(
            flat.reshaped(&[2, 8, 3]).is_none() && flat.reshaped(&[2, 4, 6]).is_none(),
            "blocks go over ends of rows"
        );
    }

    #[test]
    fn lists_that_are_too_short_are_refused() {
        let sample = sample();
        let short = Packed { bytes: Arc::new(vec![0_u8; 8]), ..sample.integers().clone() };
        assert!(Quantized::new(vec![3, 5], short, sample.places().clone(), sample.blocks().clone(), false).is_none());
        let few = Blocks { scales: Floats::from_f32(&[1.0; 8]), ..sample.blocks().clone() };
        let places = sample.places().clone();
        assert!(Quantized::new(vec![3, 5], sample.integers().clone(), places, few, false).is_none());
    }
}
