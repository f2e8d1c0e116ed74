//! Products and convolutions of 8-bit integers with a constant weight, as products of floats whose sums are exact.
//!
//! The weight becomes a constant of its integers less their zero point, with a scale of 1, that is streamed like any other. A sum
//! of products is exact in f32, in any order, as long as the magnitudes of its terms add up to at most 2²⁴: with operands of at
//! most 255 that follows from the weight's own integers. Longer sums are cut along their terms and added up as i32. Results
//! are rounded as `QuantizeLinear` rounds. What has no constant weight is left to `translate/quantized.rs`.

use super::dequantize::{Layout, linear};
use super::{Fault, Pass, Taken, integer, needed, operand, refused};
use crate::graph::constant::Constant;
use crate::graph::quantized::{Floats, Width};
use crate::import::quantized::elements::{Element, Stored};
use crate::import::rewrite::steps::{Attribute, Steps};
use std::ops::Range;
use tract_onnx::pb::{GraphProto, NodeProto, tensor_proto::DataType};

/// Largest magnitude of an operand of 8 bits less its zero point.
const MAX_OPERAND: u64 = 255;

/// Up to here, every integer is an f32.
const EXACT: u64 = 1 << 24;

/// What a node computes of its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A product with a weight (terms, columns).
    Product,
    /// A convolution with a weight (channels, terms, kernel…).
    Convolution,
    /// A product with a weight that may be transposed.
    Gemm,
}

/// Where the operands of an operator stand, beside the first.
struct Form {
    kind: Kind,
    x_zero: usize,
    weight: usize,
    weight_zero: usize,
    /// Scales of the operands, and scale and zero point of the result; `None` for a result of i32.
    scales: Option<[usize; 4]>,
    bias: Option<usize>,
}

impl Form {
    fn of(op: &str) -> Option<Self> {
        let integer = |kind| Self { kind, x_zero: 2, weight: 1, weight_zero: 3, scales: None, bias: None };
        let linear = |kind| Self { weight: 3, weight_zero: 5, scales: Some([1, 4, 6, 7]), ..integer(kind) };
        match op {
            "MatMulInteger" => Some(integer(Kind::Product)),
            "ConvInteger" => Some(integer(Kind::Convolution)),
            "QLinearMatMul" => Some(linear(Kind::Product)),
            "QLinearConv" => Some(Self { bias: Some(8), ..linear(Kind::Convolution) }),
            "QGemm" => Some(Self { bias: Some(6), scales: Some([1, 4, 7, 8]), ..linear(Kind::Gemm) }),
            _ => None,
        }
    }
}

/// How a sum becomes a result.
struct Rounding<'a> {
    x_scale: &'a str,
    weight_scale: &'a str,
    /// Scale, zero point, range and type of a result of 8 bits; `None` for floats.
    y: Option<(&'a str, &'a str, (f32, f32), DataType)>,
}

