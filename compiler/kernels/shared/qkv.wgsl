// qkv.wgsl -- the parameters, the output and the operands of attention: queries, keys and values.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> k: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;

const LOWEST: f32 = -3.4028234e38;
const FOUR: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

// e^x; the clamp keeps the argument finite and still underflows to zero. NaN stays NaN, which the clamp may lose.
fn exponential(x: vec4<f32>) -> vec4<f32> {
    let is_nan = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(exp(max(x, vec4<f32>(-200.0))), x, is_nan);
}
