// attention.wgsl -- scaled dot-product attention with online softmax, head dimension at most HEAD.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/attention.wgsl.
// Constants: HEAD, a multiple of 16.
//
// A workgroup owns 32 query rows and walks over the keys in tiles of 32. Lanes run along rows, local y splits the
// keys of a tile for the scores, then the head dimension for the values. Only probabilities and partial maxima cross
// invocations.

const HEAD: u32 = 64u;
const TILE_ROWS: u32 = 32u;
const TILE_KEYS: u32 = 32u;
// Of an invocation: rows, vectors of four keys, elements of the head, vectors of them.
const ROWS: u32 = 4u;
const KEYS: u32 = 2u;
const DIMS: u32 = HEAD / 4u;
const VALUES: u32 = DIMS / 4u;

var<workgroup> probability: array<f32, 1024>;
var<workgroup> partial_max: array<f32, 128>;

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let batch = group.z;
    let head = group.y;
    let q_base = params.q_offset + batch * params.q_stride.x + head * params.q_stride.y;
    let k_base = params.k_offset + batch * params.k_stride.x + head * params.k_stride.y;
    let v_base = params.v_offset + batch * params.v_stride.x + head * params.v_stride.y;
    let lane = local.x;
    let first_row = group.x * TILE_ROWS;
    let last_key = params.keys - 1u;
    let first_d = local.y * DIMS;

    var row: array<u32, ROWS>; // registers
    var q_row: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        row[r] = first_row + r * 8u + lane;
        q_row[r] = q_base + min(row[r], params.rows - 1u) * params.q_stride.z;
    }
    var dim: array<u32, DIMS>; // registers
    for (var d = 0u; d < DIMS; d += 1u) { // unroll
        dim[d] = v_base + min(first_d + d, params.head_dim - 1u) * params.v_stride.w;
    }

    var top: array<f32, ROWS>; // registers
    var sum: array<f32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        top[r] = LOWEST;
        sum[r] = 0.0;
    }
    var acc: array<array<vec4<f32>, VALUES>, ROWS>; // registers

    for (var tile = 0u; tile < params.keys; tile += TILE_KEYS) {
        // Scores of ROWS rows and 4 KEYS keys.
        let key = tile + local.y * (4u * KEYS);
        var k_row: array<u32, 4u * KEYS>; // registers
        for (var j = 0u; j < 4u * KEYS; j += 1u) { // unroll
            k_row[j] = k_base + min(key + j, last_key) * params.k_stride.z;
        }
        var s: array<array<vec4<f32>, KEYS>, ROWS>; // registers
        for (var d = 0u; d < params.head_dim; d += 1u) {
            let k_d = d * params.k_stride.w;
            let q_d = d * params.q_stride.w;
            var y: array<vec4<f32>, KEYS>; // registers
            for (var j = 0u; j < KEYS; j += 1u) { // unroll
                y[j] = vec4<f32>(k[k_row[4u * j] + k_d], k[k_row[4u * j + 1u] + k_d],
                                 k[k_row[4u * j + 2u] + k_d], k[k_row[4u * j + 3u] + k_d]);
            }
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                let x = q[q_row[r] + q_d];
                for (var j = 0u; j < KEYS; j += 1u) { // unroll
                    s[r][j] += x * y[j];
                }
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            for (var j = 0u; j < KEYS; j += 1u) { // unroll
                s[r][j] = masked(s[r][j], batch, head, row[r], key + 4u * j);
            }
            partial_max[local.y * TILE_ROWS + r * 8u + lane] = max(highest(s[r][0]), highest(s[r][1]));
        }
        workgroupBarrier();

        // Probabilities relative to the new maximum of each row.
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            var new_top = top[r];
            for (var part = 0u; part < 4u; part += 1u) { // unroll
                new_top = max(new_top, partial_max[part * TILE_ROWS + r * 8u + lane]);
            }
            let rescale = rescaling(top[r], new_top);
            top[r] = new_top;
            sum[r] *= rescale;
            for (var d = 0u; d < VALUES; d += 1u) { // unroll
                acc[r][d] *= rescale;
            }
            for (var j = 0u; j < KEYS; j += 1u) { // unroll
                let p = probabilities(s[r][j], top[r]);
                let at = (local.y * (4u * KEYS) + 4u * j) * TILE_ROWS + r * 8u + lane;
                probability[at] = p.x;
                probability[at + TILE_ROWS] = p.y;
                probability[at + 2u * TILE_ROWS] = p.z;
                probability[at + 3u * TILE_ROWS] = p.w;
            }
        }
        workgroupBarrier();

        let count = min(TILE_KEYS, params.keys - tile);
        for (var j = 0u; j < count; j += 1u) {
            let v_row = (tile + j) * params.v_stride.z;
            var y: array<vec4<f32>, VALUES>; // registers
            for (var d = 0u; d < VALUES; d += 1u) { // unroll
                y[d] = vec4<f32>(v[dim[4u * d] + v_row], v[dim[4u * d + 1u] + v_row],
                                 v[dim[4u * d + 2u] + v_row], v[dim[4u * d + 3u] + v_row]);
            }
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                let x = probability[j * TILE_ROWS + r * 8u + lane];
                sum[r] += x;
                for (var d = 0u; d < VALUES; d += 1u) { // unroll
                    acc[r][d] += x * y[d];
                }
            }
        }
    }

    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        sum[r] = divisor(sum[r]);
        for (var d = 0u; d < VALUES; d += 1u) { // unroll
            acc[r][d] /= sum[r];
        }
    }
    let out_base = params.out_offset + batch * params.out_stride.x + head * params.out_stride.y;
    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var first = 0u; first < DIMS; first += 4u) {
        var value: array<vec4<f32>, ROWS>; // registers
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            value[r] = acc[r][0];
        }
        for (var r = 0u; r < ROWS; r += 1u) {
            let i = first_row + r * 8u + lane;
            for (var c = first; c < first + 4u; c += 1u) {
                if (i < params.rows && first_d + c < params.head_dim) {
                    let d = first_d + c;
                    out[out_base + i * params.out_stride.z + d * params.out_stride.w] =
                        epilogue(value[0].x, batch, i, head * params.head_dim + d);
                }
                value[0] = value[0].yzwx;
            }
            for (var next = 1u; next < ROWS; next += 1u) { // unroll
                value[next - 1u] = value[next];
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            for (var next = 1u; next < VALUES; next += 1u) { // unroll
                acc[r][next - 1u] = acc[r][next];
            }
        }
    }
}
