// linear_attention.wgsl -- attention as a recurrence: a matrix for every head of keys, which each step decays, corrects and adds to.
//
// Formula:   S[d, j] starts as past[b, h, d, j], or 0. For t = 0, 1, ...:
//            S[d, j] *= exp(g) with g = decay[b, t, h, d], or decay[b, t, h] where it has one number a head;
//            u = v[b, t, h, j], with has_beta beta[b, t, h] * (v[b, t, h, j] - sum_d k[b, t, h, d] * S[d, j]);
//            S[d, j] += k[b, t, h, d] * u;
//            out[b, h, r * length + t, j] = scale * sum_d q[b, t, h * group + r, d] * S[d, j] for r = 0 .. group.
//            Behind these, out[b, h, group * length + d, j] is S[d, j] after the last step. A call makes `steps` steps, from `first` on.
// Accuracy:  without beta, S is within ((steps so far) * (|decay| + 4) + 4) * 2^-23 of the sum of magnitudes of its terms, and a result
//            within (d_k + 1) * 2^-23 of its own beside that; a correction carries the error of S on.
// Bindings:  2 out: f32, dense (batch, heads, group * length + d_k, d_v); 3 q: f32 (batch, length, heads * group * d_k); 4 k: f32
//            (batch, length, heads * d_k); 5 v: f32 (batch, length, heads * d_v); 6 past: f32 (batch, heads, d_k, d_v); 7 decay: f32
//            (batch, length, heads * decay_size); 8 beta: f32 (batch, length, beta_heads). All are dense; what is absent is not read.
// Dispatch:  one invocation a column of a matrix, which lies in `out`: no other reads or writes it.

struct Params {
    count: u32, width: u32, length: u32, first: u32,
    steps: u32, d_k: u32, d_v: u32, heads: u32,
    group: u32, has_past: u32, decay_size: u32, beta_heads: u32,
    scale: f32, q_offset: u32, k_offset: u32, v_offset: u32,
    past_offset: u32, decay_offset: u32, beta_offset: u32, pad_0: u32,
}

@group(0) @binding(6) var<storage, read_write> past: array<f32>;
@group(0) @binding(7) var<storage, read_write> decay: array<f32>;
@group(0) @binding(8) var<storage, read_write> beta: array<f32>;

fn compute(i: u32) {
    let line = i / params.d_v;
    let column = i % params.d_v;
    let batch = line / params.heads;
    let head = line % params.heads;
    let results = line * (params.group * params.length + params.d_k) * params.d_v + column;
    let state = results + params.group * params.length * params.d_v;
    if (params.first == 0u) {
        for (var d = 0u; d < params.d_k; d += 1u) {
            var start = 0.0;
            if (params.has_past != 0u) {
                start = past[params.past_offset + (line * params.d_k + d) * params.d_v + column];
            }
            out[state + d * params.d_v] = start;
        }
    }
    for (var t = params.first; t < params.first + params.steps; t += 1u) {
        let place = batch * params.length + t;
        let at_head = place * params.heads + head;
        let key = params.k_offset + at_head * params.d_k;
        let recalled = decayed(state, key, at_head);
        var update = v[params.v_offset + at_head * params.d_v + column];
        if (params.beta_heads > 0u) {
            let own = min(head, params.beta_heads - 1u);
            update = beta[params.beta_offset + place * params.beta_heads + own] * (update - recalled);
        }
        for (var d = 0u; d < params.d_k; d += 1u) { out[state + d * params.d_v] += k[key + d] * update; }
        for (var r = 0u; r < params.group; r += 1u) {
            let query = params.q_offset + (at_head * params.group + r) * params.d_k;
            var sum = 0.0;
            for (var d = 0u; d < params.d_k; d += 1u) { sum += q[query + d] * out[state + d * params.d_v]; }
            out[results + (r * params.length + t) * params.d_v] = params.scale * sum;
        }
    }
}

// Decays a column; what it then holds for a key.
fn decayed(state: u32, key: u32, at_head: u32) -> f32 {
    var recalled = 0.0;
    for (var d = 0u; d < params.d_k; d += 1u) {
        var value = out[state + d * params.d_v];
        if (params.decay_size > 0u) {
            let own = min(d, params.decay_size - 1u);
            value *= exponential(vec4<f32>(decay[params.decay_offset + at_head * params.decay_size + own])).x;
            out[state + d * params.d_v] = value;
        }
        recalled += k[key + d] * value;
    }
    return recalled;
}
