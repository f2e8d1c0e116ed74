#!/usr/bin/env bash
# petgraph 0.8.3: page_rank is not PageRank as the page that its documentation links to defines it, (1 - d) / N + d * (sum of the ranks of linking
# nodes over their out-degrees): a node gets from each other either the link's share or the jump's, not both. Of simple, strongly connected
# graphs without self loops the limit is another one. A power iteration of the formula in f64 decides; its result reproduces itself. Seen on
# 2026-11-29, d = 0.85, edges 0 -> 1, 0 -> 2, 1 -> 2, 2 -> 0:
#   petgraph 0.3931, 0.2122, 0.3947; by the formula 0.3878, 0.2148, 0.3974
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
petgraph = "=0.8.3"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use petgraph::algo::page_rank;
use petgraph::graph::DiGraph;

const LINKS: [(u32, u32); 4] = [(0, 1), (0, 2), (1, 2), (2, 0)];

/// One application of the formula; every node has a link.
fn formula(ranks: &[f64], links: &[(u32, u32)], damping: f64) -> Vec<f64> {
    let degree = |node: u32| links.iter().filter(|link| link.0 == node).count() as f64;
    let linked = |node: u32| links.iter().filter(|l| l.1 == node).map(|l| ranks[l.0 as usize] / degree(l.0)).sum::<f64>();
    (0..ranks.len()).map(|node| (1.0 - damping) / ranks.len() as f64 + damping * linked(node as u32)).collect()
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn both(links: &[(u32, u32)]) -> (Vec<f64>, Vec<f64>) {
    let found = page_rank(&DiGraph::<(), ()>::from_edges(links), 0.85, 300);
    let ranks = (0..300).fold(vec![1.0 / found.len() as f64; found.len()], |ranks, _| formula(&ranks, links, 0.85));
    assert!(farthest(&ranks, &formula(&ranks, links, 0.85)) < 1e-12, "the formula's result reproduces itself");
    println!("{links:?}: petgraph {found:.4?}, by the formula {ranks:.4?}");
    (found, ranks)
}

fn main() {
    let (found, ranks) = both(&[(0, 1), (1, 2), (2, 0)]);
    assert!(farthest(&found, &ranks) < 1e-9, "of a ring both are equal");
    let (found, ranks) = both(&LINKS);
    assert!((ranks.iter().sum::<f64>() - 1.0).abs() < 1e-9 && (found.iter().sum::<f64>() - 1.0).abs() < 1e-9, "both add up to 1");
    assert!(farthest(&found, &ranks) > 5e-3, "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
