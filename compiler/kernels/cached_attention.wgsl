// cached_attention.wgsl -- attention to the keys of a cache that are there: how many is read when the kernel runs.
//
// Formula:   s[j] = cap(scale * dot(q[b, h, i, :], k[b, g, j, :])) with g = h / shared and cap(x) = softcap * tanh(x / softcap),
//            or x where softcap is 0, plus bias[b, h, i, j] with has_bias; for j = first .. end with end = min(places[b] + i + 1, keys),
//            without causal min(places[b] + rows, keys), and first = end - window, or 0 where window is 0.
//            out[b, h, i, :] = sum_j exp(s[j] - top) * v[b, g, j, :] / (sum_j exp(s[j] - top) + exp(sinks[h] - top)), the last
//            term only with has_sink; top is the largest of s and of the sink. Where no key is seen, out is 0.
// Accuracy:  a weight is within (head_dim * the largest sum of magnitudes of a score + keys + 8) * 2^-23 of itself.
// Bindings:  2 out: f32, dense (batch, heads, rows, head_dim); 3 q, 4 k, 5 v: f32, strides of (batch, head, row, element); 6
//            places: i32, `place_stride` apart; 7 sinks: f32, `sink_stride` apart; 8 bias: f32, strides of (batch, head, row, key),
//            which may be 0.
// Dispatch:  (rows, heads, batch).
//
// A workgroup owns a query and walks over its keys in tiles of 256, a key an invocation for the scores. For the values, each quarter of
// the invocations takes the keys of its quarter of a tile, and lanes run along the elements of the head, up to four each. A quarter
// adds up its keys in ascending order; the quarters are added up at the end. head_dim is a multiple of 4 and at most 256. A score of
// NaN or +infinity makes its row NaN; one of -infinity weighs nothing.

struct Params {
    rows: u32, keys: u32, head_dim: u32, heads: u32,
    shared_by: u32, window: u32, has_sink: u32, causal: u32,
    scale: f32, softcap: f32, has_bias: u32, bias_offset: u32,
    q_offset: u32, k_offset: u32, v_offset: u32, places_offset: u32,
    place_stride: u32, sink_offset: u32, sink_stride: u32, pad_0: u32,
    q_stride: vec4<u32>,
    k_stride: vec4<u32>,
    v_stride: vec4<u32>,
    bias_stride: vec4<u32>,
}

@group(0) @binding(6) var<storage, read_write> places: array<i32>;
@group(0) @binding(7) var<storage, read_write> sinks: array<f32>;
@group(0) @binding(8) var<storage, read_write> bias: array<f32>;

const TILE: u32 = 256u;
const QUARTER: u32 = 64u;

