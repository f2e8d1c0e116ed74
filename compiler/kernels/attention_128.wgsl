// attention_128.wgsl -- scaled dot-product attention with online softmax, head dimension at most 128.
//
// Formula:   s[j] = score_mask(scale * dot(q[b, h, i, :], k[b, h', j, :]), b, h, i, j)
//            out[b, h, i, :] = sum_j softmax_j(s)[j] * v[b, h', j, :]
//            h' = h / kv_group (1 unless key heads are shared); 0 <= i < rows, 0 <= j < keys.
// Bindings:  2 out, 3 q, 4 k, 5 v: f32; strides of (batch, head, row, d) in elements, any values.
// Dispatch:  (ceil(rows / TILE_ROWS), heads, batch).
// Expects:   score_mask(score: f32, batch: u32, head: u32, i: u32, j: u32) -> f32 (its bindings start at 6);
//            epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32 (m = i, n = head * head_dim + d).
//            Masked scores are finite (-3.4e38 and the like) or -infinity; at least one key of a row must have a score
//            above -infinity. With causal = 1, tiles whose keys all have j > i + causal_offset are skipped: score_mask
//            must mask these keys.
//
// A workgroup owns 32 query rows and walks over the keys in tiles of 32. Lanes run along rows, local y splits the
// keys of a tile for the scores, then the head dimension for the values. Only probabilities and partial maxima cross
// invocations.

struct Params {
    rows: u32, keys: u32, head_dim: u32, kv_group: u32,
    scale: f32, infinity: f32, empty_sum: f32, unused: u32,
    q_offset: u32, k_offset: u32, v_offset: u32, out_offset: u32,
    q_stride: vec4<u32>,
    k_stride: vec4<u32>,
    v_stride: vec4<u32>,
    out_stride: vec4<u32>,
    score_offsets: vec4<u32>,
    score_strides: array<vec4<u32>, 3>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> k: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;

const MAX_HEAD_DIM: u32 = 128u;
const TILE_ROWS: u32 = 32u;
const TILE_KEYS: u32 = 32u;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> probability: array<f32, 1024>;
var<workgroup> partial_max: array<f32, 128>;

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let batch = group.z;
    let head = group.y;
    let q_base = params.q_offset + batch * params.q_stride.x + head * params.q_stride.y;
    let k_base = params.k_offset + batch * params.k_stride.x + (head / params.kv_group) * params.k_stride.y;
    let v_base = params.v_offset + batch * params.v_stride.x + (head / params.kv_group) * params.v_stride.y;
    let lane = local.x;
    let first_row = group.x * TILE_ROWS;
    let last_key = params.keys - 1u;
    let first_d = local.y * 32u;

