// half_scales.wgsl -- powers of two that bring blocks of f32 into the range of halves.
//
// Expects:   largest, an array of atomic<u32> in workgroup memory: for every block the bits of the largest absolute value so far,
//            what is not finite apart; 0 at first.

// The bits of infinity: those of what is not finite are no fewer.
const INFINITE: u32 = 0x7f800000u;

// Whether any of four absolute values is not finite.
fn any_not_finite(size: vec4<f32>) -> bool { return any(bitcast<vec4<u32>>(size) >= vec4<u32>(INFINITE)); }

// Absolute values of what is finite, 0 for the others.
fn finite(value: vec4<f32>) -> vec4<f32> {
    let size = abs(value);
    return select(vec4<f32>(), size, bitcast<vec4<u32>>(size) < vec4<u32>(INFINITE));
}

// Takes four sizes into the largest of their block.
fn raise(block: u32, size: vec4<f32>) {
    let most = bitcast<u32>(max(max(size.x, size.y), max(size.z, size.w)));
    if (most > atomicLoad(&largest[block])) { atomicMax(&largest[block], most); }
}

// 2^14 / 2^e for a block whose largest value is from 2^e up, as far as the power and its inverse are normal.
fn scale_of(block: u32) -> f32 { return bitcast<f32>((268u - max(atomicLoad(&largest[block]) >> 23u, 15u)) << 23u); }

// 1 / scale, exactly.
fn inverse_of(scale: f32) -> f32 { return bitcast<f32>((254u << 23u) - bitcast<u32>(scale)); }
