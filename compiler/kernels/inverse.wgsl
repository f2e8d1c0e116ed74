// inverse.wgsl -- inverses of square matrices by elimination with row exchanges.
//
// Formula:   out[m] starts as the unit matrix. Behind each exchange (elimination.wgsl) row k is divided by its element k, and
//            multiples of it are taken from all other rows; what is done to x[m] is done to out[m].
// Bindings:  2 out: f32, dense (count, n, n); 3 x: f32, dense, the same, which it overwrites.

fn compute(m: u32) {
    let n = params.n;
    let base = m * n * n;
    for (var i = 0u; i < n * n; i += 1u) { out[base + i] = select(0.0, 1.0, i / n == i % n); }
    for (var k = 0u; k < n; k += 1u) {
        let own = base + k * n;
        let pivot = pivot_of(base, k);
        let head = x[pivot + k];
        for (var c = 0u; c < n; c += 1u) {
            let divided = vec2<f32>(x[pivot + c], out[pivot + c]) / head;
            x[pivot + c] = x[own + c];
            out[pivot + c] = out[own + c];
            x[own + c] = divided.x;
            out[own + c] = divided.y;
        }
        for (var r = 0u; r < n; r += 1u) {
            let row = base + r * n;
            let factor = x[row + k];
            if (r != k) {
                for (var c = 0u; c < n; c += 1u) {
                    x[row + c] -= factor * x[own + c];
                    out[row + c] -= factor * out[own + c];
                }
            }
        }
    }
}