    let row0 = first_row + 0u + lane;
    let q0 = q_base + min(row0, params.rows - 1u) * params.q_stride.z;
    let row1 = first_row + 8u + lane;
    let q1 = q_base + min(row1, params.rows - 1u) * params.q_stride.z;
    let row2 = first_row + 16u + lane;
    let q2 = q_base + min(row2, params.rows - 1u) * params.q_stride.z;
    let row3 = first_row + 24u + lane;
    let q3 = q_base + min(row3, params.rows - 1u) * params.q_stride.z;
    let d0 = v_base + min(first_d + 0u, params.head_dim - 1u) * params.v_stride.w;
    let d1 = v_base + min(first_d + 1u, params.head_dim - 1u) * params.v_stride.w;
    let d2 = v_base + min(first_d + 2u, params.head_dim - 1u) * params.v_stride.w;
    let d3 = v_base + min(first_d + 3u, params.head_dim - 1u) * params.v_stride.w;
    let d4 = v_base + min(first_d + 4u, params.head_dim - 1u) * params.v_stride.w;
    let d5 = v_base + min(first_d + 5u, params.head_dim - 1u) * params.v_stride.w;
    let d6 = v_base + min(first_d + 6u, params.head_dim - 1u) * params.v_stride.w;
    let d7 = v_base + min(first_d + 7u, params.head_dim - 1u) * params.v_stride.w;
    let d8 = v_base + min(first_d + 8u, params.head_dim - 1u) * params.v_stride.w;
    let d9 = v_base + min(first_d + 9u, params.head_dim - 1u) * params.v_stride.w;
    let d10 = v_base + min(first_d + 10u, params.head_dim - 1u) * params.v_stride.w;
    let d11 = v_base + min(first_d + 11u, params.head_dim - 1u) * params.v_stride.w;
    let d12 = v_base + min(first_d + 12u, params.head_dim - 1u) * params.v_stride.w;
    let d13 = v_base + min(first_d + 13u, params.head_dim - 1u) * params.v_stride.w;
    let d14 = v_base + min(first_d + 14u, params.head_dim - 1u) * params.v_stride.w;
    let d15 = v_base + min(first_d + 15u, params.head_dim - 1u) * params.v_stride.w;
    let d16 = v_base + min(first_d + 16u, params.head_dim - 1u) * params.v_stride.w;
    let d17 = v_base + min(first_d + 17u, params.head_dim - 1u) * params.v_stride.w;
    let d18 = v_base + min(first_d + 18u, params.head_dim - 1u) * params.v_stride.w;
    let d19 = v_base + min(first_d + 19u, params.head_dim - 1u) * params.v_stride.w;
    let d20 = v_base + min(first_d + 20u, params.head_dim - 1u) * params.v_stride.w;
    let d21 = v_base + min(first_d + 21u, params.head_dim - 1u) * params.v_stride.w;
    let d22 = v_base + min(first_d + 22u, params.head_dim - 1u) * params.v_stride.w;
    let d23 = v_base + min(first_d + 23u, params.head_dim - 1u) * params.v_stride.w;
    let d24 = v_base + min(first_d + 24u, params.head_dim - 1u) * params.v_stride.w;
    let d25 = v_base + min(first_d + 25u, params.head_dim - 1u) * params.v_stride.w;
    let d26 = v_base + min(first_d + 26u, params.head_dim - 1u) * params.v_stride.w;
    let d27 = v_base + min(first_d + 27u, params.head_dim - 1u) * params.v_stride.w;
    let d28 = v_base + min(first_d + 28u, params.head_dim - 1u) * params.v_stride.w;
    let d29 = v_base + min(first_d + 29u, params.head_dim - 1u) * params.v_stride.w;
    let d30 = v_base + min(first_d + 30u, params.head_dim - 1u) * params.v_stride.w;
    let d31 = v_base + min(first_d + 31u, params.head_dim - 1u) * params.v_stride.w;

    var max0 = LOWEST;
    var sum0 = 0.0;
    var max1 = LOWEST;
    var sum1 = 0.0;
    var max2 = LOWEST;
    var sum2 = 0.0;
    var max3 = LOWEST;
    var sum3 = 0.0;
    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();
    var a0_2 = vec4<f32>();
    var a0_3 = vec4<f32>();
    var a0_4 = vec4<f32>();
    var a0_5 = vec4<f32>();
    var a0_6 = vec4<f32>();
    var a0_7 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a1_4 = vec4<f32>();
    var a1_5 = vec4<f32>();
    var a1_6 = vec4<f32>();
    var a1_7 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a2_4 = vec4<f32>();
    var a2_5 = vec4<f32>();
    var a2_6 = vec4<f32>();
    var a2_7 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();
    var a3_4 = vec4<f32>();
    var a3_5 = vec4<f32>();
    var a3_6 = vec4<f32>();
    var a3_7 = vec4<f32>();

