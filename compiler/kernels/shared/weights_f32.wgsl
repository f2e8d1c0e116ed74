// weights_f32.wgsl -- weights as 32-bit floats. A texel holds four columns.

// Steps of k in a texel.
const DEPTH: u32 = 1u;

// The four columns of a texel at one of its steps.
fn decoded(raw: vec4<u32>, step: u32) -> vec4<f32> { return bitcast<vec4<f32>>(raw); }
