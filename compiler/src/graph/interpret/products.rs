//! Matrix products of the reference interpreter: tiles of columns, side by side on several threads.
//!
//! Every sum starts where the caller says and runs upwards over k, one multiplication and one addition in f64 at a time: the bits
//! are those of a plain loop, whatever the tiles and threads. It deliberately knows no tensor: who calls it gathers.

/// Columns of a tile.
pub const TILE: usize = 32;
/// Rows that share the elements of a tile.
const ROWS: usize = 4;
/// Multiplications below which one thread does everything.
const FEW: usize = 1 << 18;
/// Most threads.
const MAX_THREADS: usize = 16;

/// A row of a tile.
pub type TileRow = [f64; TILE];

/// c (m, n) = start + Σ over k of a (m, k) · b (k, n). `gather` writes the columns of b from the given one on, a row for each k,
/// into a tile of zeros; what it leaves beyond column n does not matter.
pub fn matrix(
    a: &[f64],
    [m, k, n]: [usize; 3],
    start: f64,
    gather: &(impl Fn(usize, &mut [TileRow]) + Sync),
) -> Vec<f64> {
    let tiles = n.div_ceil(TILE);
    let many = m.saturating_mul(k).saturating_mul(n) >= FEW;
    let available = if many { std::thread::available_parallelism().map_or(1, |n| n.get()) } else { 1 };
    let threads = available.clamp(1, MAX_THREADS).min(tiles.max(1));
    let share = |first: usize| -> Vec<(usize, Vec<TileRow>)> {
        let mut b = vec![[0.0; TILE]; k];
        let of_tile = |tile: usize| {
            b.fill([0.0; TILE]);
            gather(tile * TILE, &mut b);
            (tile, columns(a, &b, m, start))
        };
        (first..tiles).step_by(threads).map(of_tile).collect()
    };
    let parts: Vec<(usize, Vec<TileRow>)> = if threads == 1 {
        share(0)
    } else {
        std::thread::scope(|scope| {
            let share = &share;
            let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || share(first))).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| match worker.join() {
                Ok(parts) => parts,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            workers.into_iter().flat_map(join).collect::<Vec<_>>()
        })
    };
    let mut c = vec![0.0; m * n];
    for (tile, rows) in parts {
        let (first, end) = (tile * TILE, n.min((tile + 1) * TILE));
        for (row, sums) in c.chunks_exact_mut(n).zip(rows) {
            row[first..end].copy_from_slice(&sums[..end - first]);
        }
    }
    c
}

/// A tile of c.
fn columns(a: &[f64], b: &[TileRow], m: usize, start: f64) -> Vec<TileRow> {
    let k = b.len();
    let mut sums = vec![[start; TILE]; m];
    if k == 0 {
        return sums;
    }
    for (sums, a) in sums.chunks_mut(ROWS).zip(a.chunks(ROWS * k)) {
        for (step, b) in b.iter().enumerate() {
            for (sums, a) in sums.iter_mut().zip(a.chunks_exact(k)) {
                let factor = a[step];
                sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += factor * b);
            }
        }
    }
    sums
}