    for (var tile = 0u; tile < params.keys; tile += TILE_KEYS) {
        // Scores of 4 rows and 8 keys.
        let key = tile + local.y * 8u;
        let k0 = k_base + min(key + 0u, last_key) * params.k_stride.z;
        let k1 = k_base + min(key + 1u, last_key) * params.k_stride.z;
        let k2 = k_base + min(key + 2u, last_key) * params.k_stride.z;
        let k3 = k_base + min(key + 3u, last_key) * params.k_stride.z;
        let k4 = k_base + min(key + 4u, last_key) * params.k_stride.z;
        let k5 = k_base + min(key + 5u, last_key) * params.k_stride.z;
        let k6 = k_base + min(key + 6u, last_key) * params.k_stride.z;
        let k7 = k_base + min(key + 7u, last_key) * params.k_stride.z;
        var s00 = vec4<f32>();
        var s01 = vec4<f32>();
        var s10 = vec4<f32>();
        var s11 = vec4<f32>();
        var s20 = vec4<f32>();
        var s21 = vec4<f32>();
        var s30 = vec4<f32>();
        var s31 = vec4<f32>();
        for (var d = 0u; d < params.head_dim; d += 1u) {
            let k_d = d * params.k_stride.w;
            let q_d = d * params.q_stride.w;
            let y0 = vec4<f32>(k[k0 + k_d], k[k1 + k_d], k[k2 + k_d], k[k3 + k_d]);
            let y1 = vec4<f32>(k[k4 + k_d], k[k5 + k_d], k[k6 + k_d], k[k7 + k_d]);
            let x0 = q[q0 + q_d];
            s00 += x0 * y0;
            s01 += x0 * y1;
            let x1 = q[q1 + q_d];
            s10 += x1 * y0;
            s11 += x1 * y1;
            let x2 = q[q2 + q_d];
            s20 += x2 * y0;
            s21 += x2 * y1;
            let x3 = q[q3 + q_d];
            s30 += x3 * y0;
            s31 += x3 * y1;
        }
        s00 = masked(s00, batch, head, row0, key + 0u);
        s01 = masked(s01, batch, head, row0, key + 4u);
        partial_max[local.y * TILE_ROWS + 0u + lane] = max(highest(s00), highest(s01));
        s10 = masked(s10, batch, head, row1, key + 0u);
        s11 = masked(s11, batch, head, row1, key + 4u);
        partial_max[local.y * TILE_ROWS + 8u + lane] = max(highest(s10), highest(s11));
        s20 = masked(s20, batch, head, row2, key + 0u);
        s21 = masked(s21, batch, head, row2, key + 4u);
        partial_max[local.y * TILE_ROWS + 16u + lane] = max(highest(s20), highest(s21));
        s30 = masked(s30, batch, head, row3, key + 0u);
        s31 = masked(s31, batch, head, row3, key + 4u);
        partial_max[local.y * TILE_ROWS + 24u + lane] = max(highest(s30), highest(s31));
        workgroupBarrier();

        // Probabilities relative to the new maximum of each row.
        var top0 = max0;
        top0 = max(top0, partial_max[0u + lane]);
        top0 = max(top0, partial_max[32u + lane]);
        top0 = max(top0, partial_max[64u + lane]);
        top0 = max(top0, partial_max[96u + lane]);
        let rescale0 = exp(max(max0 - top0, -200.0));
        max0 = top0;
        sum0 *= rescale0;
        a0_0 *= rescale0;
        a0_1 *= rescale0;
        a0_2 *= rescale0;
        a0_3 *= rescale0;
        a0_4 *= rescale0;
        a0_5 *= rescale0;
        a0_6 *= rescale0;
        a0_7 *= rescale0;
        let p00 = probabilities(s00, max0);
        probability[(local.y * 8u + 0u) * TILE_ROWS + 0u + lane] = p00.x;
        probability[(local.y * 8u + 1u) * TILE_ROWS + 0u + lane] = p00.y;
        probability[(local.y * 8u + 2u) * TILE_ROWS + 0u + lane] = p00.z;
        probability[(local.y * 8u + 3u) * TILE_ROWS + 0u + lane] = p00.w;
        let p01 = probabilities(s01, max0);
        probability[(local.y * 8u + 4u) * TILE_ROWS + 0u + lane] = p01.x;
        probability[(local.y * 8u + 5u) * TILE_ROWS + 0u + lane] = p01.y;
        probability[(local.y * 8u + 6u) * TILE_ROWS + 0u + lane] = p01.z;
        probability[(local.y * 8u + 7u) * TILE_ROWS + 0u + lane] = p01.w;
        var top1 = max1;
        top1 = max(top1, partial_max[8u + lane]);
        top1 = max(top1, partial_max[40u + lane]);
        top1 = max(top1, partial_max[72u + lane]);
        top1 = max(top1, partial_max[104u + lane]);
        let rescale1 = exp(max(max1 - top1, -200.0));
        max1 = top1;
        sum1 *= rescale1;
        a1_0 *= rescale1;
        a1_1 *= rescale1;
        a1_2 *= rescale1;
        a1_3 *= rescale1;
        a1_4 *= rescale1;
        a1_5 *= rescale1;
        a1_6 *= rescale1;
        a1_7 *= rescale1;
        let p10 = probabilities(s10, max1);
        probability[(local.y * 8u + 0u) * TILE_ROWS + 8u + lane] = p10.x;
        probability[(local.y * 8u + 1u) * TILE_ROWS + 8u + lane] = p10.y;
        probability[(local.y * 8u + 2u) * TILE_ROWS + 8u + lane] = p10.z;
        probability[(local.y * 8u + 3u) * TILE_ROWS + 8u + lane] = p10.w;
        let p11 = probabilities(s11, max1);
        probability[(local.y * 8u + 4u) * TILE_ROWS + 8u + lane] = p11.x;
        probability[(local.y * 8u + 5u) * TILE_ROWS + 8u + lane] = p11.y;
        probability[(local.y * 8u + 6u) * TILE_ROWS + 8u + lane] = p11.z;
        probability[(local.y * 8u + 7u) * TILE_ROWS + 8u + lane] = p11.w;
        var top2 = max2;
        top2 = max(top2, partial_max[16u + lane]);
        top2 = max(top2, partial_max[48u + lane]);
        top2 = max(top2, partial_max[80u + lane]);
        top2 = max(top2, partial_max[112u + lane]);
        let rescale2 = exp(max(max2 - top2, -200.0));
        max2 = top2;
        sum2 *= rescale2;
        a2_0 *= rescale2;
        a2_1 *= rescale2;
        a2_2 *= rescale2;
        a2_3 *= rescale2;
        a2_4 *= rescale2;
        a2_5 *= rescale2;
        a2_6 *= rescale2;
        a2_7 *= rescale2;
        let p20 = probabilities(s20, max2);
        probability[(local.y * 8u + 0u) * TILE_ROWS + 16u + lane] = p20.x;
        probability[(local.y * 8u + 1u) * TILE_ROWS + 16u + lane] = p20.y;
        probability[(local.y * 8u + 2u) * TILE_ROWS + 16u + lane] = p20.z;
        probability[(local.y * 8u + 3u) * TILE_ROWS + 16u + lane] = p20.w;
        let p21 = probabilities(s21, max2);
        probability[(local.y * 8u + 4u) * TILE_ROWS + 16u + lane] = p21.x;
        probability[(local.y * 8u + 5u) * TILE_ROWS + 16u + lane] = p21.y;
        probability[(local.y * 8u + 6u) * TILE_ROWS + 16u + lane] = p21.z;
        probability[(local.y * 8u + 7u) * TILE_ROWS + 16u + lane] = p21.w;
        var top3 = max3;
        top3 = max(top3, partial_max[24u + lane]);
        top3 = max(top3, partial_max[56u + lane]);
        top3 = max(top3, partial_max[88u + lane]);
        top3 = max(top3, partial_max[120u + lane]);
        let rescale3 = exp(max(max3 - top3, -200.0));
        max3 = top3;
        sum3 *= rescale3;
        a3_0 *= rescale3;
        a3_1 *= rescale3;
        a3_2 *= rescale3;
        a3_3 *= rescale3;
        a3_4 *= rescale3;
        a3_5 *= rescale3;
        a3_6 *= rescale3;
        a3_7 *= rescale3;
        let p30 = probabilities(s30, max3);
        probability[(local.y * 8u + 0u) * TILE_ROWS + 24u + lane] = p30.x;
        probability[(local.y * 8u + 1u) * TILE_ROWS + 24u + lane] = p30.y;
        probability[(local.y * 8u + 2u) * TILE_ROWS + 24u + lane] = p30.z;
        probability[(local.y * 8u + 3u) * TILE_ROWS + 24u + lane] = p30.w;
        let p31 = probabilities(s31, max3);
        probability[(local.y * 8u + 4u) * TILE_ROWS + 24u + lane] = p31.x;
        probability[(local.y * 8u + 5u) * TILE_ROWS + 24u + lane] = p31.y;
        probability[(local.y * 8u + 6u) * TILE_ROWS + 24u + lane] = p31.z;
        probability[(local.y * 8u + 7u) * TILE_ROWS + 24u + lane] = p31.w;
        workgroupBarrier();

        let count = min(TILE_KEYS, params.keys - tile);
        for (var j = 0u; j < count; j += 1u) {
            let v_row = (tile + j) * params.v_stride.z;
            let y0 = vec4<f32>(v[d0 + v_row], v[d1 + v_row], v[d2 + v_row], v[d3 + v_row]);
            let y1 = vec4<f32>(v[d4 + v_row], v[d5 + v_row], v[d6 + v_row], v[d7 + v_row]);
            let y2 = vec4<f32>(v[d8 + v_row], v[d9 + v_row], v[d10 + v_row], v[d11 + v_row]);
            let y3 = vec4<f32>(v[d12 + v_row], v[d13 + v_row], v[d14 + v_row], v[d15 + v_row]);
            let y4 = vec4<f32>(v[d16 + v_row], v[d17 + v_row], v[d18 + v_row], v[d19 + v_row]);
            let y5 = vec4<f32>(v[d20 + v_row], v[d21 + v_row], v[d22 + v_row], v[d23 + v_row]);
            let y6 = vec4<f32>(v[d24 + v_row], v[d25 + v_row], v[d26 + v_row], v[d27 + v_row]);
            let y7 = vec4<f32>(v[d28 + v_row], v[d29 + v_row], v[d30 + v_row], v[d31 + v_row]);
            let x0 = probability[j * TILE_ROWS + 0u + lane];
            sum0 += x0;
            a0_0 += x0 * y0;
            a0_1 += x0 * y1;
            a0_2 += x0 * y2;
            a0_3 += x0 * y3;
            a0_4 += x0 * y4;
            a0_5 += x0 * y5;
            a0_6 += x0 * y6;
            a0_7 += x0 * y7;
            let x1 = probability[j * TILE_ROWS + 8u + lane];
            sum1 += x1;
            a1_0 += x1 * y0;
            a1_1 += x1 * y1;
            a1_2 += x1 * y2;
            a1_3 += x1 * y3;
            a1_4 += x1 * y4;
            a1_5 += x1 * y5;
            a1_6 += x1 * y6;
            a1_7 += x1 * y7;
            let x2 = probability[j * TILE_ROWS + 16u + lane];
            sum2 += x2;
            a2_0 += x2 * y0;
            a2_1 += x2 * y1;
            a2_2 += x2 * y2;
            a2_3 += x2 * y3;
            a2_4 += x2 * y4;
            a2_5 += x2 * y5;
            a2_6 += x2 * y6;
            a2_7 += x2 * y7;
            let x3 = probability[j * TILE_ROWS + 24u + lane];
            sum3 += x3;
            a3_0 += x3 * y0;
            a3_1 += x3 * y1;
            a3_2 += x3 * y2;
            a3_3 += x3 * y3;
            a3_4 += x3 * y4;
            a3_5 += x3 * y5;
            a3_6 += x3 * y6;
            a3_7 += x3 * y7;
        }
    }

