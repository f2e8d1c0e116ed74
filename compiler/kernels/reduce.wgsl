// reduce.wgsl -- sums, means of squares and of integers, products and extrema over any axes.
//
// Formula, bindings, dispatch: shared/reduction.wgsl. Means of floats and lengths are reduce_exact.wgsl's.
// Accuracy:  sums are within (columns / lanes + 6) * 2^-24 of the sum of magnitudes.

alias Partial = u32;

fn is_nan(word: u32) -> bool { return (word & 0x7fffffffu) > 0x7f800000u; }

fn neutral() -> u32 {
    switch params.combine {
        case GREATEST, GREATEST_NUMBER: { return 0xff800000u; }
        case LEAST: { return 0x7f800000u; }
        case PRODUCT: { return 0x3f800000u; }
        case GREATEST_INTEGER: { return 0x80000000u; }
        case MIN_INTEGER: { return 0x7fffffffu; }
        case PRODUCT_OF_INTEGERS: { return 1u; }
        default: { return 0u; }
    }
}

fn mapped(word: u32, first: u32) -> u32 {
    if (params.map == VALUE) { return word; }
    if (params.combine >= SUM_OF_INTEGERS) {
        let i = bitcast<i32>(word);
        return bitcast<u32>(select(abs(i), i * i, params.map == SQUARE));
    }
    let f = bitcast<f32>(word);
    return bitcast<u32>(select(abs(f), f * f, params.map == SQUARE));
}

fn combined(a: u32, b: u32, tree: u32) -> u32 {
    let left = bitcast<f32>(a);
    let right = bitcast<f32>(b);
    switch params.combine {
        case SUM: { return bitcast<u32>(left + right); }
        case GREATEST: { return select(select(bitcast<u32>(max(left, right)), b, is_nan(b)), a, is_nan(a)); }
        case LEAST: { return select(select(bitcast<u32>(min(left, right)), b, is_nan(b)), a, is_nan(a)); }
        case PRODUCT: { return bitcast<u32>(left * right); }
        case SUM_OF_INTEGERS: { return a + b; }
        case GREATEST_INTEGER: { return bitcast<u32>(max(bitcast<i32>(a), bitcast<i32>(b))); }
        case MIN_INTEGER: { return bitcast<u32>(min(bitcast<i32>(a), bitcast<i32>(b))); }
        case GREATEST_NUMBER: { return select(select(bitcast<u32>(max(left, right)), a, is_nan(b)), b, is_nan(a)); }
        default: { return a * b; }
    }
}

fn finished(word: u32, first: u32) -> u32 {
    if (params.finish == WHOLE) { return word; }
    if (params.combine >= SUM_OF_INTEGERS) { return bitcast<u32>(bitcast<i32>(word) / i32(max(params.columns, 1u))); }
    return bitcast<u32>(bitcast<f32>(word) / f32(params.columns));
}
