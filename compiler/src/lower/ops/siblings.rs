//! Siblings in one call: their panels as those of one weight, their results as views of one tensor.
//!
//! Which products are siblings is `lower/siblings.rs`'s to say.

use super::contraction::{Output, Panels};
use super::einsum::{Activation, Chosen, StreamedProduct, canonical, merged_where_it_fits};
use crate::graph::Siblings;
use crate::graph::constant::Constant;
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::product::Kinds;
use crate::lower::siblings::{joined, joined_shape, part_of};
use crate::lower::site::Site;

/// Lowers the siblings at a position of the graph's, all of them.
pub fn lower(lowering: &mut Lowering<'_>, position: usize, siblings: &Siblings) -> Result<(), LowerError> {
    let graph = lowering.graph();
    lowering.enter(Site::Siblings(position));
    let joined = joined(graph, siblings);
    let first = &joined.parts[0].product;
    let shape = joined_shape(graph, first.first, &joined.k_axes, siblings.columns);

    let mut vectors = Vec::new();
    for vector in &joined.vectors {
        let mut along_columns = vec![1; shape.len()];
        along_columns[shape.len() - 1] = siblings.columns;
        vectors.push(lowering.resident(&Constant::from_f32(along_columns, vector)).broadcast(&shape));
    }
    // The axes of x by their labels, and one label more for the columns.
    let label = |taken: &dyn Fn(u8) -> bool| (0..=u8::MAX).find(|l| !taken(*l)).expect("x has few axes");
    let columns = label(&|l| first.a.contains(&l));
    let of_axes = |k: bool| -> Vec<u8> {
        let axes = first.a.iter().enumerate().filter(|(axis, _)| joined.k_axes.contains(axis) == k);
        axes.map(|(_, label)| *label).collect()
    };
    let kinds = Kinds { batch: Vec::new(), m: of_axes(false), n: vec![columns], k: of_axes(true) };
    let output = [kinds.m.as_slice(), &kinds.n].concat();
    let size = |l: u8| if l == columns { siblings.columns } else { first.size(graph, l) };

    let mut activations = (Activation { labels: first.a.clone(), view: lowering.view(first.first) }, None);
    let mut out = Output::of(lowering.output(&shape), joined.epilogue.clone(), vectors);
    let merged = match merged_where_it_fits(&kinds, size, &activations, (&output, &out)) {
        Some(merged) => merged,
        None => {
            activations.0 = canonical(lowering, &activations.0, &[&kinds.m, &kinds.k]);
            out.view = lowering.output(&shape);
            let merged = merged_where_it_fits(&kinds, size, &activations, (&output, &out));
            merged.expect("canonical activations and rows always merge")
        }
    };
    let mut panels: Option<Panels> = None;
    for part in &joined.parts {
        let weight = lowering.weight(part.product.second, part.product.packing(graph));
        let weight = lowering.weight_at(weight);
        panels = Some(match panels {
            None => Panels::of(weight, 0),
            Some(before) => before.and(weight),
        });
    }
    let panels = panels.expect("siblings are several");
    let x_scale = lowering.x_scale(joined.parts[0].id);
    let x = &activations.0.view;
    let product = StreamedProduct { x, merged: &merged, panels: &panels, chosen_for: Chosen::of(siblings), x_scale };
    product.calls(lowering, &mut out)?;
    let whole = out.finished(lowering)?;
    for part in &joined.parts {
        lowering.set_view(part.id, part_of(graph, &part.product, &joined.k_axes, &whole, part.first_column));
    }
    Ok(())
}
