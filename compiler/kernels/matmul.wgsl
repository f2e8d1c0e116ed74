// matmul.wgsl -- dense matrix product with streamed texture weights, in registers.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl. Tiles: shared/wide.wgsl.

// Where a row of x starts, and how far a term is from its first one.
alias Row = u32;
alias Term = u32;

fn row_at(z: u32, m: u32) -> Row {
    return params.x_offset + dot(batch_of(z), params.x_batch_stride.xyz) + m * params.x_stride_m;
}

fn next_term(term: Term) -> Term { return term + params.x_stride_k; }

fn x_at(row: Row, term: Term, inside: bool) -> f32 { return select(0.0, x[row + select(0u, term, inside)], inside); }
