// weights_f16.wgsl -- weights as 16-bit floats. A texel holds four columns at two steps of k, the first in the low half of each word.

// Steps of k in a texel.
const DEPTH: u32 = 2u;

// The four columns of a texel at one of its steps. Where the step is constant, so is what is chosen here.
fn decoded(raw: vec4<u32>, step: u32) -> vec4<f32> {
    let x = unpack2x16float(raw.x);
    let y = unpack2x16float(raw.y);
    let z = unpack2x16float(raw.z);
    let w = unpack2x16float(raw.w);
    return select(vec4<f32>(x.x, y.x, z.x, w.x), vec4<f32>(x.y, y.y, z.y, w.y), step == 1u);
}
