//! What a graph stores, and how it could be stored: every weight of the stream and every table of rows, with its encodings.
//!
//! A constant with several readers is one choice, and its bytes are those of all places where it is stored: a language model's
//! embedding is a table of rows and the weight of a product. Integers of the file have one encoding, their own. Bytes are those of
//! pages and rows, padding of panels included.

use crate::graph::constant::{Constant, Storage};
use crate::graph::{Graph, NodeId};
use crate::lower::blocks::in_blocks;
use crate::lower::program::{Packing, Program};
use crate::lower::{LowerError, LowerOptions, lower};
use crate::pack::Lines;
use flashmem_plan_format::encoding::{CodeBits, Encoding, TEXEL_BYTES};
use std::collections::BTreeMap;

/// Bytes of the checksum behind every row.
const ROW_CHECKSUM_BYTES: u64 = 4;

/// A constant that is stored.
#[derive(Debug, Clone)]
pub struct StoredWeight {
    /// ONNX initialiser name.
    pub name: String,
    /// The elements.
    pub constant: Constant,
    /// The nodes of the graph that are this constant.
    pub nodes: Vec<NodeId>,
    /// Its lines of k.
    pub lines: Lines,
    /// How it can be stored, from many bits to few, and the bytes of each; integers of the file, and what is not to be chosen
    /// anew, only as they are.
    pub options: Vec<(Encoding, u64)>,
}

impl StoredWeight {
    /// Whether its elements are floats, which encodings may round.
    pub fn is_float(&self) -> bool {
        self.constant.as_quantized().is_none()
    }
}

/// A place where a constant is stored.
enum Place<'a> {
    Stream(&'a Packing),
    Rows { rows: u64, elements: u64 },
}

impl Place<'_> {
    fn bytes(&self, encoding: Encoding) -> u64 {
        match self {
            Self::Stream(packing) => packing.texels(encoding) * u64::from(TEXEL_BYTES),
            Self::Rows { rows, elements } => rows * (encoding.line_bytes(*elements) + ROW_CHECKSUM_BYTES),
        }
    }
}

/// Everything that a graph stores, in the order of the stream; tables of rows behind it. With `open`, floats have every encoding
/// that can hold them, else the one that they have.
///
/// # Errors
/// See [`LowerError`].
pub fn stored_weights(graph: &Graph, options: &LowerOptions, open: bool) -> Result<Vec<StoredWeight>, LowerError> {
    let program = lower(graph, options)?;
    let blocks =
        [CodeBits::Eight, CodeBits::Four].map(|bits| if open { in_blocks(graph, bits) } else { BTreeMap::new() });
    let mut nodes: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
    for id in graph.node_ids() {
        if let Some(constant) = graph.constant(id) {
            nodes.entry(constant.address()).or_default().push(id);
        }
    }
    let mut found: Vec<(StoredWeight, Vec<Place<'_>>, Encoding)> = Vec::new();
    for (name, constant, place, lines, encoding) in places(&program) {
        let known = found.iter().position(|(weight, ..)| weight.constant.address() == constant.address());
        if let Some(position) = known {
            found[position].1.push(place);
            continue;
        }
        let nodes = nodes.get(&constant.address()).cloned().unwrap_or_default();
        let (name, constant, options) = (name.to_owned(), constant.clone(), Vec::new());
        found.push((StoredWeight { name, constant, nodes, lines: lines(), options }, vec![place], encoding));
    }
    let weights = found.into_iter().map(|(mut weight, places, stored)| {
        let bytes = |encoding| (encoding, places.iter().map(|place| place.bytes(encoding)).sum());
        weight.options = if open && weight.is_float() {
            encodings(graph, &weight, &blocks).into_iter().map(bytes).collect()
        } else {
            vec![bytes(stored)]
        };
        weight
    });
    Ok(weights.collect())
}

type Placed<'a> = (&'a str, &'a Constant, Place<'a>, Box<dyn Fn() -> Lines + 'a>, Encoding);

fn places(program: &Program) -> impl Iterator<Item = Placed<'_>> {
    let weights = program.weights.iter().map(|weight| {
        let lines: Box<dyn Fn() -> Lines> = Box::new(|| Lines::of_weight(weight));
        (weight.name.as_str(), &weight.packing.constant, Place::Stream(&weight.packing), lines, weight.encoding)
    });
    let rows = program.row_sources.iter().map(|source| {
        let place = Place::Rows { rows: source.table.rows.into(), elements: source.table.row_elements.into() };
        let lines: Box<dyn Fn() -> Lines> = Box::new(|| Lines::of_rows(source));
        (source.table.name.as_str(), &source.constant, place, lines, source.table.encoding)
    });
    weights.chain(rows)
}

/// The encodings of floats, from many bits to few. What half precision cannot hold has no f16, and what the file has as f16 no f32.
fn encodings(graph: &Graph, weight: &StoredWeight, blocks: &[BTreeMap<NodeId, Encoding>; 2]) -> Vec<Encoding> {
    let fits_half = weight.nodes.iter().all(|id| graph.encodings.get(id) != Some(&Encoding::F32));
    let is_half = weight.constant.storage == Storage::F16 && fits_half;
    let floats = [(Encoding::F32, !is_half), (Encoding::F16, fits_half)];
    let mut list: Vec<Encoding> = floats.into_iter().filter(|(_, offered)| *offered).map(|(e, _)| e).collect();
    for blocks in blocks {
        let mut offered: Vec<Encoding> = weight.nodes.iter().filter_map(|id| blocks.get(id).copied()).collect();
        offered.dedup();
        if let [encoding] = offered[..]
            && !list.contains(&encoding)
        {
            list.push(encoding);
        }
    }
    list
}
