// matmul_dyn_wide.wgsl -- matrix product of two activations.
//
// Formula:   out[b, m, n] = epilogue(sum_k a[b, m, k] * c[b, k, n])
// Bindings:  2 out, 3 a, 4 c: f32, any strides (stride 0 broadcasts); offsets and strides in elements.
// Dispatch:  (ceil(m / TILE_M), ceil(n / TILE_N), batches); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
// Expects:   epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32  (batch = z).
//
// The tile for software adapters (registers are memory there); everything but the tile constants, results included, is
// that of matmul_dyn_tiled.wgsl.
//
// One invocation owns 16 rows x 16 columns in registers; lanes run along m. No barrier: see matmul.wgsl.

struct Params {
    m: u32, n: u32, k: u32, batch_1: u32,
    batch_2: u32, a_offset: u32, a_stride_m: u32, a_stride_k: u32,
    c_offset: u32, c_stride_k: u32, c_stride_n: u32, out_offset: u32,
    out_stride_m: u32, out_stride_n: u32, pad_0: u32, pad_1: u32,
    a_batch_stride: vec4<u32>,
    c_batch_stride: vec4<u32>,
    out_batch_stride: vec4<u32>,
    operands: array<vec4<u32>, 4>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

const TILE_M: u32 = 128u;
const TILE_N: u32 = 64u;

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let a_base = params.a_offset + dot(b, params.a_batch_stride.xyz);
    let c_base = params.c_offset + dot(b, params.c_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = group.x * TILE_M + local.x;
    let n = group.y * TILE_N + local.y * 16u;
    let active_invocation = m < params.m && n < params.n;
    // An invocation without work has an empty loop instead of an early return.
    let k_end = select(0u, params.k, active_invocation);
    let a_step = params.a_stride_k;
    let c_step = params.c_stride_k;
    var i0 = a_base + min(m + 0u, params.m - 1u) * params.a_stride_m;
    var i1 = a_base + min(m + 8u, params.m - 1u) * params.a_stride_m;
    var i2 = a_base + min(m + 16u, params.m - 1u) * params.a_stride_m;
    var i3 = a_base + min(m + 24u, params.m - 1u) * params.a_stride_m;
    var i4 = a_base + min(m + 32u, params.m - 1u) * params.a_stride_m;
    var i5 = a_base + min(m + 40u, params.m - 1u) * params.a_stride_m;
    var i6 = a_base + min(m + 48u, params.m - 1u) * params.a_stride_m;
    var i7 = a_base + min(m + 56u, params.m - 1u) * params.a_stride_m;
    var i8 = a_base + min(m + 64u, params.m - 1u) * params.a_stride_m;
    var i9 = a_base + min(m + 72u, params.m - 1u) * params.a_stride_m;
    var i10 = a_base + min(m + 80u, params.m - 1u) * params.a_stride_m;
    var i11 = a_base + min(m + 88u, params.m - 1u) * params.a_stride_m;
    var i12 = a_base + min(m + 96u, params.m - 1u) * params.a_stride_m;
    var i13 = a_base + min(m + 104u, params.m - 1u) * params.a_stride_m;
    var i14 = a_base + min(m + 112u, params.m - 1u) * params.a_stride_m;
    var i15 = a_base + min(m + 120u, params.m - 1u) * params.a_stride_m;
    let j0 = c_base + min(n + 0u, params.n - 1u) * params.c_stride_n;
    let j1 = c_base + min(n + 1u, params.n - 1u) * params.c_stride_n;
    let j2 = c_base + min(n + 2u, params.n - 1u) * params.c_stride_n;
    let j3 = c_base + min(n + 3u, params.n - 1u) * params.c_stride_n;
    let j4 = c_base + min(n + 4u, params.n - 1u) * params.c_stride_n;
    let j5 = c_base + min(n + 5u, params.n - 1u) * params.c_stride_n;
    let j6 = c_base + min(n + 6u, params.n - 1u) * params.c_stride_n;
    let j7 = c_base + min(n + 7u, params.n - 1u) * params.c_stride_n;
    let j8 = c_base + min(n + 8u, params.n - 1u) * params.c_stride_n;
    let j9 = c_base + min(n + 9u, params.n - 1u) * params.c_stride_n;
    let j10 = c_base + min(n + 10u, params.n - 1u) * params.c_stride_n;
    let j11 = c_base + min(n + 11u, params.n - 1u) * params.c_stride_n;
    let j12 = c_base + min(n + 12u, params.n - 1u) * params.c_stride_n;
    let j13 = c_base + min(n + 13u, params.n - 1u) * params.c_stride_n;
    let j14 = c_base + min(n + 14u, params.n - 1u) * params.c_stride_n;
    let j15 = c_base + min(n + 15u, params.n - 1u) * params.c_stride_n;
    var c_row = 0u;

    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();
    var a0_2 = vec4<f32>();
    var a0_3 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();
    var a4_0 = vec4<f32>();
    var a4_1 = vec4<f32>();
    var a4_2 = vec4<f32>();
    var a4_3 = vec4<f32>();
    var a5_0 = vec4<f32>();
    var a5_1 = vec4<f32>();
    var a5_2 = vec4<f32>();
    var a5_3 = vec4<f32>();
    var a6_0 = vec4<f32>();
    var a6_1 = vec4<f32>();
    var a6_2 = vec4<f32>();
    var a6_3 = vec4<f32>();
    var a7_0 = vec4<f32>();
    var a7_1 = vec4<f32>();
    var a7_2 = vec4<f32>();
    var a7_3 = vec4<f32>();
    var a8_0 = vec4<f32>();
    var a8_1 = vec4<f32>();
    var a8_2 = vec4<f32>();
    var a8_3 = vec4<f32>();
    var a9_0 = vec4<f32>();
    var a9_1 = vec4<f32>();
    var a9_2 = vec4<f32>();
    var a9_3 = vec4<f32>();
    var a10_0 = vec4<f32>();
    var a10_1 = vec4<f32>();
    var a10_2 = vec4<f32>();
    var a10_3 = vec4<f32>();
    var a11_0 = vec4<f32>();
    var a11_1 = vec4<f32>();
    var a11_2 = vec4<f32>();
    var a11_3 = vec4<f32>();
    var a12_0 = vec4<f32>();
    var a12_1 = vec4<f32>();
    var a12_2 = vec4<f32>();
    var a12_3 = vec4<f32>();
    var a13_0 = vec4<f32>();
    var a13_1 = vec4<f32>();
    var a13_2 = vec4<f32>();
    var a13_3 = vec4<f32>();
    var a14_0 = vec4<f32>();
    var a14_1 = vec4<f32>();
    var a14_2 = vec4<f32>();
    var a14_3 = vec4<f32>();
    var a15_0 = vec4<f32>();
    var a15_1 = vec4<f32>();
    var a15_2 = vec4<f32>();
    var a15_3 = vec4<f32>();

    for (var k = 0u; k < k_end; k += 1u) {
        let x0 = a[i0];
        i0 += a_step;
        let x1 = a[i1];
        i1 += a_step;
        let x2 = a[i2];
        i2 += a_step;
        let x3 = a[i3];
        i3 += a_step;
        let x4 = a[i4];
        i4 += a_step;
        let x5 = a[i5];
        i5 += a_step;
        let x6 = a[i6];
        i6 += a_step;
        let x7 = a[i7];
        i7 += a_step;
        let x8 = a[i8];
        i8 += a_step;
        let x9 = a[i9];
        i9 += a_step;
        let x10 = a[i10];
        i10 += a_step;
        let x11 = a[i11];
        i11 += a_step;
        let x12 = a[i12];
        i12 += a_step;
        let x13 = a[i13];
        i13 += a_step;
        let x14 = a[i14];
        i14 += a_step;
        let x15 = a[i15];
        i15 += a_step;
        let y0 = vec4<f32>(c[j0 + c_row], c[j1 + c_row], c[j2 + c_row], c[j3 + c_row]);
        a0_0 += x0 * y0;
        a1_0 += x1 * y0;
        a2_0 += x2 * y0;
        a3_0 += x3 * y0;
        a4_0 += x4 * y0;
        a5_0 += x5 * y0;
        a6_0 += x6 * y0;
        a7_0 += x7 * y0;
        a8_0 += x8 * y0;
        a9_0 += x9 * y0;
        a10_0 += x10 * y0;
        a11_0 += x11 * y0;
        a12_0 += x12 * y0;
        a13_0 += x13 * y0;
        a14_0 += x14 * y0;
        a15_0 += x15 * y0;
        let y1 = vec4<f32>(c[j4 + c_row], c[j5 + c_row], c[j6 + c_row], c[j7 + c_row]);
        a0_1 += x0 * y1;
        a1_1 += x1 * y1;
        a2_1 += x2 * y1;
        a3_1 += x3 * y1;
        a4_1 += x4 * y1;
        a5_1 += x5 * y1;
        a6_1 += x6 * y1;
        a7_1 += x7 * y1;
        a8_1 += x8 * y1;
        a9_1 += x9 * y1;
        a10_1 += x10 * y1;
        a11_1 += x11 * y1;
        a12_1 += x12 * y1;
        a13_1 += x13 * y1;
        a14_1 += x14 * y1;
        a15_1 += x15 * y1;
        let y2 = vec4<f32>(c[j8 + c_row], c[j9 + c_row], c[j10 + c_row], c[j11 + c_row]);
        a0_2 += x0 * y2;
        a1_2 += x1 * y2;
        a2_2 += x2 * y2;
        a3_2 += x3 * y2;
        a4_2 += x4 * y2;
        a5_2 += x5 * y2;
        a6_2 += x6 * y2;
        a7_2 += x7 * y2;
        a8_2 += x8 * y2;
        a9_2 += x9 * y2;
        a10_2 += x10 * y2;
        a11_2 += x11 * y2;
        a12_2 += x12 * y2;
        a13_2 += x13 * y2;
        a14_2 += x14 * y2;
        a15_2 += x15 * y2;
        let y3 = vec4<f32>(c[j12 + c_row], c[j13 + c_row], c[j14 + c_row], c[j15 + c_row]);
        a0_3 += x0 * y3;
        a1_3 += x1 * y3;
        a2_3 += x2 * y3;
        a3_3 += x3 * y3;
        a4_3 += x4 * y3;
        a5_3 += x5 * y3;
        a6_3 += x6 * y3;
        a7_3 += x7 * y3;
        a8_3 += x8 * y3;
        a9_3 += x9 * y3;
        a10_3 += x10 * y3;
        a11_3 += x11 * y3;
        a12_3 += x12 * y3;
        a13_3 += x13 * y3;
        a14_3 += x14 * y3;
        a15_3 += x15 * y3;
        c_row += c_step;
    }

    if (active_invocation) {
        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        for (var t = 0u; t < 16u; t += 4u) {
            var v0 = a0_0;
            var v1 = a1_0;
            var v2 = a2_0;
            var v3 = a3_0;
            var v4 = a4_0;
            var v5 = a5_0;
            var v6 = a6_0;
            var v7 = a7_0;
            var v8 = a8_0;
            var v9 = a9_0;
            var v10 = a10_0;
            var v11 = a11_0;
            var v12 = a12_0;
            var v13 = a13_0;
            var v14 = a14_0;
            var v15 = a15_0;
            for (var r = 0u; r < 16u; r += 1u) {
                let row_m = m + r * 8u;
                let columns = select(0u, params.n - n, row_m < params.m);
                for (var c = t; c < t + 4u; c += 1u) {
                    if (c < columns) {
                        out[out_base + row_m * params.out_stride_m + (n + c) * params.out_stride_n] =
                            epilogue(v0.x, group.z, row_m, n + c);
                    }
                    v0 = v0.yzwx;
                }
                v0 = v1;
                v1 = v2;
                v2 = v3;
                v3 = v4;
                v4 = v5;
                v5 = v6;
                v6 = v7;
                v7 = v8;
                v8 = v9;
                v9 = v10;
                v10 = v11;
                v11 = v12;
                v12 = v13;
                v13 = v14;
                v14 = v15;
            }
            a0_0 = a0_1;
            a0_1 = a0_2;
            a0_2 = a0_3;
            a1_0 = a1_1;
            a1_1 = a1_2;
            a1_2 = a1_3;
            a2_0 = a2_1;
            a2_1 = a2_2;
            a2_2 = a2_3;
            a3_0 = a3_1;
            a3_1 = a3_2;
            a3_2 = a3_3;
            a4_0 = a4_1;
            a4_1 = a4_2;
            a4_2 = a4_3;
            a5_0 = a5_1;
            a5_1 = a5_2;
            a5_2 = a5_3;
            a6_0 = a6_1;
            a6_1 = a6_2;
            a6_2 = a6_3;
            a7_0 = a7_1;
            a7_1 = a7_2;
            a7_2 = a7_3;
            a8_0 = a8_1;
            a8_1 = a8_2;
            a8_2 = a8_3;
            a9_0 = a9_1;
            a9_1 = a9_2;
            a9_2 = a9_3;
            a10_0 = a10_1;
            a10_1 = a10_2;
            a10_2 = a10_3;
            a11_0 = a11_1;
            a11_1 = a11_2;
            a11_2 = a11_3;
            a12_0 = a12_1;
            a12_1 = a12_2;
            a12_2 = a12_3;
            a13_0 = a13_1;
            a13_1 = a13_2;
            a13_2 = a13_3;
            a14_0 = a14_1;
            a14_1 = a14_2;
            a14_2 = a14_3;
            a15_0 = a15_1;
            a15_1 = a15_2;
            a15_2 = a15_3;
        }
    }
}
