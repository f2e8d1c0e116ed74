// gather.wgsl -- elements of a tensor along one axis, at indices from another tensor.
//
// Formula:   out[o, j, n] = x[o, wrap(indices[j]), n]; wrap(i) = i + axis_extent for negative i, limited to the axis.
// Bindings:  2 out: words, dense; 3 x: words; 4 indices: i32. In `strides`, rows 0 and 1 are those of x (0 along the axes
//            of the indices), 2 and 3 those of the indices (0 along the others), innermost axis first.
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   nothing.

struct Params {
    count: u32, rank: u32, width: u32, axis_extent: u32,
    extents: array<vec4<u32>, 2>,
    offsets: vec4<u32>,
    strides: array<vec4<u32>, 4>,
    axis_stride: u32, pad_0: u32, pad_1: u32, pad_2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<u32>;
@group(0) @binding(4) var<storage, read_write> indices: array<i32>;

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
    let extent = i32(params.axis_extent);
    let index = indices[params.offsets.y + dot(near, params.strides[2]) + dot(far, params.strides[3])];
    let place = u32(clamp(select(index, index + extent, index < 0), 0, extent - 1));
    out[i] = x[params.offsets.x + dot(near, params.strides[0]) + dot(far, params.strides[1])
        + place * params.axis_stride];
}
