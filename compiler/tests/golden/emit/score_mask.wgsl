@group(0) @binding(6) var<storage, read_write> operand_0: array<f32>;
fn score_mask(score: f32, batch: u32, head: u32, i: u32, j: u32) -> f32 {
let x1 = operand_0[params.score_offsets[0u] + dot(vec4<u32>(batch, head, i, j), params.score_strides[0u])];
let r0 = score + x1;
return r0;
}
fn epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32 {
return value;
}
