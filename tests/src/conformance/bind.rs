//! Which graph inputs become initialisers.
//!
//! The node tests feed everything at run time, shapes included. A static compiler must know what decides shapes and
//! addresses, as exporters store it. This list says, for each operator, which operands these are; data is never bound. A
//! test of a function's expansion binds what the test of the operator itself binds.

use super::message::Model;
use std::collections::BTreeSet;

/// Operator, and positions of the operands that are shapes, axes, counts or the like.
const BOUND: &[(&str, &[usize])] = &[
    // Shape of the sampling grid.
    ("AffineGrid", &[1]),
    // Window lengths.
    ("BlackmanWindow", &[0]),
    ("HammingWindow", &[0]),
    ("HannWindow", &[0]),
    // Target shape.
    ("CenterCropPad", &[1]),
    // Shapes of image and block.
    ("Col2Im", &[1, 2]),
    // What is kept decides the output's shape.
    ("Compress", &[1]),
    ("ConstantOfShape", &[0]),
    // Axis.
    ("CumProd", &[1]),
    ("CumSum", &[1]),
    // Length and axis.
    ("DFT", &[1, 2]),
    // Ratio and training mode.
    ("Dropout", &[1, 2]),
    ("Expand", &[1]),
    // Branch: the graph contains one of them.
    ("If", &[0]),
    // Trip count and condition.
    ("Loop", &[0, 1]),
    // Shape of the output.
    ("MaxUnpool", &[2]),
    // Sizes and frequencies of the bank.
    ("MelWeightMatrix", &[0, 1, 2, 3, 4]),
    // Thresholds decide the output's shape.
    ("NonMaxSuppression", &[2, 3, 4]),
    // Number of classes.
    ("OneHot", &[1]),
    // Pads and axes.
    ("Pad", &[1, 3]),
    // Start, limit and step decide the output's shape.
    ("Range", &[0, 1, 2]),
    // Axes.
    ("ReduceL1", &[1]),
    ("ReduceL2", &[1]),
    ("ReduceLogSum", &[1]),
    ("ReduceLogSumExp", &[1]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceMin", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("ReduceSumSquare", &[1]),
    ("Reshape", &[1]),
    // Region, scales and sizes.
    ("Resize", &[1, 2, 3]),
    // Starts, ends, axes and steps.
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("SplitToSequence", &[1]),
    ("Squeeze", &[1]),
    // Step and length of frames.
    ("STFT", &[1, 3]),
    ("Tile", &[1]),
    // Number of elements.
    ("TopK", &[1]),
    // Diagonal.
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
];

/// Names of the graph inputs of `model` that are to be bound because of the nodes of `of`, whose inputs have the same names.
pub fn bound(of: &Model, model: &Model) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for node in &of.nodes {
        let positions = BOUND.iter().find(|(op, _)| *op == node.op).map_or(&[][..], |(_, positions)| positions);
        names.extend(positions.iter().filter_map(|position| node.inputs.get(*position)).cloned());
    }
    names.retain(|name| model.inputs.contains(name));
    names
}
