// rows.wgsl -- the coordinates of a row or column by its number, over four merged axes, outermost first.

fn coordinates(index: u32, extents: vec4<u32>) -> vec4<u32> {
    let b = index / extents.w;
    let c = b / extents.z;
    let d = c / extents.y;
    return vec4<u32>(d, c - d * extents.y, b - c * extents.z, index - b * extents.w);
}
