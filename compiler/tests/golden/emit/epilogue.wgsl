@group(0) @binding(4) var<storage, read_write> operand_0: array<f32>;
@group(0) @binding(5) var<storage, read_write> operand_1: array<u32>;
fn epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32 {
let p0 = params.operands[0];
let x1 = operand_0[p0.x + batch * p0.y + m * p0.z + n * p0.w];
let p1 = params.operands[1];
let x2 = operand_1[p1.x + batch * p1.y + m * p1.z + n * p1.w] != 0u;
let r0 = value + x1;
let r1 = 0.5f;
let r2 = select(r1, value, x2);
let r3 = r0 * r2;
let r4 = gelu_erf_f32(r3);
return r4;
}
