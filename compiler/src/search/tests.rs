//! Searches on programs that the models in `tests/` are too small for.

use super::{BudgetError, Planned, Search, search};
use crate::bundle::Assembly;
use crate::emit::KernelCache;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Op;
use crate::graph::{Graph, GraphPort};
use crate::lower::LowerOptions;
use crate::options::{CompileOptions, Keep};
use crate::profile::DeviceProfile;
use crate::schedule::{SolverKind, Strategy};
use flashmem_plan_format::plan::{ElementType, Encoding, Provenance};

/// A product with 10 MiB of weights.
fn product() -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_shaped(Op::Input, &[], "x", vec![1, 256], Dtype::F32);
    graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node: x });
    let weights = graph.add_constant(Constant::from_f32(vec![256, 10240], &vec![0.5; 256 * 10240]), "w");
    let op = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let product = graph.add(op, &[x, weights], "product").expect("fits");
    graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: product });
    graph
}

fn unknown_provenance() -> Provenance {
    Provenance {
        model: String::new(),
        model_hash: String::new(),
        compiler: String::new(),
        options: Vec::new(),
        strategy: String::new(),
        solver: String::new(),
        solver_status: String::new(),
        solver_gap: 0.0,
        profile: String::new(),
        disk_bytes_per_second: 0.0,
        upload_bytes_per_second: 0.0,
    }
}

fn searched(layers: u32, all_resident: bool) -> Result<Planned, BudgetError> {
    let profile = DeviceProfile::load("desktop").expect("a built-in profile");
    let provenance = unknown_provenance();
    let assembly = Assembly {
        profile: &profile,
        strategy: Strategy::Optimal,
        solver: SolverKind::default(),
        slot_cap: layers,
        staging_pages: 2,
        budget_bytes: None,
        provenance: &provenance,
    };
    let keep = if all_resident { Keep::All } else { Keep::Auto };
    let options = CompileOptions { keep, ..CompileOptions::new(profile.clone(), Encoding::F32) };
    let limits = Search { options: &options, lower: LowerOptions::default(), assembly };
    search(&product(), &KernelCache::default(), &limits)
}

#[test]
fn pages_grow_beyond_4_mib_only_when_layers_would_not_hold_everything() {
    let page_bytes = |layers, all_resident| searched(layers, all_resident).expect("a plan").program.page.page_bytes();
    assert!(page_bytes(2048, true) <= 4 << 20);
    assert!(page_bytes(2, false) <= 4 << 20, "a slot for each call is enough");
    let planned = searched(2, true).expect("a plan");
    assert_eq!((planned.program.page.page_bytes(), planned.program.pages()), (8 << 20, 2));
    assert!(planned.program.page.rows <= 8192);
    assert!(matches!(searched(0, true), Err(BudgetError::Layers { needed: 1, available: 0, .. })));
}
