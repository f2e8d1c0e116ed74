// cumulative.wgsl -- sums or products of the elements up to each place of every line.
//
// Formula:   out[line, j] = sum, or product, of x[line, i] for i = 0 .. j in ascending order (i < j when exclusive); with `reverse` both
//            are counted from the end. A call makes `steps` of the columns, from `first` on, where out has those before.
// Accuracy:  within the number of columns * 2^-24 of the sum of magnitudes, or of the product.
// Bindings:  2 out, 3 x: words, by lines (rows.wgsl).

struct Params {
    count: u32, columns: u32, width: u32, is_float: u32,
    exclusive: u32, reverse: u32, x_offset: u32, x_stride: u32,
    out_stride: u32, first: u32, steps: u32, is_product: u32,
    extents: vec4<u32>,
    x_strides: vec4<u32>,
    out_strides: vec4<u32>,
}

fn compute(line: u32) {
    let at = coordinates(line, params.extents);
    let source = params.x_offset + dot(at, params.x_strides);
    let target_place = dot(at, params.out_strides);
    // What joins to any element without changing it.
    var so_far = params.is_product * select(1u, bitcast<u32>(1.0), params.is_float != 0u);
    if (params.first > 0u) {
        let j = column(params.first - 1u);
        let before = out[target_place + j * params.out_stride];
        so_far = select(before, joined(before, x[source + j * params.x_stride]), params.exclusive != 0u);
    }
    for (var step = params.first; step < params.first + params.steps; step += 1u) {
        let j = column(step);
        let with_own = joined(so_far, x[source + j * params.x_stride]);
        out[target_place + j * params.out_stride] = select(with_own, so_far, params.exclusive != 0u);
        so_far = with_own;
    }
}

// The column of a step.
fn column(step: u32) -> u32 { return select(step, params.columns - 1u - step, params.reverse != 0u); }

fn joined(a: u32, b: u32) -> u32 {
    if (params.is_float != 0u) {
        let x = bitcast<f32>(a);
        let y = bitcast<f32>(b);
        return bitcast<u32>(select(x + y, x * y, params.is_product != 0u));
    }
    return select(a + b, a * b, params.is_product != 0u);
}