impl Pass<'_> {
    /// `MatMulInteger`, `ConvInteger`, `QLinearMatMul`, `QLinearConv` and `QGemm`.
    pub(super) fn integer_product(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let Some(form) = Form::of(&node.op_type) else { return Ok(None) };
        let taken = self.product_of(graph, node, &form)?;
        if taken.is_none() && form.kind == Kind::Gemm {
            return refused("B that is no constant of 8 bits, or scales that are no constants of float");
        }
        Ok(taken)
    }

    fn product_of(&mut self, graph: &mut GraphProto, node: &NodeProto, form: &Form) -> Taken {
        let rounding = match form.scales {
            Some(scales) => match self.rounding(graph, node, scales)? {
                Some(rounding) => Some(rounding),
                None => return Ok(None),
            },
            None => None,
        };
        if operand(node, form.x_zero).is_some_and(|zero| !self.is_one(zero)) {
            return Ok(None);
        }
        let Some((weight, name)) = self.integers(graph, node, form)? else { return Ok(None) };
        let is_convolution = form.kind == Kind::Convolution;
        let (terms, x_axis) = if is_convolution { (1, 1) } else { (0, -1) };
        let Some(parts) = exact_parts(&weight, terms, is_convolution) else { return Ok(None) };
        if parts.len() > 1 && integer(node, "group").unwrap_or(1) != 1 {
            return Ok(None);
        }
        let Some(weights) = self.part_names(&weight, &name, terms, &parts) else { return Ok(None) };

        let mut s = Steps::new(node, &self.known);
        let x = centred(&mut s, needed(node, 0)?, operand(node, form.x_zero));
        let mut sum: Option<String> = None;
        for (part, weight) in parts.iter().zip(&weights) {
            let x = if parts.len() == 1 { x.clone() } else { slice(&mut s, &x, x_axis, part) };
            let product = match form.kind {
                Kind::Convolution => s.like(node, "Conv", &[&x, weight]),
                Kind::Product | Kind::Gemm => s.op("MatMul", &[&x, weight], &[]),
            };
            let product = cast(&mut s, &product, DataType::Int32);
            sum = Some(match sum {
                Some(before) => s.op("Add", &[&before, &product], &[]),
                None => product,
            });
        }
        let Some(mut y) = sum else { return Ok(None) };
        // A value for every channel stands along axis 1 of a convolution's result, and along the last of a product's.
        let trailing = if is_convolution { weight.shape.len() - 2 } else { 0 };
        if let Some(bias) = form.bias.and_then(|bias| operand(node, bias)) {
            let bias = if is_convolution { along_channels(&mut s, bias, trailing) } else { bias.to_owned() };
            y = s.op("Add", &[&y, &bias], &[]);
        }
        if let Some(rounding) = rounding {
            y = scaled(&mut s, &y, &rounding, trailing);
        }
        s.give(0, &y);
        let (nodes, initialisers) = s.into_parts();
        self.initialisers.extend(initialisers);
        Ok(Some(nodes))
    }

    /// Whether a value is known to have one element.
    fn is_one(&self, name: &str) -> bool {
        self.known.rank(name).is_some_and(|(_, one)| one)
    }

    /// How sums become results; `None` where that depends on what is not constant, or scales are not floats.
    fn rounding<'n>(
        &mut self,
        graph: &mut GraphProto,
        node: &'n NodeProto,
        [x_scale, weight_scale, y_scale, y_zero]: [usize; 4],
    ) -> Result<Option<Rounding<'n>>, Fault> {
        let (x_scale, weight_scale) = (needed(node, x_scale)?, needed(node, weight_scale)?);
        for scale in [Some(x_scale), Some(weight_scale), operand(node, y_scale)].into_iter().flatten() {
            if self.floats(graph, scale)?.is_none_or(|(_, floats)| floats.half) {
                return Ok(None);
            }
        }
        if !self.is_one(x_scale) {
            return Ok(None);
        }
        let (Some(y_scale), Some(y_zero)) = (operand(node, y_scale), operand(node, y_zero)) else {
            return if operand(node, y_scale).or(operand(node, y_zero)).is_none() {
                Ok(Some(Rounding { x_scale, weight_scale, y: None }))
            } else {
                refused("a scale of the result without a zero point, or the other way round")
            };
        };
        if ![y_scale, y_zero].into_iter().all(|one| self.is_one(one)) {
            return Ok(None);
        }
        let (range, element) = match self.stored(graph, y_zero)?.map(|zero| zero.element) {
            Some(Element::Packed { width: Width::Eight, signed: false }) => ((0.0, 255.0), DataType::Uint8),
            Some(Element::Packed { width: Width::Eight, signed: true }) => ((-128.0, 127.0), DataType::Int8),
            Some(Element::Packed { .. } | Element::Sixteen { .. } | Element::ThirtyTwo | Element::Float8(_)) | None => {
                return Ok(None);
            }
        };
        Ok(Some(Rounding { x_scale, weight_scale, y: Some((y_scale, y_zero, range, element)) }))
    }

    /// The weight of a node less its zero point, and the initialiser that it is made of; `None` when it is no constant of 8 bits.
    fn integers(
        &mut self,
        graph: &mut GraphProto,
        node: &NodeProto,
        form: &Form,
    ) -> Result<Option<(Constant, String)>, Fault> {
        let name = needed(node, form.weight)?;
        let Some(stored) = self.stored(graph, name)? else { return Ok(None) };
        let rank = stored.shape.len();
        let turned = form.kind == Kind::Gemm && integer(node, "transB").unwrap_or(0) != 0;
        let (right, channels) = match form.kind {
            Kind::Product => (rank == 2, 1),
            Kind::Convolution => (rank > 2, 0),
            Kind::Gemm => (rank == 2, usize::from(!turned)),
        };
        if !right || !matches!(stored.element, Element::Packed { width: Width::Eight, .. }) {
            return Ok(None);
        }
        let zero = match operand(node, form.weight_zero).map(|zero| self.stored(graph, zero)).transpose()? {
            None => None,
            Some(Some(zero)) if zero.element == stored.element => Some(zero),
            Some(Some(_)) => return refused("a zero point of another type than the weight"),
            Some(None) => return Ok(None),
        };
        // The same zero point everywhere is one.
        let zero = zero.map(|zero| {
            let first = zero.integer_at(0);
            let same = (1..zero.len()).all(|position| zero.integer_at(position) == first);
            if same { Stored::from_integers(zero.element, vec![], &[first]) } else { zero }
        });
        let count = zero.as_ref().map_or(1, Stored::len);
        let layout = Layout::of(&stored.shape, &[count], channels as i64, 0)?;
        let constant = linear(&stored, &Floats::from_f32(&vec![1.0; count]), zero.as_ref(), &layout)?;
        let constant = match constant.as_quantized().filter(|_| turned) {
            Some(quantized) => Constant::from_quantized(quantized.transposed(&[1, 0])),
            None => constant,
        };
        Ok(Some((constant, name.to_owned())))
    }

    /// Weights for the parts of a constant; `None` where there is no part.
    fn part_names(&mut self, weight: &Constant, of: &str, axis: usize, parts: &[Range<usize>]) -> Option<Vec<String>> {
        let mut names = Vec::with_capacity(parts.len());
        for part in parts {
            let constant = if parts.len() == 1 { weight.clone() } else { weight.part(axis, part)? };
            let name = self.fresh(of);
            self.place(&name, constant);
            names.push(name);
        }
        Some(names)
    }
}

