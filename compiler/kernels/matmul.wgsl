// matmul.wgsl -- dense matrix product with streamed texture weights, in registers.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl. Tiles: shared/wide.wgsl.

struct Row {
    start: u32,
}

// How far a term is from the first one.
struct Term {
    offset: u32,
}

fn row_at(z: u32, m: u32) -> Row {
    return Row(params.x_offset + dot(batch_of(z), params.x_batch_stride.xyz) + m * params.x_stride_m);
}

fn next_term(term: Term) -> Term { return Term(term.offset + params.x_stride_k); }

fn x_at(row: Row, term: Term, inside: bool) -> f32 {
    return select(0.0, x[row.start + select(0u, term.offset, inside)], inside);
}
