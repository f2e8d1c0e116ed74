// matmul_dyn_tiled.wgsl -- matrix product of two activations, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/dynamic.wgsl.
//
// A workgroup of 128 owns 32 x 64 outputs, an invocation 4 x 4 of them in registers. Tiles of 16 k go through
// workgroup memory: a as vec4 of the rows i, i + 8, i + 16, i + 24, c likewise of columns i + 16 j. Each operand
// is read along k when its k stride is 1, along its other dimension otherwise. The next tile is fetched into registers
// while this one is multiplied. k runs upwards in every sum; a k past the end contributes 0 * 0.
// Padded rows avoid bank conflicts.

const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
// Of 128 invocations: what each fetches of a tile of c.
const C_FETCHES: u32 = 2u;

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
    let b = batch_of(group.z);
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
    let ak = select(local / 8u, local % 16u, a_along_k);
    let ai = select(local % 8u, local / 16u, a_along_k);
    let a_row = a_base + min(tile_m + ai + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(last_m)) * params.a_stride_m;
    var ck: array<u32, C_FETCHES>; // registers
    var ci: array<u32, C_FETCHES>; // registers
    var c_column: array<vec4<u32>, C_FETCHES>; // registers
    for (var f = 0u; f < C_FETCHES; f += 1u) { // unroll
        ck[f] = select((local + f * 128u) / 16u, (local + f * 128u) % 16u, c_along_k);
        ci[f] = select((local + f * 128u) % 16u, (local + f * 128u) / 16u, c_along_k);
        c_column[f] =
            c_base + min(tile_n + ci[f] + vec4<u32>(0u, 16u, 32u, 48u), vec4<u32>(last_n)) * params.c_stride_n;
    }

    // What it computes: lanes follow the contiguous dimension of the result.
    let lanes_along_m = params.out_stride_m == 1u && params.out_stride_n != 1u;
    let ty = select(local / 16u, local % 8u, lanes_along_m);
    let tx = select(local % 16u, local / 8u, lanes_along_m);
    var acc: array<vec4<f32>, 4>; // registers

    var next_a = load_a(a_row, ak);
    var next_c: array<vec4<f32>, C_FETCHES>; // registers
    for (var f = 0u; f < C_FETCHES; f += 1u) { // unroll
        next_c[f] = load_c(c_column[f], ck[f]);
    }
    for (var k0 = 0u; k0 < k_end; k0 += TILE_K) {
        workgroupBarrier();
        a_tile[ak][ai] = next_a;
        for (var f = 0u; f < C_FETCHES; f += 1u) { // unroll
            c_tile[ck[f]][ci[f]] = next_c[f];
        }
        workgroupBarrier();
        if (k0 + TILE_K < k_end) {
            let k1 = k0 + TILE_K;
            next_a = load_a(a_row, k1 + ak);
            for (var f = 0u; f < C_FETCHES; f += 1u) { // unroll
                next_c[f] = load_c(c_column[f], k1 + ck[f]);
            }
        }
        for (var k = 0u; k < TILE_K; k += 1u) { // unroll
            let x = a_tile[k][ty];
            let y = c_tile[k][tx];
            acc[0] += x.x * y;
            acc[1] += x.y * y;
            acc[2] += x.z * y;
            acc[3] += x.w * y;
        }
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var i = 0u; i < 4u; i += 1u) {
        let m = tile_m + ty + i * 8u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = tile_n + tx + j * 16u;
            if (m < params.m && column < params.n) {
                out[out_base + m * params.out_stride_m + column * params.out_stride_n] =
                    epilogue(acc[0].x, group.z, m, column);
            }
            acc[0] = acc[0].yzwx;
        }
        acc[0] = acc[1];
        acc[1] = acc[2];
        acc[2] = acc[3];
    }
}