/// Ranges of a weight's terms of which each is added up exactly; `None` where one term alone is not. `first_is_channels` says
/// that channels are the first axis and the terms of a place along `axis` all others, else channels are the last.
fn exact_parts(weight: &Constant, axis: usize, first_is_channels: bool) -> Option<Vec<Range<usize>>> {
    let (shape, values) = (&weight.shape, weight.to_f32());
    let channels = if first_is_channels { shape[0] } else { *shape.last()? };
    let inner: usize = shape[axis + 1..].iter().product();
    let magnitude = |channel: usize, place: usize| -> u64 {
        let of = |at: usize| values[at].abs() as u64;
        if first_is_channels {
            let start = (channel * shape[axis] + place) * inner;
            (start..start + inner).map(of).sum()
        } else {
            of(place * channels + channel)
        }
    };
    let most = EXACT / MAX_OPERAND;
    if largest_sum(&values, channels, first_is_channels) <= most as f64 {
        return Some(std::iter::once(0..shape[axis]).collect());
    }
    let mut parts = Vec::new();
    let (mut sums, mut start, mut own) = (vec![0_u64; channels], 0, vec![0; channels]);
    for place in 0..shape[axis] {
        own.iter_mut().enumerate().for_each(|(channel, own)| *own = magnitude(channel, place));
        if own.iter().any(|own| *own > most) {
            return None;
        }
        if sums.iter().zip(&own).any(|(sum, own)| sum + own > most) {
            parts.push(start..place);
            sums.fill(0);
            start = place;
        }
        sums.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
    }
    parts.push(start..shape[axis]);
    Some(parts)
}

/// The largest of the channels' sums of magnitudes: of integers, and so exact.
fn largest_sum(values: &[f32], channels: usize, first_is_channels: bool) -> f64 {
    let of = |value: &f32| f64::from(value.abs());
    let mut sums = vec![0.0; channels];
    if first_is_channels {
        let lines = values.chunks_exact((values.len() / channels).max(1));
        sums.iter_mut().zip(lines).for_each(|(sum, line)| *sum = line.iter().map(of).sum());
    } else {
        for row in values.chunks_exact(channels) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += of(value));
        }
    }
    sums.into_iter().fold(0.0, f64::max)
}

