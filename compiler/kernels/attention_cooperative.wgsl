// attention_cooperative.wgsl -- attention.wgsl on units that multiply matrices of 16 x 16 halves, added up as f32.
//
// Takes the place of attention.wgsl where a device has such units: the same parameters, bindings and workgroups. Two of the eight
// subgroups of 32 lanes share 16 query rows: each has half of the keys of a tile when scores are computed, and half of the head when
// values are weighted; four lanes share a row. q, keys and values are made halves times powers of two (half_scales.wgsl): one of the
// q of a workgroup, those of keys and of values by the largest so far. Weights of a row are relative to a maximum that is raised when
// the row's own exceeds it by GROWTH, so that sums are rarely rescaled; times RAISED they are at most 2^15, and fewer bits are left of
// those below 2^-21 of the largest.
// Formula, bindings, dispatch and what is linked: shared/attention.wgsl.

const HEAD: u32 = 64u;
const TILE_ROWS: u32 = 64u;
const TILE_KEYS: u32 = 4096u / HEAD;
const INVOCATIONS: u32 = 256u;
const HEAD_QUADS: u32 = HEAD / 4u;
// Matrices along the head, and along the keys that a subgroup has.
const HEAD_MATRICES: u32 = HEAD / 16u;
const KEY_MATRICES: u32 = TILE_KEYS / 32u;
// Vectors of four from a row of memory to the next: a multiple of 16 bytes, and 16 bytes more than it has against bank conflicts.
const Q_STEP: u32 = TILE_ROWS / 4u + 2u;
const HEAD_STEP: u32 = HEAD_QUADS + 2u;
const WEIGHT_STEP: u32 = TILE_KEYS / 4u + 2u;
const SCORE_STEP: u32 = TILE_KEYS / 4u + 1u;
const Q_FETCHES: u32 = 64u * TILE_ROWS / 4u / INVOCATIONS;
const FETCHES: u32 = HEAD * TILE_KEYS / 4u / INVOCATIONS;
// Vectors of four keys that a lane has.
const OWN: u32 = TILE_KEYS / 16u;
const GROWTH: f32 = 5.5;
const RAISED: f32 = 128.0;

struct Tiles {
    // Scores of every row, then what goes to the output.
    scores: array<vec4<f32>, TILE_ROWS * SCORE_STEP>,
    weights: array<vec4<f16>, TILE_ROWS * WEIGHT_STEP>,
    // 64 elements of q, with the index d first, then keys.
    keys: array<vec4<f16>, 64u * Q_STEP>,
    values: array<vec4<f16>, TILE_KEYS * HEAD_STEP>,
}

