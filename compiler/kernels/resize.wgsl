// resize.wgsl -- nearest or linear resampling of up to four axes.
//
// Formula:   out[i] = sum over corners of product_d weight_d * x[corner]; corner bit d takes axis d's upper neighbour.
// Bindings:  2 out: words, dense; 3 x: words, any strides; 4 table: for every output coordinate of an axis, from the word
//            tables[axis] on, three words: lower index, upper index, and the f32 weight of the upper one.
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   nothing. Coordinates are computed ahead of time: a division on the device might round to the wrong element.
//
// Axes innermost first, padded with extent 1. `linear` has a bit for each axis with weights; without any, words are copied.

struct Params {
    count: u32, linear: u32, width: u32, offset: u32,
    extents: vec4<u32>,
    strides: vec4<u32>,
    tables: vec4<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<u32>;
@group(0) @binding(4) var<storage, read_write> table: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.width + id.x;
    if (i >= params.count) {
        return;
    }
    let b = i / params.extents.x;
    let c = b / params.extents.y;
    let d = c / params.extents.z;
    let coordinate = vec4<u32>(i - b * params.extents.x, b - c * params.extents.y, c - d * params.extents.z, d);
    let entry = params.tables + 3u * coordinate;
    let lower = vec4<u32>(table[entry.x], table[entry.y], table[entry.z], table[entry.w]);
    if (params.linear == 0u) {
        out[i] = x[params.offset + dot(lower, params.strides)];
        return;
    }
    let upper = vec4<u32>(table[entry.x + 1u], table[entry.y + 1u], table[entry.z + 1u], table[entry.w + 1u]);
    let weight = bitcast<vec4<f32>>(
        vec4<u32>(table[entry.x + 2u], table[entry.y + 2u], table[entry.z + 2u], table[entry.w + 2u]));
    var sum = 0.0;
    for (var corner = 0u; corner < 16u; corner += 1u) {
        if ((corner & ~params.linear) == 0u) {
            let up = (vec4<u32>(corner) & vec4<u32>(1u, 2u, 4u, 8u)) != vec4<u32>(0u);
            let w = select(vec4<f32>(1.0) - weight, weight, up);
            let place = params.offset + dot(select(lower, upper, up), params.strides);
            sum += w.x * w.y * w.z * w.w * bitcast<f32>(x[place]);
        }
    }
    out[i] = bitcast<u32>(sum);
}
