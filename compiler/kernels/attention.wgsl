// attention.wgsl -- scaled dot-product attention with online softmax, head dimension at most HEAD, for GPUs with workgroup memory.
//
// Formula, bindings, dispatch and what is linked: shared/attention.wgsl. HEAD is a multiple of 64.
//
// A workgroup of 128 owns 64 query rows and walks over the keys in tiles of 32; an invocation owns 4 rows, of which it computes
// the scores of 4 keys and 8 elements of the head in every 64. q and k go through workgroup memory in tiles of 32 d, values in
// tiles of 64, probabilities between the two. Sums over d and over keys run upwards; a row's divisor is the sum of eight, each
// over every eighth vector of four keys. Vectors are stored at places whose low bits are mixed with the other index, so that
// neither storing along one nor reading along the other meets one bank twice.

const HEAD: u32 = 64u;
const TILE_ROWS: u32 = 64u;
const TILE_KEYS: u32 = 32u;
const TILE_D: u32 = 32u;
// Vectors of four rows, of four keys, and of four elements in a tile of values.
const ROW_QUADS: u32 = TILE_ROWS / 4u;
const KEY_QUADS: u32 = TILE_KEYS / 4u;
const VALUE_QUADS: u32 = 16u;
const INVOCATIONS: u32 = ROW_QUADS * KEY_QUADS;
const PASSES: u32 = HEAD / 64u;
const Q_FETCHES: u32 = TILE_D * ROW_QUADS / INVOCATIONS;
const K_FETCHES: u32 = TILE_D * KEY_QUADS / INVOCATIONS;
const V_FETCHES: u32 = TILE_KEYS * VALUE_QUADS / INVOCATIONS;
// Steps of an inner loop that are written out.
const STEPS: u32 = 8u;

var<workgroup> q_or_values: array<vec4<f32>, 512>;
var<workgroup> k_or_probabilities: array<vec4<f32>, 512>;

// Index along the head and vector of fetch `at` of a tile of so many vectors: lanes follow what is contiguous.
fn fetched(at: u32, quads: u32, stride_d: u32) -> vec2<u32> {
    return select(vec2<u32>(at / quads, at % quads), vec2<u32>(at % TILE_D, at / TILE_D), stride_d == 1u);
}

// Where a vector of q or k at d is kept.
fn place(d: u32, quad: u32, quads: u32) -> u32 { return d * quads + (quad ^ (d % quads)); }

fn probability_place(key: u32, quad: u32) -> u32 { return key * ROW_QUADS + (quad ^ (key / 4u)); }

