// matmul_dyn_tiled.wgsl -- matrix product of two activations, for GPUs with workgroup memory.
//
// Formula, bindings, parameters and linked functions: exactly those of matmul_dyn_wide.wgsl.
// Dispatch:  (ceil(m / TILE_M), ceil(n / TILE_N), batches); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
//
// A workgroup of 128 owns 32 x 64 outputs, an invocation 4 x 4 of them in registers. Tiles of 16 k go through
// workgroup memory: a as vec4 of the rows i, i + 8, i + 16, i + 24, c likewise of columns i + 16 j. Each operand
// is read along k when its k stride is 1, along its other dimension otherwise. The next tile is fetched into registers
// while this one is multiplied. k runs upwards in every sum; a k past the end contributes 0 * 0.
// Padded rows avoid bank conflicts.

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

const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;

var<workgroup> a_tile: array<array<vec4<f32>, 9>, 16>;
var<workgroup> c_tile: array<array<vec4<f32>, 17>, 16>;

fn load_a(row: vec4<u32>, k: u32) -> vec4<f32> {
    let i = row + min(k, params.k - 1u) * params.a_stride_k;
    return select(vec4<f32>(), vec4<f32>(a[i.x], a[i.y], a[i.z], a[i.w]), k < params.k);
}

fn load_c(column: vec4<u32>, k: u32) -> vec4<f32> {
    let i = column + min(k, params.k - 1u) * params.c_stride_k;
    return select(vec4<f32>(), vec4<f32>(c[i.x], c[i.y], c[i.z], c[i.w]), k < params.k);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let a_base = params.a_offset + dot(b, params.a_batch_stride.xyz);
    let c_base = params.c_offset + dot(b, params.c_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let tile_m = group.x * TILE_M;
    let tile_n = group.y * TILE_N;
    let k_end = params.k;
    let last_m = params.m - 1u;
    let last_n = params.n - 1u;

    // What this invocation fetches; lanes follow the contiguous dimension.
    let a_along_k = params.a_stride_k == 1u;
    let c_along_k = params.c_stride_k == 1u;
    let ak0 = select(local / 8u, local % 16u, a_along_k);
    let ai0 = select(local % 8u, local / 16u, a_along_k);
    let a_row0 = a_base
        + min(tile_m + ai0 + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(last_m)) * params.a_stride_m;
    let ck0 = select(local / 16u, local % 16u, c_along_k);
    let ci0 = select(local % 16u, local / 16u, c_along_k);
    let c_column0 = c_base
        + min(tile_n + ci0 + vec4<u32>(0u, 16u, 32u, 48u), vec4<u32>(last_n)) * params.c_stride_n;
    let ck1 = select((local + 128u) / 16u, (local + 128u) % 16u, c_along_k);
    let ci1 = select((local + 128u) % 16u, (local + 128u) / 16u, c_along_k);
    let c_column1 = c_base
        + min(tile_n + ci1 + vec4<u32>(0u, 16u, 32u, 48u), vec4<u32>(last_n)) * params.c_stride_n;

    // What it computes: lanes follow the contiguous dimension of the result.
    let lanes_along_m = params.out_stride_m == 1u && params.out_stride_n != 1u;
    let ty = select(local / 16u, local % 8u, lanes_along_m);
    let tx = select(local % 16u, local / 8u, lanes_along_m);
    var a0_0 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a3_0 = vec4<f32>();

    var next_x0 = load_a(a_row0, ak0);
    var next_w0 = load_c(c_column0, ck0);
    var next_w1 = load_c(c_column1, ck1);
    for (var k0 = 0u; k0 < k_end; k0 += TILE_K) {
        workgroupBarrier();
        a_tile[ak0][ai0] = next_x0;
        c_tile[ck0][ci0] = next_w0;
        c_tile[ck1][ci1] = next_w1;
        workgroupBarrier();
        if (k0 + TILE_K < k_end) {
            let k1 = k0 + TILE_K;
            next_x0 = load_a(a_row0, k1 + ak0);
            next_w0 = load_c(c_column0, k1 + ck0);
            next_w1 = load_c(c_column1, k1 + ck1);
        }
        let x0_0 = a_tile[0][ty];
        let w0_0 = c_tile[0][tx];
        a0_0 += x0_0.x * w0_0;
        a1_0 += x0_0.y * w0_0;
        a2_0 += x0_0.z * w0_0;
        a3_0 += x0_0.w * w0_0;
        let x1_0 = a_tile[1][ty];
        let w1_0 = c_tile[1][tx];
        a0_0 += x1_0.x * w1_0;
        a1_0 += x1_0.y * w1_0;
        a2_0 += x1_0.z * w1_0;
        a3_0 += x1_0.w * w1_0;
        let x2_0 = a_tile[2][ty];
        let w2_0 = c_tile[2][tx];
        a0_0 += x2_0.x * w2_0;
        a1_0 += x2_0.y * w2_0;
        a2_0 += x2_0.z * w2_0;
        a3_0 += x2_0.w * w2_0;
        let x3_0 = a_tile[3][ty];
        let w3_0 = c_tile[3][tx];
        a0_0 += x3_0.x * w3_0;
        a1_0 += x3_0.y * w3_0;
        a2_0 += x3_0.z * w3_0;
        a3_0 += x3_0.w * w3_0;
        let x4_0 = a_tile[4][ty];
        let w4_0 = c_tile[4][tx];
        a0_0 += x4_0.x * w4_0;
        a1_0 += x4_0.y * w4_0;
        a2_0 += x4_0.z * w4_0;
        a3_0 += x4_0.w * w4_0;
        let x5_0 = a_tile[5][ty];
        let w5_0 = c_tile[5][tx];
        a0_0 += x5_0.x * w5_0;
        a1_0 += x5_0.y * w5_0;
        a2_0 += x5_0.z * w5_0;
        a3_0 += x5_0.w * w5_0;
        let x6_0 = a_tile[6][ty];
        let w6_0 = c_tile[6][tx];
        a0_0 += x6_0.x * w6_0;
        a1_0 += x6_0.y * w6_0;
        a2_0 += x6_0.z * w6_0;
        a3_0 += x6_0.w * w6_0;
        let x7_0 = a_tile[7][ty];
        let w7_0 = c_tile[7][tx];
        a0_0 += x7_0.x * w7_0;
        a1_0 += x7_0.y * w7_0;
        a2_0 += x7_0.z * w7_0;
        a3_0 += x7_0.w * w7_0;
        let x8_0 = a_tile[8][ty];
        let w8_0 = c_tile[8][tx];
        a0_0 += x8_0.x * w8_0;
        a1_0 += x8_0.y * w8_0;
        a2_0 += x8_0.z * w8_0;
        a3_0 += x8_0.w * w8_0;
        let x9_0 = a_tile[9][ty];
        let w9_0 = c_tile[9][tx];
        a0_0 += x9_0.x * w9_0;
        a1_0 += x9_0.y * w9_0;
        a2_0 += x9_0.z * w9_0;
        a3_0 += x9_0.w * w9_0;
        let x10_0 = a_tile[10][ty];
        let w10_0 = c_tile[10][tx];
        a0_0 += x10_0.x * w10_0;
        a1_0 += x10_0.y * w10_0;
        a2_0 += x10_0.z * w10_0;
        a3_0 += x10_0.w * w10_0;
        let x11_0 = a_tile[11][ty];
        let w11_0 = c_tile[11][tx];
        a0_0 += x11_0.x * w11_0;
        a1_0 += x11_0.y * w11_0;
        a2_0 += x11_0.z * w11_0;
        a3_0 += x11_0.w * w11_0;
        let x12_0 = a_tile[12][ty];
        let w12_0 = c_tile[12][tx];
        a0_0 += x12_0.x * w12_0;
        a1_0 += x12_0.y * w12_0;
        a2_0 += x12_0.z * w12_0;
        a3_0 += x12_0.w * w12_0;
        let x13_0 = a_tile[13][ty];
        let w13_0 = c_tile[13][tx];
        a0_0 += x13_0.x * w13_0;
        a1_0 += x13_0.y * w13_0;
        a2_0 += x13_0.z * w13_0;
        a3_0 += x13_0.w * w13_0;
        let x14_0 = a_tile[14][ty];
        let w14_0 = c_tile[14][tx];
        a0_0 += x14_0.x * w14_0;
        a1_0 += x14_0.y * w14_0;
        a2_0 += x14_0.z * w14_0;
        a3_0 += x14_0.w * w14_0;
        let x15_0 = a_tile[15][ty];
        let w15_0 = c_tile[15][tx];
        a0_0 += x15_0.x * w15_0;
        a1_0 += x15_0.y * w15_0;
        a2_0 += x15_0.z * w15_0;
        a3_0 += x15_0.w * w15_0;
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    var v0 = a0_0;
    var v1 = a1_0;
    var v2 = a2_0;
    var v3 = a3_0;
    for (var i = 0u; i < 4u; i += 1u) {
        let m = tile_m + ty + i * 8u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = tile_n + tx + j * 16u;
            if (m < params.m && column < params.n) {
                out[out_base + m * params.out_stride_m + column * params.out_stride_n] =
                    epilogue(v0.x, group.z, m, column);
            }
            v0 = v0.yzwx;
        }
        v0 = v1;
        v1 = v2;
        v2 = v3;
    }
}
