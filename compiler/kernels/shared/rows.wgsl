// rows.wgsl -- the coordinates of a row, line or column by its number, over four merged axes, outermost first, padded with extent 1.
// Elements of a row are x_stride apart, those of its results out_stride.

fn coordinates(index: u32, extents: vec4<u32>) -> vec4<u32> {
    let b = index / extents.w;
    let c = b / extents.z;
    let d = c / extents.y;
    return vec4<u32>(d, c - d * extents.y, b - c * extents.z, index - b * extents.w);
}
