// two_passes.wgsl -- the mean of a row and its moments about that: sums of the lanes that share it, combined in a tree (tree.wgsl).

alias Partial = vec3<f32>;

fn combined(a: Partial, b: Partial, tree: u32) -> Partial { return a + b; }

// The mean, rounded, of the row's `columns` elements from x_base on; 0 where it is not taken out.
fn rounded_mean(x_base: u32, columns: u32, local: u32) -> f32 {
    if (params.centre == 0u) { return 0.0; }
    let first = x[x_base];
    var sum = 0.0;
    for (var c = lane_of(local); c < columns; c += params.lanes) { sum += x[x_base + c * params.x_stride] - first; }
    return first + combined_in_tree(vec3<f32>(sum, 0.0, 0.0), local, 0u).x / f32(columns);
}

// The means of what the elements differ from `shift` by, and of its squares times UP and DOWN twice.
fn moments_about(shift: f32, x_base: u32, columns: u32, local: u32) -> vec3<f32> {
    var own = vec3<f32>();
    for (var c = lane_of(local); c < columns; c += params.lanes) {
        let centred = x[x_base + c * params.x_stride] - shift;
        let scaled = centred * vec2<f32>(UP, DOWN);
        own += vec3<f32>(centred, scaled * scaled);
    }
    return combined_in_tree(own, local, 1u) / f32(columns);
}