var<workgroup> tiles: Tiles;
// Of q, keys and values.
var<workgroup> largest: array<atomic<u32>, 3>;
// A maximum or a sum of every lane, those of a row side by side.
var<workgroup> of_lanes: array<vec4<f32>, TILE_ROWS>;
var<workgroup> grown: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let q_base = params.q_offset + group.z * params.q_stride.x + group.y * params.q_stride.y;
    let k_base = params.k_offset + group.z * params.k_stride.x + group.y * params.k_stride.y;
    let v_base = params.v_offset + group.z * params.v_stride.x + group.y * params.v_stride.y;
    let first_row = group.x * TILE_ROWS;
    let lane = local % 32u;
    let half_ = local / 128u;
    let subgroup_row = local / 32u % 4u * 16u;
    let own_row = subgroup_row + lane % 16u;
    let part = half_ * 2u + lane / 16u;
    let own_score = own_row * SCORE_STEP + part * OWN;
    let first_score = subgroup_row * SCORE_STEP + half_ * KEY_MATRICES * 4u;

    if (local < 3u) { atomicStore(&largest[local], 0u); }
    workgroupBarrier();
    var q_size = vec4<f32>();
    for (var at = local; at < params.head_dim * TILE_ROWS / 4u; at += INVOCATIONS) {
        q_size = max(q_size, finite(load_q(q_base, first_row + at / params.head_dim * 4u, at % params.head_dim)));
    }
    raise(0u, q_size);
    var x: array<coop_mat16x16<f16, A>, HEAD_MATRICES>; // registers
    for (var chunk = 0u; chunk < HEAD_MATRICES; chunk += 4u) { // unroll
        workgroupBarrier();
        for (var f = 0u; f < Q_FETCHES; f += 1u) { // unroll
            let at = local + f * INVOCATIONS;
            let value = load_q(q_base, first_row + at / 64u * 4u, chunk * 16u + at % 64u);
            tiles.keys[at % 64u * Q_STEP + at / 64u] = vec4<f16>(value * scale_of(0u));
        }
        workgroupBarrier();
        for (var m = 0u; m < 4u; m += 1u) { // unroll
            x[chunk + m] = coopLoad<coop_mat16x16<f16, A>>(&tiles.keys[m * 16u * Q_STEP + subgroup_row / 4u], Q_STEP);
        }
    }
    let q_inverse = inverse_of(scale_of(0u));

    var top = LOWEST;
    var sum = 0.0;
    var value_inverse = 0.0;
    var acc: array<coop_mat16x16<f32, C>, HEAD_MATRICES / 2u>; // registers
    for (var tile = 0u; tile < params.keys; tile += TILE_KEYS) {
        var key: array<vec4<f32>, FETCHES>; // registers
        var value: array<vec4<f32>, FETCHES>; // registers
        var key_size = vec4<f32>();
        var value_size = vec4<f32>();
        for (var f = 0u; f < FETCHES; f += 1u) { // unroll
            let from_k = place(local + f * INVOCATIONS, params.k_stride.w);
            let from_v = place(local + f * INVOCATIONS, params.v_stride.w);
            key[f] = fetched_k(k_base, tile + from_k.x, from_k.y);
            value[f] = load_v(v_base, tile + from_v.x, from_v.y);
        }
        for (var f = 0u; f < FETCHES; f += 1u) { // unroll
            key_size = max(key_size, abs(key[f]));
            value_size = max(value_size, abs(value[f]));
        }
        if (any_not_finite(max(key_size, value_size))) {
            key_size = vec4<f32>();
            value_size = vec4<f32>();
            for (var f = 0u; f < FETCHES; f += 1u) { // unroll
                key_size = max(key_size, finite(key[f]));
                value_size = max(value_size, finite(value[f]));
            }
        }
        raise(1u, key_size);
        raise(2u, value_size);
        workgroupBarrier();
        let key_scale = scale_of(1u);
        let value_scale = scale_of(2u);
        for (var f = 0u; f < FETCHES; f += 1u) { // unroll
            let to_k = place(local + f * INVOCATIONS, params.k_stride.w);
            let to_v = place(local + f * INVOCATIONS, params.v_stride.w);
            tiles.keys[to_k.x * HEAD_STEP + to_k.y / 4u] = vec4<f16>(key[f] * key_scale);
            tiles.values[to_v.x * HEAD_STEP + to_v.y / 4u] = vec4<f16>(value[f] * value_scale);
        }
        workgroupBarrier();

        for (var j = 0u; j < KEY_MATRICES; j += 1u) { // unroll
            var s: coop_mat16x16<f32, C>;
            let first_key = (half_ * KEY_MATRICES + j) * 16u;
            for (var m = 0u; m < HEAD_MATRICES; m += 1u) { // unroll
                let k16 = coopLoad<coop_mat16x16<f16, B>>(&tiles.keys[first_key * HEAD_STEP + m * 4u], HEAD_STEP);
                s = coopMultiplyAdd(x[m], k16, s);
            }
            coopStoreT(s, &tiles.scores[first_score + j * 4u], SCORE_STEP);
        }
        workgroupBarrier();

        let key_inverse = inverse_of(key_scale);
        var score: array<vec4<f32>, OWN>; // registers
        var own_top = LOWEST;
        for (var i = 0u; i < OWN; i += 1u) { // unroll
            let raw = tiles.scores[own_score + i] * q_inverse * key_inverse;
            score[i] = masked(raw, group, first_row + own_row, tile + (part * OWN + i) * 4u);
            own_top = max(own_top, highest(score[i]));
        }
        of_lanes[own_row][part] = own_top;
        if (own_top > top + GROWTH) { grown = 1u; }
        if (workgroupUniformLoad(&grown) > 0u) {
            let new_top = max(top, highest(of_lanes[own_row]));
            let rescale = rescaling(top, new_top);
            top = new_top;
            sum *= rescale;
            for (var c = 0u; c < HEAD_MATRICES / 2u; c += KEY_MATRICES) { // unroll
                workgroupBarrier();
                for (var j = 0u; j < KEY_MATRICES; j += 1u) { // unroll
                    coopStoreT(acc[c + j], &tiles.scores[first_score + j * 4u], SCORE_STEP);
                }
                workgroupBarrier();
                for (var i = 0u; i < OWN; i += 1u) { tiles.scores[own_score + i] *= rescale; } // unroll
                workgroupBarrier();
                for (var j = 0u; j < KEY_MATRICES; j += 1u) { // unroll
                    acc[c + j] = coopLoadT<coop_mat16x16<f32, C>>(&tiles.scores[first_score + j * 4u], SCORE_STEP);
                }
            }
            grown = 0u;
        }
        for (var i = 0u; i < OWN; i += 1u) { // unroll
            let weight = vec4<f16>(exponential(score[i] - top) * RAISED);
            let w = vec4<f32>(weight);
            sum += (w.x + w.y) + (w.z + w.w);
            tiles.weights[own_row * WEIGHT_STEP + part * OWN + i] = weight;
        }
        for (var m = 0u; m < HEAD_MATRICES / 2u; m += 1u) { acc[m] = acc[m] * (value_scale * value_inverse); } // unroll
        value_inverse = inverse_of(value_scale);
        workgroupBarrier();

        for (var k = 0u; k < TILE_KEYS; k += 16u) { // unroll
            let p = coopLoadT<coop_mat16x16<f16, A>>(&tiles.weights[subgroup_row * WEIGHT_STEP + k / 4u], WEIGHT_STEP);
            for (var c = 0u; c < HEAD_MATRICES / 2u; c += KEY_MATRICES) { // unroll
                for (var j = 0u; j < KEY_MATRICES; j += 1u) { // unroll
                    let column = 2u * c + half_ * KEY_MATRICES + j;
                    let v16 = coopLoadT<coop_mat16x16<f16, B>>(&tiles.values[k * HEAD_STEP + column * 4u], HEAD_STEP);
                    acc[c + j] = coopMultiplyAdd(p, v16, acc[c + j]);
                }
            }
        }
    }

    of_lanes[own_row][part] = sum;
    for (var c = 0u; c < HEAD_MATRICES / 2u; c += KEY_MATRICES) { // unroll
        workgroupBarrier();
        for (var j = 0u; j < KEY_MATRICES; j += 1u) { // unroll
            coopStoreT(acc[c + j], &tiles.scores[first_score + j * 4u], SCORE_STEP);
        }
        workgroupBarrier();
        for (var i = lane; i < 8u * TILE_KEYS; i += 32u) {
            let m = subgroup_row + i / (TILE_KEYS / 2u);
            let column = i % (TILE_KEYS / 2u) + half_ * TILE_KEYS / 2u;
            let sums = of_lanes[m];
            let row = first_row + m;
            let weighted = tiles.scores[m * SCORE_STEP + column / 4u][column % 4u] * value_inverse;
            let result = weighted / divisor((sums.x + sums.y) + (sums.z + sums.w), group, row);
            store(group, row, 2u * c * 16u + column, result);
        }
    }
}

// The key and the first of four elements of the head that are fetched as number `at`: lanes follow what is contiguous.
fn place(at: u32, stride_d: u32) -> vec2<u32> {
    return select(vec2<u32>(at % TILE_KEYS, at / TILE_KEYS * 4u), vec2<u32>(at / HEAD_QUADS, at % HEAD_QUADS * 4u), stride_d == 1u);
}

// Four elements of a key; zero past the end of the head.
fn fetched_k(base: u32, key: u32, d: u32) -> vec4<f32> {
    let i = base + min(key, params.keys - 1u) * params.k_stride.z + (d + FOUR) * params.k_stride.w;
    return select(vec4<f32>(), vec4<f32>(k[i.x], k[i.y], k[i.z], k[i.w]), d + FOUR < vec4<u32>(params.head_dim));
}