fn cast(s: &mut Steps<'_>, x: &str, to: DataType) -> String {
    s.op("Cast", &[x], &[("to", Attribute::Int(to as i64))])
}

/// x − zero point, as floats.
fn centred(s: &mut Steps<'_>, x: &str, zero: Option<&str>) -> String {
    let x = cast(s, x, DataType::Float);
    match zero {
        Some(zero) => {
            let zero = cast(s, zero, DataType::Float);
            s.op("Sub", &[&x, &zero], &[])
        }
        None => x,
    }
}

fn slice(s: &mut Steps<'_>, x: &str, axis: i64, range: &Range<usize>) -> String {
    let (start, end, axis) = (s.ints(&[range.start as i64]), s.ints(&[range.end as i64]), s.ints(&[axis]));
    s.op("Slice", &[x, &start, &end, &axis], &[])
}

/// One value, or one a channel in front of so many axes.
fn along_channels(s: &mut Steps<'_>, value: &str, trailing: usize) -> String {
    let shape: Vec<i64> = std::iter::once(-1).chain(std::iter::repeat_n(1, trailing)).collect();
    let shape = s.ints(&shape);
    s.op("Reshape", &[value, &shape], &[])
}

/// saturate(round(sum · (x scale · weight scale / y scale)) + y zero point), or sum · (x scale · weight scale).
fn scaled(s: &mut Steps<'_>, sum: &str, by: &Rounding<'_>, trailing: usize) -> String {
    let weight_scale = along_channels(s, by.weight_scale, trailing);
    let mut scale = s.op("Mul", &[by.x_scale, &weight_scale], &[]);
    if let Some((y_scale, ..)) = by.y {
        scale = s.op("Div", &[&scale, y_scale], &[]);
    }
    let sum = cast(s, sum, DataType::Float);
    let scaled = s.op("Mul", &[&sum, &scale], &[]);
    let Some((_, y_zero, (low, high), element)) = by.y else { return scaled };
    let whole = s.op("Round", &[&scaled], &[]);
    let zero = cast(s, y_zero, DataType::Float);
    let shifted = s.op("Add", &[&whole, &zero], &[]);
    let (low, high) = (s.floats(&[], &[low]), s.floats(&[], &[high]));
    let bounded = s.op("Max", &[&shifted, &low], &[]);
    let bounded = s.op("Min", &[&bounded, &high], &[]);
    cast(s, &bounded, element)
}

#[cfg(test)]
mod tests {
    use super::exact_parts;
    use crate::graph::constant::Constant;

    #[test]
    fn sums_are_cut_where_they_may_leave_the_exact_integers() {
        // 255 · 128 · 514 is the last sum of such terms within 2²⁴.
        let column = |terms: usize| Constant::from_f32(vec![terms, 2], &[-128.0, 1.0].repeat(terms));
        assert_eq!(exact_parts(&column(514), 0, false), Some(std::iter::once(0..514).collect()));
        assert_eq!(exact_parts(&column(1100), 0, false), Some(vec![0..514, 514..1028, 1028..1100]));
        let channels = Constant::from_f32(vec![2, 514, 1, 1], &[[1.0; 514], [-128.0; 514]].concat());
        assert_eq!(exact_parts(&channels, 1, true), Some(std::iter::once(0..514).collect()));
        let kernel = Constant::from_f32(vec![1, 200, 3, 1], &[100.0; 600]);
        assert_eq!(exact_parts(&kernel, 1, true), Some(std::iter::once(0..200).collect()));
        let kernel = Constant::from_f32(vec![1, 300, 3, 1], &[100.0; 900]);
        assert_eq!(exact_parts(&kernel, 1, true), Some(vec![0..219, 219..300]));
        let huge = Constant::from_f32(vec![1, 1, 600, 1], &[128.0; 600]);
        assert_eq!(exact_parts(&huge, 1, true), None);
    }
}
