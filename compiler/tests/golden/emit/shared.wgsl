@group(0) @binding(3) var<storage, read_write> operand_0: array<u32>;
@group(0) @binding(4) var<storage, read_write> operand_1: array<f32>;
fn pointwise(near: vec4<u32>, far: vec4<u32>) -> u32 {
let x0 = operand_0[element(0u, near, far)] != 0u;
let x1 = operand_1[element(1u, near, far)];
let x2 = operand_1[element(2u, near, far)];
let r0 = select(x2, x1, x0);
return bitcast<u32>(r0);
}
