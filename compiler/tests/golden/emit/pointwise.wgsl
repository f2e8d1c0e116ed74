@group(0) @binding(3) var<storage, read_write> operand_0: array<f32>;
@group(0) @binding(4) var<storage, read_write> operand_1: array<f32>;
@group(0) @binding(5) var<storage, read_write> operand_2: array<u32>;
fn pointwise(near: vec4<u32>, far: vec4<u32>) -> u32 {
let x0 = operand_0[element(0u, near, far)];
let x1 = operand_1[element(1u, near, far)];
let x2 = operand_2[element(2u, near, far)] != 0u;
let r0 = x0 + x1;
let r1 = 0.5f;
let r2 = select(r1, x0, x2);
let r3 = r0 * r2;
let r4 = gelu_erf_f32(r3);
return bitcast<u32>(r4);
}
