// normalize_parts.wgsl -- layer or root-mean-square normalisation of few long rows, whose moments are there (moments.wgsl).
//
// Formula, accuracy: normalize.wgsl.
// Bindings:  4 moments: f32, what moments.wgsl has written with the same `part` and `centre`.
// Dispatch:  (parts, rows).
//
// The mean is that of the parts' differences from the first part's, the variance that of what every part has and of how far its
// mean is from that of the row (Chan, Golub and LeVeque, 1983), in ascending order of parts.

struct Params {
    columns: u32, part: u32, parts: u32, centre: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, epsilon: f32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
    operands: array<vec4<u32>, 4>,
}

@group(0) @binding(4) var<storage, read_write> moments: array<f32>;

// The share that a part has of the row's columns.
fn share(part: u32) -> f32 { return f32(min(params.part, params.columns - part * params.part)) / f32(params.columns); }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = group.y * params.parts * 4u;
    let shift = moments[first];
    var mean = 0.0;
    for (var p = 0u; p < params.parts; p += 1u) {
        mean += share(p) * (moments[first + 4u * p] - shift + moments[first + 4u * p + 1u]);
    }
    let rest = select(0.0, mean, params.centre != 0u);
    var squares = vec2<f32>();
    for (var p = 0u; p < params.parts; p += 1u) {
        let at = first + 4u * p;
        let apart = (moments[at] - shift - rest) * vec2<f32>(UP, DOWN);
        let centred = moments[at + 1u] * vec2<f32>(UP, DOWN);
        let own = vec2<f32>(moments[at + 2u], moments[at + 3u]);
        squares += share(p) * (own + select(vec2<f32>(), (2.0 * centred + apart) * apart, params.centre != 0u));
    }
    let start = group.x * params.part;
    write_normalized(group.y, start + local, min(start + params.part, params.columns), 256u, shift, rest, squares);
}
