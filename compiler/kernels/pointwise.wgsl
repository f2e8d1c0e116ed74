// pointwise.wgsl -- an element-wise program over strided operands, dense output.
//
// Formula:   out[i] = pointwise(coordinates of i); operands are read at offset + sum_d coordinate_d * stride_d.
// Bindings:  2 out: 4-byte words, dense. The operands, from 3 on, are declared by the generated text.
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   pointwise(near: vec4<u32>, far: vec4<u32>) -> u32, the word to store; it calls `element`.
//
// Axes are merged as far as all operands allow and listed innermost first: one axis (the usual case) needs no division.
// Arithmetic wraps, so that a negative stride is its two's complement.

struct Params {
    count: u32, rank: u32, width: u32, pad_0: u32,
    extents: array<vec4<u32>, 2>,
    offsets: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 16>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.width + id.x;
    if (i >= params.count) {
        return;
    }
    let low = params.extents[0];
    let high = params.extents[1];
    var near = vec4<u32>(i, 0u, 0u, 0u);
    var far = vec4<u32>();
    if (params.rank > 1u) {
        near.y = near.x / low.x;
        near.x -= near.y * low.x;
    }
    if (params.rank > 2u) {
        near.z = near.y / low.y;
        near.y -= near.z * low.y;
    }
    if (params.rank > 3u) {
        near.w = near.z / low.z;
        near.z -= near.w * low.z;
    }
    if (params.rank > 4u) {
        far.x = near.w / low.w;
        near.w -= far.x * low.w;
        far.y = far.x / high.x;
        far.x -= far.y * high.x;
        far.z = far.y / high.y;
        far.y -= far.z * high.y;
        far.w = far.z / high.z;
        far.z -= far.w * high.z;
    }
    out[i] = pointwise(near, far);
}

// Place of one element in the buffer of operand `operand`.
fn element(operand: u32, near: vec4<u32>, far: vec4<u32>) -> u32 {
    return params.offsets[operand >> 2u][operand & 3u] + dot(near, params.strides[2u * operand])
        + dot(far, params.strides[2u * operand + 1u]);
}
