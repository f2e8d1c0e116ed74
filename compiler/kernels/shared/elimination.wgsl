// elimination.wgsl -- parameters of what takes square matrices apart column by column: for every column k in order, the row at or
// below k with the largest |x[row, k]|, the first of equal ones, is exchanged with row k.

struct Params {
    count: u32, n: u32, width: u32, pad_0: u32,
}

// The first element of that row, of the matrix at `base`.
fn pivot_of(base: u32, k: u32) -> u32 {
    var pivot = base + k * params.n;
    for (var row = pivot + params.n; row < base + params.n * params.n; row += params.n) {
        if (abs(x[row + k]) > abs(x[pivot + k])) { pivot = row; }
    }
    return pivot;
}