    sum0 = divisor(sum0);
    a0_0 /= sum0;
    a0_1 /= sum0;
    a0_2 /= sum0;
    a0_3 /= sum0;
    a0_4 /= sum0;
    a0_5 /= sum0;
    a0_6 /= sum0;
    a0_7 /= sum0;
    sum1 = divisor(sum1);
    a1_0 /= sum1;
    a1_1 /= sum1;
    a1_2 /= sum1;
    a1_3 /= sum1;
    a1_4 /= sum1;
    a1_5 /= sum1;
    a1_6 /= sum1;
    a1_7 /= sum1;
    sum2 = divisor(sum2);
    a2_0 /= sum2;
    a2_1 /= sum2;
    a2_2 /= sum2;
    a2_3 /= sum2;
    a2_4 /= sum2;
    a2_5 /= sum2;
    a2_6 /= sum2;
    a2_7 /= sum2;
    sum3 = divisor(sum3);
    a3_0 /= sum3;
    a3_1 /= sum3;
    a3_2 /= sum3;
    a3_3 /= sum3;
    a3_4 /= sum3;
    a3_5 /= sum3;
    a3_6 /= sum3;
    a3_7 /= sum3;
    let out_base = params.out_offset + batch * params.out_stride.x + head * params.out_stride.y;
    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var t = 0u; t < 32u; t += 4u) {
        var v0 = a0_0;
        var v1 = a1_0;
        var v2 = a2_0;
        var v3 = a3_0;
        for (var r = 0u; r < 4u; r += 1u) {
            let row = first_row + r * 8u + lane;
            for (var c = t; c < t + 4u; c += 1u) {
                if (row < params.rows && first_d + c < params.head_dim) {
                    let d = first_d + c;
                    out[out_base + row * params.out_stride.z + d * params.out_stride.w] =
                        epilogue(v0.x, batch, row, head * params.head_dim + d);
                }
                v0 = v0.yzwx;
            }
            v0 = v1;
            v1 = v2;
            v2 = v3;
        }
        a0_0 = a0_1;
        a0_1 = a0_2;
        a0_2 = a0_3;
        a0_3 = a0_4;
        a0_4 = a0_5;
        a0_5 = a0_6;
        a0_6 = a0_7;
        a1_0 = a1_1;
        a1_1 = a1_2;
        a1_2 = a1_3;
        a1_3 = a1_4;
        a1_4 = a1_5;
        a1_5 = a1_6;
        a1_6 = a1_7;
        a2_0 = a2_1;
        a2_1 = a2_2;
        a2_2 = a2_3;
        a2_3 = a2_4;
        a2_4 = a2_5;
        a2_5 = a2_6;
        a2_6 = a2_7;
        a3_0 = a3_1;
        a3_1 = a3_2;
        a3_2 = a3_3;
        a3_3 = a3_4;
        a3_4 = a3_5;
        a3_5 = a3_6;
        a3_6 = a3_7;
    }
}

