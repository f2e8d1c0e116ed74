// copy.wgsl -- copies 4-byte words from one strided view to another.
//
// Formula:   out[out_offset + sum_d coordinate_d * out_stride_d] = x[x_offset + sum_d coordinate_d * x_stride_d]
// Bindings:  2 out, 3 x: words. In `strides`, rows 0 and 1 are those of out, 2 and 3 those of x, innermost axis first.

struct Params {
    count: u32, rank: u32, width: u32, pad_0: u32,
    extents: array<vec4<u32>, 2>,
    offsets: vec4<u32>,
    strides: array<vec4<u32>, 4>,
}

fn compute(i: u32) {
    let at = coordinates_of(i);
    out[params.offsets.x + dot(at.near, params.strides[0]) + dot(at.far, params.strides[1])] =
        x[params.offsets.y + dot(at.near, params.strides[2]) + dot(at.far, params.strides[3])];
}
