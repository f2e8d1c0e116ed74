// attention_wide.wgsl -- scaled dot-product attention with online softmax, head dimension at most 64, for software
// adapters.
//
// Formula, bindings, parameters and linked functions: exactly those of attention.wgsl (results agree up to rounding).
// Dispatch:  (ceil(rows / TILE_ROWS), heads, batch).
//
// One invocation owns 4 whole query rows: nothing crosses invocations, so there is no barrier. That needs hundreds of
// registers, which a software adapter keeps in memory at no loss; a GPU should run attention.wgsl.

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

const MAX_HEAD_DIM: u32 = 64u;
const TILE_ROWS: u32 = 32u;
const TILE_KEYS: u32 = 8u;
const LOWEST: f32 = -3.4028234e38;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let batch = group.z;
    let head = group.y;
    let q_base = params.q_offset + batch * params.q_stride.x + head * params.q_stride.y;
    let k_base = params.k_offset + batch * params.k_stride.x + (head / params.kv_group) * params.k_stride.y;
    let v_base = params.v_offset + batch * params.v_stride.x + (head / params.kv_group) * params.v_stride.y;
    let first_row = group.x * TILE_ROWS;
    let last_key = params.keys - 1u;
    let last_d = params.head_dim - 1u;

    let row0 = first_row + 0u + local.x;
    let q0 = q_base + min(row0, params.rows - 1u) * params.q_stride.z;
    let row1 = first_row + 8u + local.x;
    let q1 = q_base + min(row1, params.rows - 1u) * params.q_stride.z;
    let row2 = first_row + 16u + local.x;
    let q2 = q_base + min(row2, params.rows - 1u) * params.q_stride.z;
    let row3 = first_row + 24u + local.x;
    let q3 = q_base + min(row3, params.rows - 1u) * params.q_stride.z;
    let d0 = min(0u, last_d) * params.v_stride.w;
    let d1 = min(1u, last_d) * params.v_stride.w;
    let d2 = min(2u, last_d) * params.v_stride.w;
    let d3 = min(3u, last_d) * params.v_stride.w;
    let d4 = min(4u, last_d) * params.v_stride.w;
    let d5 = min(5u, last_d) * params.v_stride.w;
    let d6 = min(6u, last_d) * params.v_stride.w;
    let d7 = min(7u, last_d) * params.v_stride.w;
    let d8 = min(8u, last_d) * params.v_stride.w;
    let d9 = min(9u, last_d) * params.v_stride.w;
    let d10 = min(10u, last_d) * params.v_stride.w;
    let d11 = min(11u, last_d) * params.v_stride.w;
    let d12 = min(12u, last_d) * params.v_stride.w;
    let d13 = min(13u, last_d) * params.v_stride.w;
    let d14 = min(14u, last_d) * params.v_stride.w;
    let d15 = min(15u, last_d) * params.v_stride.w;
    let d16 = min(16u, last_d) * params.v_stride.w;
    let d17 = min(17u, last_d) * params.v_stride.w;
    let d18 = min(18u, last_d) * params.v_stride.w;
    let d19 = min(19u, last_d) * params.v_stride.w;
    let d20 = min(20u, last_d) * params.v_stride.w;
    let d21 = min(21u, last_d) * params.v_stride.w;
    let d22 = min(22u, last_d) * params.v_stride.w;
    let d23 = min(23u, last_d) * params.v_stride.w;
    let d24 = min(24u, last_d) * params.v_stride.w;
    let d25 = min(25u, last_d) * params.v_stride.w;
    let d26 = min(26u, last_d) * params.v_stride.w;
    let d27 = min(27u, last_d) * params.v_stride.w;
    let d28 = min(28u, last_d) * params.v_stride.w;
    let d29 = min(29u, last_d) * params.v_stride.w;
    let d30 = min(30u, last_d) * params.v_stride.w;
    let d31 = min(31u, last_d) * params.v_stride.w;
    let d32 = min(32u, last_d) * params.v_stride.w;
    let d33 = min(33u, last_d) * params.v_stride.w;
    let d34 = min(34u, last_d) * params.v_stride.w;
    let d35 = min(35u, last_d) * params.v_stride.w;
    let d36 = min(36u, last_d) * params.v_stride.w;
    let d37 = min(37u, last_d) * params.v_stride.w;
    let d38 = min(38u, last_d) * params.v_stride.w;
    let d39 = min(39u, last_d) * params.v_stride.w;
    let d40 = min(40u, last_d) * params.v_stride.w;
    let d41 = min(41u, last_d) * params.v_stride.w;
    let d42 = min(42u, last_d) * params.v_stride.w;
    let d43 = min(43u, last_d) * params.v_stride.w;
    let d44 = min(44u, last_d) * params.v_stride.w;
    let d45 = min(45u, last_d) * params.v_stride.w;
    let d46 = min(46u, last_d) * params.v_stride.w;
    let d47 = min(47u, last_d) * params.v_stride.w;
    let d48 = min(48u, last_d) * params.v_stride.w;
    let d49 = min(49u, last_d) * params.v_stride.w;
    let d50 = min(50u, last_d) * params.v_stride.w;
    let d51 = min(51u, last_d) * params.v_stride.w;
    let d52 = min(52u, last_d) * params.v_stride.w;
    let d53 = min(53u, last_d) * params.v_stride.w;
    let d54 = min(54u, last_d) * params.v_stride.w;
    let d55 = min(55u, last_d) * params.v_stride.w;
    let d56 = min(56u, last_d) * params.v_stride.w;
    let d57 = min(57u, last_d) * params.v_stride.w;
    let d58 = min(58u, last_d) * params.v_stride.w;
    let d59 = min(59u, last_d) * params.v_stride.w;
    let d60 = min(60u, last_d) * params.v_stride.w;
    let d61 = min(61u, last_d) * params.v_stride.w;
    let d62 = min(62u, last_d) * params.v_stride.w;
    let d63 = min(63u, last_d) * params.v_stride.w;

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
    var a0_8 = vec4<f32>();
    var a0_9 = vec4<f32>();
    var a0_10 = vec4<f32>();
    var a0_11 = vec4<f32>();
    var a0_12 = vec4<f32>();
    var a0_13 = vec4<f32>();
    var a0_14 = vec4<f32>();
    var a0_15 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a1_4 = vec4<f32>();
    var a1_5 = vec4<f32>();
    var a1_6 = vec4<f32>();
    var a1_7 = vec4<f32>();
    var a1_8 = vec4<f32>();
    var a1_9 = vec4<f32>();
    var a1_10 = vec4<f32>();
    var a1_11 = vec4<f32>();
    var a1_12 = vec4<f32>();
    var a1_13 = vec4<f32>();
    var a1_14 = vec4<f32>();
    var a1_15 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a2_4 = vec4<f32>();
    var a2_5 = vec4<f32>();
    var a2_6 = vec4<f32>();
    var a2_7 = vec4<f32>();
    var a2_8 = vec4<f32>();
    var a2_9 = vec4<f32>();
    var a2_10 = vec4<f32>();
    var a2_11 = vec4<f32>();
    var a2_12 = vec4<f32>();
    var a2_13 = vec4<f32>();
    var a2_14 = vec4<f32>();
    var a2_15 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();
    var a3_4 = vec4<f32>();
    var a3_5 = vec4<f32>();
    var a3_6 = vec4<f32>();
    var a3_7 = vec4<f32>();
    var a3_8 = vec4<f32>();
    var a3_9 = vec4<f32>();
    var a3_10 = vec4<f32>();
    var a3_11 = vec4<f32>();
    var a3_12 = vec4<f32>();
    var a3_13 = vec4<f32>();
    var a3_14 = vec4<f32>();
    var a3_15 = vec4<f32>();

    for (var key = 0u; key < params.keys; key += TILE_KEYS) {
        // Scores of 4 rows and 8 keys.
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

        // Probabilities relative to the new maximum of each row.
        s00 = masked(s00, batch, head, row0, key + 0u);
        s01 = masked(s01, batch, head, row0, key + 4u);
        let new_max0 = max(max(max0, highest(s00)), highest(s01));
        let rescale0 = exp(max(max0 - new_max0, -200.0));
        max0 = new_max0;
        sum0 *= rescale0;
        a0_0 *= rescale0;
        a0_1 *= rescale0;
        a0_2 *= rescale0;
        a0_3 *= rescale0;
        a0_4 *= rescale0;
        a0_5 *= rescale0;
        a0_6 *= rescale0;
        a0_7 *= rescale0;
        a0_8 *= rescale0;
        a0_9 *= rescale0;
        a0_10 *= rescale0;
        a0_11 *= rescale0;
        a0_12 *= rescale0;
        a0_13 *= rescale0;
        a0_14 *= rescale0;
        a0_15 *= rescale0;
        s10 = masked(s10, batch, head, row1, key + 0u);
        s11 = masked(s11, batch, head, row1, key + 4u);
        let new_max1 = max(max(max1, highest(s10)), highest(s11));
        let rescale1 = exp(max(max1 - new_max1, -200.0));
        max1 = new_max1;
        sum1 *= rescale1;
        a1_0 *= rescale1;
        a1_1 *= rescale1;
        a1_2 *= rescale1;
        a1_3 *= rescale1;
        a1_4 *= rescale1;
        a1_5 *= rescale1;
        a1_6 *= rescale1;
        a1_7 *= rescale1;
        a1_8 *= rescale1;
        a1_9 *= rescale1;
        a1_10 *= rescale1;
        a1_11 *= rescale1;
        a1_12 *= rescale1;
        a1_13 *= rescale1;
        a1_14 *= rescale1;
        a1_15 *= rescale1;
        s20 = masked(s20, batch, head, row2, key + 0u);
        s21 = masked(s21, batch, head, row2, key + 4u);
        let new_max2 = max(max(max2, highest(s20)), highest(s21));
        let rescale2 = exp(max(max2 - new_max2, -200.0));
        max2 = new_max2;
        sum2 *= rescale2;
        a2_0 *= rescale2;
        a2_1 *= rescale2;
        a2_2 *= rescale2;
        a2_3 *= rescale2;
        a2_4 *= rescale2;
        a2_5 *= rescale2;
        a2_6 *= rescale2;
        a2_7 *= rescale2;
        a2_8 *= rescale2;
        a2_9 *= rescale2;
        a2_10 *= rescale2;
        a2_11 *= rescale2;
        a2_12 *= rescale2;
        a2_13 *= rescale2;
        a2_14 *= rescale2;
        a2_15 *= rescale2;
        s30 = masked(s30, batch, head, row3, key + 0u);
        s31 = masked(s31, batch, head, row3, key + 4u);
        let new_max3 = max(max(max3, highest(s30)), highest(s31));
        let rescale3 = exp(max(max3 - new_max3, -200.0));
        max3 = new_max3;
        sum3 *= rescale3;
        a3_0 *= rescale3;
        a3_1 *= rescale3;
        a3_2 *= rescale3;
        a3_3 *= rescale3;
        a3_4 *= rescale3;
        a3_5 *= rescale3;
        a3_6 *= rescale3;
        a3_7 *= rescale3;
        a3_8 *= rescale3;
        a3_9 *= rescale3;
        a3_10 *= rescale3;
        a3_11 *= rescale3;
        a3_12 *= rescale3;
        a3_13 *= rescale3;
        a3_14 *= rescale3;
        a3_15 *= rescale3;
        s00 = probabilities(s00, max0);
        s01 = probabilities(s01, max0);
        s10 = probabilities(s10, max1);
        s11 = probabilities(s11, max1);
        s20 = probabilities(s20, max2);
        s21 = probabilities(s21, max2);
        s30 = probabilities(s30, max3);
        s31 = probabilities(s31, max3);

        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        let tile_end = min(key + TILE_KEYS, params.keys);
        for (var j = key; j < tile_end; j += 1u) {
            let v_row = v_base + j * params.v_stride.z;
            let x0 = s00.x;
            sum0 += x0;
            s00 = vec4<f32>(s00.yzw, s01.x);
            s01 = vec4<f32>(s01.yzw, 0.0);
            let x1 = s10.x;
            sum1 += x1;
            s10 = vec4<f32>(s10.yzw, s11.x);
            s11 = vec4<f32>(s11.yzw, 0.0);
            let x2 = s20.x;
            sum2 += x2;
            s20 = vec4<f32>(s20.yzw, s21.x);
            s21 = vec4<f32>(s21.yzw, 0.0);
            let x3 = s30.x;
            sum3 += x3;
            s30 = vec4<f32>(s30.yzw, s31.x);
            s31 = vec4<f32>(s31.yzw, 0.0);
            let y0 = vec4<f32>(v[v_row + d0], v[v_row + d1], v[v_row + d2], v[v_row + d3]);
            a0_0 += x0 * y0;
            a1_0 += x1 * y0;
            a2_0 += x2 * y0;
            a3_0 += x3 * y0;
            let y1 = vec4<f32>(v[v_row + d4], v[v_row + d5], v[v_row + d6], v[v_row + d7]);
            a0_1 += x0 * y1;
            a1_1 += x1 * y1;
            a2_1 += x2 * y1;
            a3_1 += x3 * y1;
            let y2 = vec4<f32>(v[v_row + d8], v[v_row + d9], v[v_row + d10], v[v_row + d11]);
            a0_2 += x0 * y2;
            a1_2 += x1 * y2;
            a2_2 += x2 * y2;
            a3_2 += x3 * y2;
            let y3 = vec4<f32>(v[v_row + d12], v[v_row + d13], v[v_row + d14], v[v_row + d15]);
            a0_3 += x0 * y3;
            a1_3 += x1 * y3;
            a2_3 += x2 * y3;
            a3_3 += x3 * y3;
            let y4 = vec4<f32>(v[v_row + d16], v[v_row + d17], v[v_row + d18], v[v_row + d19]);
            a0_4 += x0 * y4;
            a1_4 += x1 * y4;
            a2_4 += x2 * y4;
            a3_4 += x3 * y4;
            let y5 = vec4<f32>(v[v_row + d20], v[v_row + d21], v[v_row + d22], v[v_row + d23]);
            a0_5 += x0 * y5;
            a1_5 += x1 * y5;
            a2_5 += x2 * y5;
            a3_5 += x3 * y5;
            let y6 = vec4<f32>(v[v_row + d24], v[v_row + d25], v[v_row + d26], v[v_row + d27]);
            a0_6 += x0 * y6;
            a1_6 += x1 * y6;
            a2_6 += x2 * y6;
            a3_6 += x3 * y6;
            let y7 = vec4<f32>(v[v_row + d28], v[v_row + d29], v[v_row + d30], v[v_row + d31]);
            a0_7 += x0 * y7;
            a1_7 += x1 * y7;
            a2_7 += x2 * y7;
            a3_7 += x3 * y7;
            let y8 = vec4<f32>(v[v_row + d32], v[v_row + d33], v[v_row + d34], v[v_row + d35]);
            a0_8 += x0 * y8;
            a1_8 += x1 * y8;
            a2_8 += x2 * y8;
            a3_8 += x3 * y8;
            let y9 = vec4<f32>(v[v_row + d36], v[v_row + d37], v[v_row + d38], v[v_row + d39]);
            a0_9 += x0 * y9;
            a1_9 += x1 * y9;
            a2_9 += x2 * y9;
            a3_9 += x3 * y9;
            let y10 = vec4<f32>(v[v_row + d40], v[v_row + d41], v[v_row + d42], v[v_row + d43]);
            a0_10 += x0 * y10;
            a1_10 += x1 * y10;
            a2_10 += x2 * y10;
            a3_10 += x3 * y10;
            let y11 = vec4<f32>(v[v_row + d44], v[v_row + d45], v[v_row + d46], v[v_row + d47]);
            a0_11 += x0 * y11;
            a1_11 += x1 * y11;
            a2_11 += x2 * y11;
            a3_11 += x3 * y11;
            let y12 = vec4<f32>(v[v_row + d48], v[v_row + d49], v[v_row + d50], v[v_row + d51]);
            a0_12 += x0 * y12;
            a1_12 += x1 * y12;
            a2_12 += x2 * y12;
            a3_12 += x3 * y12;
            let y13 = vec4<f32>(v[v_row + d52], v[v_row + d53], v[v_row + d54], v[v_row + d55]);
            a0_13 += x0 * y13;
            a1_13 += x1 * y13;
            a2_13 += x2 * y13;
            a3_13 += x3 * y13;
            let y14 = vec4<f32>(v[v_row + d56], v[v_row + d57], v[v_row + d58], v[v_row + d59]);
            a0_14 += x0 * y14;
            a1_14 += x1 * y14;
            a2_14 += x2 * y14;
            a3_14 += x3 * y14;
            let y15 = vec4<f32>(v[v_row + d60], v[v_row + d61], v[v_row + d62], v[v_row + d63]);
            a0_15 += x0 * y15;
            a1_15 += x1 * y15;
            a2_15 += x2 * y15;
            a3_15 += x3 * y15;
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
    a0_8 /= sum0;
    a0_9 /= sum0;
    a0_10 /= sum0;
    a0_11 /= sum0;
    a0_12 /= sum0;
    a0_13 /= sum0;
    a0_14 /= sum0;
    a0_15 /= sum0;
    sum1 = divisor(sum1);
    a1_0 /= sum1;
    a1_1 /= sum1;
    a1_2 /= sum1;
    a1_3 /= sum1;
    a1_4 /= sum1;
    a1_5 /= sum1;
    a1_6 /= sum1;
    a1_7 /= sum1;
    a1_8 /= sum1;
    a1_9 /= sum1;
    a1_10 /= sum1;
    a1_11 /= sum1;
    a1_12 /= sum1;
    a1_13 /= sum1;
    a1_14 /= sum1;
    a1_15 /= sum1;
    sum2 = divisor(sum2);
    a2_0 /= sum2;
    a2_1 /= sum2;
    a2_2 /= sum2;
    a2_3 /= sum2;
    a2_4 /= sum2;
    a2_5 /= sum2;
    a2_6 /= sum2;
    a2_7 /= sum2;
    a2_8 /= sum2;
    a2_9 /= sum2;
    a2_10 /= sum2;
    a2_11 /= sum2;
    a2_12 /= sum2;
    a2_13 /= sum2;
    a2_14 /= sum2;
    a2_15 /= sum2;
    sum3 = divisor(sum3);
    a3_0 /= sum3;
    a3_1 /= sum3;
    a3_2 /= sum3;
    a3_3 /= sum3;
    a3_4 /= sum3;
    a3_5 /= sum3;
    a3_6 /= sum3;
    a3_7 /= sum3;
    a3_8 /= sum3;
    a3_9 /= sum3;
    a3_10 /= sum3;
    a3_11 /= sum3;
    a3_12 /= sum3;
    a3_13 /= sum3;
    a3_14 /= sum3;
    a3_15 /= sum3;
    let out_base = params.out_offset + batch * params.out_stride.x + head * params.out_stride.y;
    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var t = 0u; t < 64u; t += 4u) {
        var v0 = a0_0;
        var v1 = a1_0;
        var v2 = a2_0;
        var v3 = a3_0;
        for (var r = 0u; r < 4u; r += 1u) {
            let row = first_row + r * 8u + local.x;
            for (var c = t; c < t + 4u; c += 1u) {
                if (row < params.rows && c < params.head_dim) {
                    let d = c;
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
        a0_7 = a0_8;
        a0_8 = a0_9;
        a0_9 = a0_10;
        a0_10 = a0_11;
        a0_11 = a0_12;
        a0_12 = a0_13;
        a0_13 = a0_14;
        a0_14 = a0_15;
        a1_0 = a1_1;
        a1_1 = a1_2;
        a1_2 = a1_3;
        a1_3 = a1_4;
        a1_4 = a1_5;
        a1_5 = a1_6;
        a1_6 = a1_7;
        a1_7 = a1_8;
        a1_8 = a1_9;
        a1_9 = a1_10;
        a1_10 = a1_11;
        a1_11 = a1_12;
        a1_12 = a1_13;
        a1_13 = a1_14;
        a1_14 = a1_15;
        a2_0 = a2_1;
        a2_1 = a2_2;
        a2_2 = a2_3;
        a2_3 = a2_4;
        a2_4 = a2_5;
        a2_5 = a2_6;
        a2_6 = a2_7;
        a2_7 = a2_8;
        a2_8 = a2_9;
        a2_9 = a2_10;
        a2_10 = a2_11;
        a2_11 = a2_12;
        a2_12 = a2_13;
        a2_13 = a2_14;
        a2_14 = a2_15;
        a3_0 = a3_1;
        a3_1 = a3_2;
        a3_2 = a3_3;
        a3_3 = a3_4;
        a3_4 = a3_5;
        a3_5 = a3_6;
        a3_6 = a3_7;
        a3_7 = a3_8;
        a3_8 = a3_9;
        a3_9 = a3_10;
        a3_10 = a3_11;
        a3_11 = a3_12;
        a3_12 = a3_13;
        a3_13 = a3_14;
        a3_14 = a3_15;
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
