// attention_wide.wgsl -- scaled dot-product attention with online softmax, head dimension at most HEAD, for CPU adapters.
//
// Formula, bindings, dispatch and what is linked: shared/attention.wgsl. HEAD is a multiple of 4.
//
// One invocation owns 4 whole query rows: nothing crosses invocations, so there is no barrier. That needs hundreds of
// registers, which a CPU adapter keeps in memory at no loss; a GPU should run attention.wgsl.

const HEAD: u32 = 64u;
const TILE_ROWS: u32 = 32u;
const TILE_KEYS: u32 = 8u;
// Of an invocation: rows, vectors of four elements of the head.
const ROWS: u32 = 4u;
const VALUES: u32 = HEAD / 4u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let q_base = params.q_offset + group.z * params.q_stride.x + group.y * params.q_stride.y;
    let k_base = params.k_offset + group.z * params.k_stride.x + group.y * params.k_stride.y;
    let v_base = params.v_offset + group.z * params.v_stride.x + group.y * params.v_stride.y;
    let first_row = group.x * TILE_ROWS;

    var row: array<u32, ROWS>; // registers
    var q_row: array<u32, ROWS>; // registers
    var top: array<f32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        row[r] = first_row + r * 8u + local.x;
        q_row[r] = q_base + min(row[r], params.rows - 1u) * params.q_stride.z;
        top[r] = LOWEST;
    }
    var dim: array<u32, HEAD>; // registers
    for (var d = 0u; d < HEAD; d += 1u) { dim[d] = min(d, params.head_dim - 1u) * params.v_stride.w; } // unroll

    var sum: array<f32, ROWS>; // registers
    var acc: array<array<vec4<f32>, VALUES>, ROWS>; // registers

    for (var key = 0u; key < params.keys; key += TILE_KEYS) {
        // Scores of ROWS rows and TILE_KEYS keys.
        var k_row: array<u32, TILE_KEYS>; // registers
        for (var j = 0u; j < TILE_KEYS; j += 1u) { // unroll
            k_row[j] = k_base + min(key + j, params.keys - 1u) * params.k_stride.z;
        }
        var s: array<array<vec4<f32>, 2>, ROWS>; // registers
        for (var d = 0u; d < params.head_dim; d += 1u) {
            let k_d = d * params.k_stride.w;
            let q_d = d * params.q_stride.w;
            let low = vec4<f32>(k[k_row[0] + k_d], k[k_row[1] + k_d], k[k_row[2] + k_d], k[k_row[3] + k_d]);
            let high = vec4<f32>(k[k_row[4] + k_d], k[k_row[5] + k_d], k[k_row[6] + k_d], k[k_row[7] + k_d]);
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                let x = q[q_row[r] + q_d];
                s[r][0] += x * low;
                s[r][1] += x * high;
            }
        }

        // Probabilities relative to the new maximum of each row.
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            s[r][0] = masked(s[r][0], group, row[r], key);
            s[r][1] = masked(s[r][1], group, row[r], key + 4u);
            let new_top = max(max(top[r], highest(s[r][0])), highest(s[r][1]));
            let rescale = rescaling(top[r], new_top);
            top[r] = new_top;
            sum[r] *= rescale;
            for (var d = 0u; d < VALUES; d += 1u) { acc[r][d] *= rescale; } // unroll
            s[r][0] = exponential(s[r][0] - new_top);
            s[r][1] = exponential(s[r][1] - new_top);
        }

        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        let tile_end = min(key + TILE_KEYS, params.keys);
        for (var j = key; j < tile_end; j += 1u) {
            let v_row = v_base + j * params.v_stride.z;
            var x: array<f32, ROWS>; // registers
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                x[r] = s[r][0].x;
                sum[r] += x[r];
                s[r][0] = vec4<f32>(s[r][0].yzw, s[r][1].x);
                s[r][1] = vec4<f32>(s[r][1].yzw, 0.0);
            }
            for (var d = 0u; d < VALUES; d += 1u) { // unroll
                let y = vec4<f32>(v[v_row + dim[4u * d]], v[v_row + dim[4u * d + 1u]],
                                  v[v_row + dim[4u * d + 2u]], v[v_row + dim[4u * d + 3u]]);
                for (var r = 0u; r < ROWS; r += 1u) { acc[r][d] += x[r] * y; } // unroll
            }
        }
    }

    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        sum[r] = divisor(sum[r], group, row[r]);
        for (var d = 0u; d < VALUES; d += 1u) { acc[r][d] /= sum[r]; } // unroll
    }
    for (var q = 0u; q < VALUES; q += 1u) { // rotate
        for (var r = 0u; r < ROWS; r += 1u) { // rotate
            for (var c = 0u; c < 4u; c += 1u) { // rotate
                store(group, first_row + r * 8u + local.x, 4u * q + c, acc[r][q][c]);
            }
        }
    }
}
