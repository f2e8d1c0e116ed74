// attention.wgsl -- scaled dot-product attention with online softmax, head dimension at most HEAD, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/attention.wgsl.
// Constants: HEAD, a multiple of 64.
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

fn q_place(d: u32, quad: u32) -> u32 {
    return d * ROW_QUADS + (quad ^ (d % ROW_QUADS));
}

fn k_place(d: u32, quad: u32) -> u32 {
    return d * KEY_QUADS + (quad ^ (d % KEY_QUADS));
}

fn probability_place(key: u32, quad: u32) -> u32 {
    return key * ROW_QUADS + (quad ^ (key / 4u));
}

// Four keys at d, zero past the end of the head.
fn load_k(base: u32, key: u32, d: u32) -> vec4<f32> {
    let i = base + min(key + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.keys - 1u)) * params.k_stride.z +
            min(d, params.head_dim - 1u) * params.k_stride.w;
    return select(vec4<f32>(), vec4<f32>(k[i.x], k[i.y], k[i.z], k[i.w]), d < params.head_dim);
}

// Four elements of a key's values, zero past the last key.
fn load_v(base: u32, key: u32, d: u32) -> vec4<f32> {
    let i = base + min(key, params.keys - 1u) * params.v_stride.z +
            min(d + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.head_dim - 1u)) * params.v_stride.w;
    return select(vec4<f32>(), vec4<f32>(v[i.x], v[i.y], v[i.z], v[i.w]), key < params.keys);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let batch = group.z;
    let head = group.y;
    let q_base = params.q_offset + batch * params.q_stride.x + head * params.q_stride.y;
    let k_base = params.k_offset + batch * params.k_stride.x + head * params.k_stride.y;
    let v_base = params.v_offset + batch * params.v_stride.x + head * params.v_stride.y;
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
        for (var r = 0u; r < 4u; r += 1u) { // unroll
            s[r] = vec4<f32>();
        }
        for (var chunk = 0u; chunk < params.head_dim; chunk += TILE_D) {
            workgroupBarrier();
            for (var f = 0u; f < Q_FETCHES; f += 1u) { // unroll
                let q_at = local + f * INVOCATIONS;
                let q_along_d = params.q_stride.w == 1u;
                let q_d = select(q_at / ROW_QUADS, q_at % TILE_D, q_along_d);
                let rows = select(q_at % ROW_QUADS, q_at / TILE_D, q_along_d);
                q_or_values[q_place(q_d, rows)] = load_q(q_base, first_row + rows * 4u, chunk + q_d);
            }
            for (var f = 0u; f < K_FETCHES; f += 1u) { // unroll
                let k_at = local + f * INVOCATIONS;
                let k_along_d = params.k_stride.w == 1u;
                let k_d = select(k_at / KEY_QUADS, k_at % TILE_D, k_along_d);
                let keys = select(k_at % KEY_QUADS, k_at / TILE_D, k_along_d);
                k_or_probabilities[k_place(k_d, keys)] = load_k(k_base, tile + keys * 4u, chunk + k_d);
            }
            workgroupBarrier();
            let count = min(TILE_D, params.head_dim - chunk);
            for (var at_d = 0u; at_d < count; at_d += STEPS) {
                for (var step = 0u; step < STEPS; step += 1u) { // unroll
                    let x = q_or_values[q_place(at_d + step, row_quad)];
                    let y = k_or_probabilities[k_place(at_d + step, quad)];
                    s[0] += x.x * y;
                    s[1] += x.y * y;
                    s[2] += x.z * y;
                    s[3] += x.w * y;
                }
            }
        }

        // The largest of every row, behind what k occupies.
        var own_top = vec4<f32>();
        for (var r = 0u; r < 4u; r += 1u) { // unroll
            s[r] = masked(s[r], batch, head, row + r, tile + quad * 4u);
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
            s[r] = probabilities(s[r], new_top[r]);
            sum[r] = sum[r] * rescale + (s[r].x + s[r].y) + (s[r].z + s[r].w);
            for (var d = 0u; d < 2u * PASSES; d += 1u) { // unroll
                acc[r][d] *= rescale;
            }
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
                        for (var r = 0u; r < 4u; r += 1u) { // unroll
                            acc[r][2u * pass_ + half] += p[r] * y;
                        }
                    }
                }
            }
        }
    }

    workgroupBarrier();
    q_or_values[quad * ROW_QUADS + row_quad] = sum;
    workgroupBarrier();
    sum = vec4<f32>();
    for (var part = 0u; part < KEY_QUADS; part += 1u) { // unroll
        sum += q_or_values[part * ROW_QUADS + row_quad];
    }
    for (var r = 0u; r < 4u; r += 1u) { // unroll
        sum[r] = divisor(sum[r], batch, head, row + r);
        for (var d = 0u; d < 2u * PASSES; d += 1u) { // unroll
            acc[r][d] /= sum[r];
        }
    }
    for (var c = 0u; c < 2u * PASSES; c += 1u) { // rotate
        for (var r = 0u; r < 4u; r += 1u) { // rotate
            for (var j = 0u; j < 4u; j += 1u) { // rotate
                store(batch, head, row + r, 32u * c + quad * 4u + j, acc[r][c][j]);
            }
        }
    }
}