// Four keys at d, zero past the end of the head.
fn load_k(base: u32, key: u32, d: u32) -> vec4<f32> {
    let i = base + min(key + FOUR, vec4<u32>(params.keys - 1u)) * params.k_stride.z + min(d, params.head_dim - 1u) * params.k_stride.w;
    return select(vec4<f32>(), vec4<f32>(k[i.x], k[i.y], k[i.z], k[i.w]), d < params.head_dim);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let q_base = params.q_offset + group.z * params.q_stride.x + group.y * params.q_stride.y;
    let k_base = params.k_offset + group.z * params.k_stride.x + group.y * params.k_stride.y;
    let v_base = params.v_offset + group.z * params.v_stride.x + group.y * params.v_stride.y;
    let first_row = group.x * TILE_ROWS;
    let quad = local % KEY_QUADS;
    let row_quad = local / KEY_QUADS;
    let row = first_row + row_quad * 4u;

    var top = vec4<f32>(LOWEST);
    var sum = vec4<f32>();
    var acc: array<array<vec4<f32>, 2u * PASSES>, 4>; // registers

    for (var tile = 0u; tile < params.keys; tile += TILE_KEYS) {
        // Scores of four rows and four keys.
        var s: array<vec4<f32>, 4>; // registers
        for (var chunk = 0u; chunk < params.head_dim; chunk += TILE_D) {
            workgroupBarrier();
            for (var f = 0u; f < Q_FETCHES; f += 1u) { // unroll
                let q_at = fetched(local + f * INVOCATIONS, ROW_QUADS, params.q_stride.w);
                q_or_values[place(q_at.x, q_at.y, ROW_QUADS)] = load_q(q_base, first_row + q_at.y * 4u, chunk + q_at.x);
            }
            for (var f = 0u; f < K_FETCHES; f += 1u) { // unroll
                let k_at = fetched(local + f * INVOCATIONS, KEY_QUADS, params.k_stride.w);
                k_or_probabilities[place(k_at.x, k_at.y, KEY_QUADS)] = load_k(k_base, tile + k_at.y * 4u, chunk + k_at.x);
            }
            workgroupBarrier();
            let count = min(TILE_D, params.head_dim - chunk);
            for (var at_d = 0u; at_d < count; at_d += STEPS) {
                for (var step = 0u; step < STEPS; step += 1u) { // unroll
                    let x = q_or_values[place(at_d + step, row_quad, ROW_QUADS)];
                    let y = k_or_probabilities[place(at_d + step, quad, KEY_QUADS)];
                    for (var r = 0u; r < 4u; r += 1u) { s[r] += x[r] * y; } // unroll
                }
            }
        }

        // The largest of every row, behind what k occupies.
        var own_top = vec4<f32>();
        for (var r = 0u; r < 4u; r += 1u) { // unroll
            s[r] = masked(s[r], group, row + r, tile + quad * 4u);
            own_top[r] = highest(s[r]);
        }
        k_or_probabilities[256u + quad * ROW_QUADS + row_quad] = own_top;
        workgroupBarrier();
        var new_top = top;
        for (var part = 0u; part < KEY_QUADS; part += 1u) { // unroll
            new_top = max(new_top, k_or_probabilities[256u + part * ROW_QUADS + row_quad]);
        }
        for (var f = 0u; f < V_FETCHES; f += 1u) { // unroll
            let at = local + f * INVOCATIONS;
            q_or_values[at] = load_v(v_base, tile + at / VALUE_QUADS, at % VALUE_QUADS * 4u);
        }

        // Probabilities relative to the new maximum of each row.
        for (var r = 0u; r < 4u; r += 1u) { // unroll
            let rescale = rescaling(top[r], new_top[r]);
            s[r] = exponential(s[r] - new_top[r]);
            sum[r] = sum[r] * rescale + (s[r].x + s[r].y) + (s[r].z + s[r].w);
            for (var d = 0u; d < 2u * PASSES; d += 1u) { acc[r][d] *= rescale; } // unroll
        }
        top = new_top;
        workgroupBarrier();
        for (var j = 0u; j < 4u; j += 1u) { // unroll
            k_or_probabilities[probability_place(quad * 4u + j, row_quad)] =
                vec4<f32>(s[0][j], s[1][j], s[2][j], s[3][j]);
        }
        workgroupBarrier();

        for (var pass_ = 0u; pass_ < PASSES; pass_ += 1u) { // unroll
            if (pass_ > 0u) {
                workgroupBarrier();
                for (var f = 0u; f < V_FETCHES; f += 1u) { // unroll
                    let at = local + f * INVOCATIONS;
                    let d = pass_ * 64u + at % VALUE_QUADS * 4u;
                    q_or_values[at] = load_v(v_base, tile + at / VALUE_QUADS, d);
                }
                workgroupBarrier();
            }
            for (var key = 0u; key < TILE_KEYS; key += STEPS) {
                for (var step = 0u; step < STEPS; step += 1u) { // unroll
                    let p = k_or_probabilities[probability_place(key + step, row_quad)];
                    for (var half = 0u; half < 2u; half += 1u) { // unroll
                        let y = q_or_values[(key + step) * VALUE_QUADS + half * 8u + quad];
                        for (var r = 0u; r < 4u; r += 1u) { acc[r][2u * pass_ + half] += p[r] * y; } // unroll
                    }
                }
            }
        }
    }

    workgroupBarrier();
    q_or_values[quad * ROW_QUADS + row_quad] = sum;
    workgroupBarrier();
    sum = vec4<f32>();
    for (var part = 0u; part < KEY_QUADS; part += 1u) { sum += q_or_values[part * ROW_QUADS + row_quad]; } // unroll
    for (var r = 0u; r < 4u; r += 1u) { // unroll
        sum[r] = divisor(sum[r], group, row + r);
        for (var d = 0u; d < 2u * PASSES; d += 1u) { acc[r][d] /= sum[r]; } // unroll
    }
    for (var c = 0u; c < 2u * PASSES; c += 1u) { // rotate
        for (var r = 0u; r < 4u; r += 1u) { // rotate
            for (var j = 0u; j < 4u; j += 1u) { // rotate
                store(group, row + r, 32u * c + quad * 4u + j, acc[r][c][j]);
            }
        }
    }
}
