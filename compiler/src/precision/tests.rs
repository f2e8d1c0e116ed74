//! Estimated errors beside measured ones.

use super::measure::Measured;
use super::noise::observe;
use super::{Chooser, stored_weights};
use crate::graph::Graph;
use crate::graph::interpret::words_of;
use crate::import::{ImportOptions, golden_inputs, import};
use crate::lower::LowerOptions;
use crate::optimize::{OptimizeOptions, optimize};
use crate::profile::Tiles;
use flashmem_plan_format::encoding::Encoding;
use flashmem_plan_format::plan::PageGeometry;

fn path(name: &str) -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "/../tests/models/tiny/", name, ".onnx"].concat().into()
}

#[test]
fn estimates_are_near_measurements() {
    for (name, most) in [("vit", 2.0), ("gptneo-s", 2.0), ("resnet50", 2.5)] {
        let mut graph: Graph = import(&path(name), &ImportOptions::default()).expect("supported").graph;
        optimize(&mut graph, &OptimizeOptions::default()).expect("optimised");
        let (page, max_binding_bytes) = (PageGeometry { rows: 1024 }, 1 << 30);
        let tiles = Tiles::Software;
        let lower = LowerOptions { encoding: Encoding::F16, page, max_binding_bytes, tiles, ..LowerOptions::default() };
        let weights = stored_weights(&graph, &lower, true).expect("lowered");
        let inputs = golden_inputs(&graph);
        let samples = [graph.inputs.iter().zip(&inputs).map(|(port, bytes)| words_of(port.element, bytes)).collect()];
        let nodes = weights.iter().flat_map(|weight| weight.nodes.iter().copied()).collect();
        let activity = observe(&graph, &nodes, &samples, true);
        let importance = vec![None; weights.len()];
        let network = Measured::new(&graph, &samples);
        let chooser = Chooser { weights: &weights, importance: &importance, network, whole: true };
        let (estimated, measured) = (chooser.estimated(&activity), chooser.measured());
        let chosen = chooser.uniform(Encoding::Q4);
        let [estimated, measured] = [&estimated, &measured].map(|errors| Chooser::predicted(errors, &chosen).sqrt());
        let factor = estimated / measured;
        assert!((1.0 / most..most).contains(&factor), "{name}: {estimated} {measured}");
    }
}