var<workgroup> query: array<f32, 256>;
var<workgroup> score: array<f32, 256>;
var<workgroup> highest: array<f32, 16>;
var<workgroup> values: array<vec4<f32>, 256>;
var<workgroup> sums: array<f32, 4>;
// The first key that the query sees, and the one behind the last.
var<workgroup> seen: vec2<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x;
    let head = group.y;
    let batch = group.z;
    let k_base = params.k_offset + batch * params.k_stride.x + (head / params.shared_by) * params.k_stride.y;
    let v_base = params.v_offset + batch * params.v_stride.x + (head / params.shared_by) * params.v_stride.y;
    let q_row = params.q_offset + batch * params.q_stride.x + head * params.q_stride.y + row * params.q_stride.z;
    if (lane == 0u) {
        let own = i32(select(params.rows, row + 1u, params.causal != 0u));
        let end = clamp(places[params.places_offset + batch * params.place_stride] + own, 0, i32(params.keys));
        let first = select(0, max(end - i32(params.window), 0), params.window > 0u);
        seen = vec2<u32>(u32(first), u32(end));
    }
    query[lane] = q[q_row + min(lane, params.head_dim - 1u) * params.q_stride.w] * params.scale;
    let bounds = workgroupUniformLoad(&seen);

    let quarter = lane / QUARTER;
    let column = lane - quarter * QUARTER;
    let dims = min(column + FOUR * QUARTER, vec4<u32>(params.head_dim - 1u));
    var top = LOWEST;
    var sum = 0.0;
    if (params.has_sink != 0u) {
        top = sinks[params.sink_offset + head * params.sink_stride];
        sum = select(0.0, 1.0, quarter == 0u);
    }
    var acc = vec4<f32>(0.0);
    for (var tile = bounds.x; tile < bounds.y; tile += TILE) {
        let count = min(TILE, bounds.y - tile);
        var own = LOWEST;
        if (lane < count) {
            own = capped(product(k_base + (tile + lane) * params.k_stride.z));
            if (params.has_bias != 0u) {
                own += bias[params.bias_offset + dot(vec4<u32>(batch, head, row, tile + lane), params.bias_stride)];
            }
        }
        score[lane] = own;
        workgroupBarrier();
        if (lane < 16u) {
            var most = score[16u * lane];
            for (var j = 1u; j < 16u; j += 1u) { most = max(most, score[16u * lane + j]); }
            highest[lane] = most;
        }
        workgroupBarrier();
        var new_top = top;
        for (var j = 0u; j < 16u; j += 1u) { new_top = max(new_top, highest[j]); }
        let rescale = weight(top, new_top);
        top = new_top;
        score[lane] = select(0.0, weight(own, top), lane < count);
        workgroupBarrier();
        sum *= rescale;
        acc *= rescale;
        let end = min((quarter + 1u) * QUARTER, count);
        for (var j = quarter * QUARTER; j < end; j += 4u) {
            let p = vec4<f32>(score[j], score[j + 1u], score[j + 2u], score[j + 3u]);
            sum = (((sum + p.x) + p.y) + p.z) + p.w;
            // A key past the end weighs 0, and is read as the last one.
            let keys = min(tile + j + FOUR, vec4<u32>(bounds.y - 1u));
            let rows = v_base + keys * params.v_stride.z;
            for (var part = 0u; part < 4u; part += 1u) { // unroll
                if (part * QUARTER < params.head_dim) {
                    let at = rows + dims[part] * params.v_stride.w;
                    acc[part] += dot(p, vec4<f32>(v[at.x], v[at.y], v[at.z], v[at.w]));
                }
            }
        }
        workgroupBarrier();
    }

    values[lane] = acc;
    if (column == 0u) { sums[quarter] = sum; }
    workgroupBarrier();
    if (quarter > 0u) { return; }
    let total = ((sums[0] + sums[1]) + sums[2]) + sums[3];
    let whole = ((values[column] + values[column + QUARTER]) + values[column + 2u * QUARTER]) + values[column + 3u * QUARTER];
    let result = whole / select(total, 1.0, total == 0.0);
    let out_row = ((batch * params.heads + head) * params.rows + row) * params.head_dim;
    for (var part = 0u; part < 4u; part += 1u) {
        let d = column + part * QUARTER;
        if (d < params.head_dim) { out[out_row + d] = result[part]; }
    }
}

// The scaled query times a key.
fn product(at: u32) -> f32 {
    let step = params.k_stride.w;
    var total = vec4<f32>(0.0);
    for (var d = 0u; d < params.head_dim; d += 4u) {
        let place = at + d * step;
        let x = vec4<f32>(query[d], query[d + 1u], query[d + 2u], query[d + 3u]);
        total += x * vec4<f32>(k[place], k[place + step], k[place + 2u * step], k[place + 3u * step]);
    }
    return (total.x + total.y) + (total.z + total.w);
}

// The argument of tanh is kept where every device has its exponentials.
fn capped(x: f32) -> f32 {
    if (params.softcap == 0.0) { return x; }
    return params.softcap * tanh(clamp(x / params.softcap, -20.0, 20.0));
}

// exp(x - top), NaN for infinity less infinity.
fn weight(x: f32, top: f32) -> f32 { return exponential(vec4<f32>(x - top)).x; }
