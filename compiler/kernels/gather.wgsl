// gather.wgsl -- elements of a tensor along one axis, at indices from another tensor.
//
// Formula:   out[o, j, n] = x[o, wrap(indices[j]), n]; wrap(i) = i + axis_extent for negative i, limited to the axis.
// Bindings:  2 out: words, dense; 3 x: words; 4 indices: i32. In `strides`, rows 0 and 1 are those of x (0 along the axes
//            of the indices), 2 and 3 those of the indices (0 along the others), innermost axis first.

struct Params {
    count: u32, rank: u32, width: u32, axis_extent: u32,
    extents: array<vec4<u32>, 2>,
    offsets: vec4<u32>,
    strides: array<vec4<u32>, 4>,
    axis_stride: u32, pad_0: u32, pad_1: u32, pad_2: u32,
}

@group(0) @binding(4) var<storage, read_write> indices: array<i32>;

fn compute(i: u32) {
    let at = coordinates_of(i);
    let extent = i32(params.axis_extent);
    let index = indices[params.offsets.y + dot(at.near, params.strides[2]) + dot(at.far, params.strides[3])];
    let place = u32(clamp(select(index, index + extent, index < 0), 0, extent - 1));
    out[i] = x[params.offsets.x + dot(at.near, params.strides[0]) + dot(at.far, params.strides[1])
        + place * params.axis_stride];
}
