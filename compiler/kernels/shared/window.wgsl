// window.wgsl -- the place of an output element with up to three spatial axes, innermost first, and its channel's elements of x.

// The three spatial coordinates and the plane, which is image * channels + channel.
fn place_of_output(i: u32) -> vec4<u32> {
    let b = i / params.extents.x;
    let c = b / params.extents.y;
    let plane = c / params.extents.z;
    return vec4<u32>(i - b * params.extents.x, b - c * params.extents.y, c - plane * params.extents.z, plane);
}

// The first element of a plane of x.
fn plane_base(plane: u32) -> u32 {
    return params.offset + (plane / params.channels) * params.stride_batch
        + (plane % params.channels) * params.stride_channel;
}
