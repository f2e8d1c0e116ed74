// two_passes.wgsl -- the mean of a row and its moments about that, by `lanes` invocations of a workgroup that share the row.
//
// Sums of the lanes, each over every `lanes`-th column, are combined in a fixed tree.

// Each is written once, so that no barrier is needed between a last read and the next write.
var<workgroup> sums: array<f32, INVOCATIONS>;
var<workgroup> moments: array<vec3<f32>, INVOCATIONS>;

// The mean, rounded, of the row's `columns` elements from x_base on; 0 where it is not taken out.
fn rounded_mean(x_base: u32, columns: u32, local: u32) -> f32 {
    if (params.centre == 0u) {
        return 0.0;
    }
    let lane = local & (params.lanes - 1u);
    let first = x[x_base];
    var sum = 0.0;
    for (var c = lane; c < columns; c += params.lanes) {
        sum += x[x_base + c * params.x_stride] - first;
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    return first + sums[local - lane] / f32(columns);
}

// The means of what the elements differ from `shift` by, and of its squares times UP and DOWN twice.
fn moments_about(shift: f32, x_base: u32, columns: u32, local: u32) -> vec3<f32> {
    let lane = local & (params.lanes - 1u);
    var own = vec3<f32>();
    for (var c = lane; c < columns; c += params.lanes) {
        let centred = x[x_base + c * params.x_stride] - shift;
        let scaled = centred * vec2<f32>(UP, DOWN);
        own += vec3<f32>(centred, scaled * scaled);
    }
    moments[local] = own;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            moments[local] += moments[local + half];
        }
        workgroupBarrier();
    }
    return moments[local - lane] / f32(columns);
}