fn highest(s: vec4<f32>) -> f32 {
    return max(max(s.x, s.y), max(s.z, s.w));
}

// Scores of four keys; keys past the end get -infinity.
fn masked(s: vec4<f32>, batch: u32, head: u32, row: u32, key: u32) -> vec4<f32> {
    let i = min(row, params.rows - 1u);
    let j = min(vec4<u32>(key, key + 1u, key + 2u, key + 3u), vec4<u32>(params.keys - 1u));
    let t = s * params.scale;
    let m = vec4<f32>(score_mask(t.x, batch, head, i, j.x), score_mask(t.y, batch, head, i, j.y),
                      score_mask(t.z, batch, head, i, j.z), score_mask(t.w, batch, head, i, j.w));
    let inside = vec4<u32>(key, key + 1u, key + 2u, key + 3u) < vec4<u32>(params.keys);
    return select(vec4<f32>(-params.infinity), m, inside);
}

// exp(s - row_max); the clamp keeps the argument finite and still underflows to zero. NaN, and infinity less infinity, stay
// NaN, which the clamp may lose.
fn probabilities(s: vec4<f32>, row_max: f32) -> vec4<f32> {
    let d = s - row_max;
    let is_nan = (bitcast<vec4<u32>>(d) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(exp(max(d, vec4<f32>(-200.0))), d, is_nan);
}

// What the weighted values are divided by.
fn divisor(sum: f32) -> f32 {
    return select(sum, params.empty_sum, sum == 0.0);
}
