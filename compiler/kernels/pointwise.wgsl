// pointwise.wgsl -- an element-wise program over strided operands, dense output.
//
// Formula:   out[i] = pointwise(coordinates of i); operands are read at offset + sum_d coordinate_d * stride_d.
// Bindings:  2 out: 4-byte words, dense. The operands, from 3 on, are declared by the generated text.
// Expects:   pointwise(near, far): the word to store; it calls `element`.
//
// Arithmetic wraps, so that a negative stride is its two's complement.

struct Params {
    count: u32, rank: u32, width: u32, pad_0: u32,
    extents: array<vec4<u32>, 2>,
    offsets: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 16>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

fn compute(i: u32) {
    let at = coordinates_of(i);
    out[i] = pointwise(at.near, at.far);
}

// Place of one element in the buffer of operand `operand`.
fn element(operand: u32, near: vec4<u32>, far: vec4<u32>) -> u32 {
    return params.offsets[operand >> 2u][operand & 3u] + dot(near, params.strides[2u * operand])
        + dot(far, params.strides[2u * operand + 1u]);
}
