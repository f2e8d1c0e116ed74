// inverse.wgsl -- inverses of square matrices by elimination with row exchanges.
//
// Formula:   out[m] starts as the unit matrix. For every column k in order: the row at or below k with the largest
//            |x[row, k]|, the first of equal ones, is exchanged with row k, row k is divided by its element k, and multiples
//            of it are taken from all other rows; what is done to x[m] is done to out[m].
// Bindings:  2 out: f32, dense (count, n, n); 3 x: f32, dense, the same, which it overwrites.

fn compute(m: u32) {
    let n = params.n;
    let base = m * n * n;
    for (var i = 0u; i < n * n; i += 1u) {
        out[base + i] = select(0.0, 1.0, i / n == i % n);
    }
    for (var k = 0u; k < n; k += 1u) {
        let own = base + k * n;
        let pivot = pivot_of(base, k);
        let head = x[pivot + k];
        for (var c = 0u; c < n; c += 1u) {
            let moved = x[own + c];
            x[own + c] = x[pivot + c] / head;
            let moved_out = out[own + c];
            out[own + c] = out[pivot + c] / head;
            if (pivot != own) {
                x[pivot + c] = moved;
                out[pivot + c] = moved_out;
            }
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
