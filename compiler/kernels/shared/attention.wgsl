// attention.wgsl -- parameters and scores of the attention kernels, whose softmax is online: Milakov and Gimelshein,
// Online normalizer calculation for softmax, 2018, arXiv:1805.02867. Linked behind the body.
//
// Formula:   s[j] = score_mask(scale * dot(q[b, h, i, :], k[b, h, j, :]), b, h, i, j)
//            out[b, h, i, :] = sum_j softmax_j(s)[j] * v[b, h, j, :]                    0 <= i < rows, 0 <= j < keys
// Accuracy:  a weight is within (head_dim * the largest sum of magnitudes of a score + keys + 8) * 2^-23 of itself.
// Bindings:  2 out, 3 q, 4 k, 5 v: f32; strides of (batch, head, row, d) in elements, any values.
// Dispatch:  (ceil(rows / TILE_ROWS), heads, batch).
// Expects:   score_mask, whose bindings start at 6 and whose operands lie at score_offsets and score_strides (batch, head, i, j);
//            epilogue, with m = i and n = head * head_dim + d.
// Rows:      a score of NaN or +infinity makes its row NaN; a key whose score is -infinity weighs 0; equal scores, the lowest
//            float included, weigh the same. Where every score is -infinity, the weighted values, which are 0, are divided by
//            empty_sum where score_mask makes -infinity even of NaN (the row is hidden), and by NaN where not (its products
//            overflow): NaN gives NaN as softmax does, 1 gives 0. `infinity` and `nan` have no literals in WGSL.

struct Params {
    rows: u32, keys: u32, head_dim: u32, pad_0: u32,
    scale: f32, infinity: f32, empty_sum: f32, nan: f32,
    q_offset: u32, k_offset: u32, v_offset: u32, out_offset: u32,
    q_stride: vec4<u32>,
    k_stride: vec4<u32>,
    v_stride: vec4<u32>,
    out_stride: vec4<u32>,
    score_offsets: vec4<u32>,
    score_strides: array<vec4<u32>, 3>,
}

fn highest(s: vec4<f32>) -> f32 { return max(max(s.x, s.y), max(s.z, s.w)); }

// Scores of four keys; keys past the end get -infinity.
fn masked(s: vec4<f32>, group: vec3<u32>, row: u32, key: u32) -> vec4<f32> {
    let i = min(row, params.rows - 1u);
    let j = min(key + FOUR, vec4<u32>(params.keys - 1u));
    let t = s * params.scale;
    let m = vec4<f32>(score_mask(t.x, group.z, group.y, i, j.x), score_mask(t.y, group.z, group.y, i, j.y),
                      score_mask(t.z, group.z, group.y, i, j.z), score_mask(t.w, group.z, group.y, i, j.w));
    return select(vec4<f32>(-params.infinity), m, key + FOUR < vec4<u32>(params.keys));
}

// What the sums so far are multiplied by when the maximum grows.
fn rescaling(old_max: f32, new_max: f32) -> f32 { return exp(max(old_max - new_max, -200.0)); }

// What the weighted values of a row are divided by.
fn divisor(sum: f32, group: vec3<u32>, row: u32) -> f32 {
    if (sum != 0.0) { return sum; }
    let hidden = score_mask(params.nan, group.z, group.y, min(row, params.rows - 1u), 0u) == -params.infinity;
    return select(params.nan, params.empty_sum, hidden);
}

// Writes element d of a row, if there is one.
fn store(group: vec3<u32>, row: u32, d: u32, value: f32) {
    if (row < params.rows && d < params.head_dim) {
        let place = params.out_offset + dot(vec4<u32>(group.z, group.y, row, d), params.out_stride);
        out[place] = epilogue(value, group.z, row, group.y * params.head_dim + d);
    }
}

// Four rows of q at d, zero past the end of the head.
fn load_q(base: u32, row: u32, d: u32) -> vec4<f32> {
    let i = base + min(row + FOUR, vec4<u32>(params.rows - 1u)) * params.q_stride.z + min(d, params.head_dim - 1u) * params.q_stride.w;
    return select(vec4<f32>(), vec4<f32>(q[i.x], q[i.y], q[i.z], q[i.w]), d < params.head_dim);
}

// Four elements of a key's values; zero past the end of the head and past the last key.
fn load_v(base: u32, key: u32, d: u32) -> vec4<f32> {
    let i = base + min(key, params.keys - 1u) * params.v_stride.z + (d + FOUR) * params.v_stride.w;
    let inside = d + FOUR < select(vec4<u32>(), vec4<u32>(params.head_dim), key < params.keys);
    return select(vec4<f32>(), vec4<f32>(v[i.x], v[i.y], v[i.z], v[i.w]), inside);
}
