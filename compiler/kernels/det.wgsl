// det.wgsl -- determinants by elimination with row exchanges.
//
// Formula:   behind each exchange (elimination.wgsl) multiples of row k are taken from the rows below; out[m] is the product of
//            the diagonal, negated once an exchange.
// Bindings:  2 out: f32, dense; 3 x: f32, dense (count, n, n), which it overwrites.

fn compute(m: u32) {
    let n = params.n;
    let base = m * n * n;
    var product = 1.0;
    for (var k = 0u; k < n; k += 1u) {
        let own = base + k * n;
        let pivot = pivot_of(base, k);
        let head = x[pivot + k];
        product *= head;
        if (head == 0.0) { break; }
        if (pivot != own) {
            product = -product;
            for (var c = k; c < n; c += 1u) {
                let moved = x[own + c];
                x[own + c] = x[pivot + c];
                x[pivot + c] = moved;
            }
        }
        for (var r = k + 1u; r < n; r += 1u) {
            let row = base + r * n;
            let factor = x[row + k] / head;
            for (var c = k + 1u; c < n; c += 1u) { x[row + c] -= factor * x[own + c]; }
        }
    }
    out[m] = product;
}
