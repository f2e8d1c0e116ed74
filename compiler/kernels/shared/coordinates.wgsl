// coordinates.wgsl -- the coordinates of an element by its number, for kernels over up to eight axes, innermost first.
//
// Axes are merged as far as all operands allow: one axis needs no division.

struct Coordinates {
    near: vec4<u32>,
    far: vec4<u32>,
}

fn coordinates_of(i: u32) -> Coordinates {
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
    return Coordinates(near, far);
}
