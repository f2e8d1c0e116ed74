// reduce_exact.wgsl -- means and lengths of floats over any axes, where one plain sum is not enough.
//
// Formula:   out[r] = mean_c x[r, c] with finish MEAN, or sqrt(sum_c x[r, c]^2) with ROOT
// Bindings, dispatch: shared/reduction.wgsl.
// Accuracy:  a mean has two sums, of the elements and of what they differ from the first one: where the second is smaller, it is
//            within (columns / lanes + 6) * 2^-24 of the mean distance from the first element, plus 2^-24 of itself; else within
//            as much of the mean magnitude. A length, whose squares are added up twice (shared/moments.wgsl), is within
//            (columns / lanes + 8) * 2^-24 of itself. Of nothing, a mean is NaN.
//
// All sums are one loop and one tree: a CPU adapter walks through every branch with its barriers, taken or not.

alias Partial = vec2<f32>;

fn neutral() -> Partial { return Partial(); }

fn mapped(word: u32, first: u32) -> Partial {
    let value = bitcast<f32>(word);
    let scaled = value * vec2<f32>(UP, DOWN);
    return select(vec2<f32>(value, value - bitcast<f32>(first)), scaled * scaled, params.finish == ROOT);
}

fn combined(a: Partial, b: Partial, tree: u32) -> Partial { return a + b; }

fn finished(sums: Partial, first: u32) -> u32 {
    let means = sums / f32(params.columns);
    let better = select(means.x, bitcast<f32>(first) + means.y, abs(means.y) < abs(means.x));
    let mean = select(better, bitcast<f32>(params.columns | 0x7fc00000u), params.columns == 0u);
    let length_of = select(sqrt(sums.x) * DOWN, sqrt(sums.y) * UP, too_large(sums.x));
    return bitcast<u32>(select(mean, length_of, params.finish == ROOT));
}
