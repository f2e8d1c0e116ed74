// max_roi_pool.wgsl -- the maximum of every bin of regions of interest.
//
// Formula:   a region is (entry, x1, y1, x2, y2), its corners times scale and rounded, halves away from zero; along each axis
//            it has size = max(last - first + 1, 1) elements and bin b those from floor(b * q) to ceil((b + 1) * q), where
//            q = size / bins, both operations rounded to f32. out[r, c, bin] = max of x[entry, c, bin], 0 of no elements.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides; 4 regions: f32. The nearest entry is read for one outside.
//
// A call takes the rows of x from part_first on, and goes on where the call before has stopped.

struct Params {
    count: u32, channels: u32, width: u32, scale: f32,
    rows: u32, columns: u32, x_height: u32, x_width: u32,
    stride_batch: u32, stride_channel: u32, stride_row: u32, stride_column: u32,
    x_offset: u32, regions_offset: u32, stride_region: u32, stride_coordinate: u32,
    batch: u32, part_first: u32, part_rows: u32, pad_0: u32,
}

@group(0) @binding(4) var<storage, read_write> regions: array<f32>;

fn compute(i: u32) {
    let b = i / params.columns;
    let c = b / params.rows;
    let region = c / params.channels;
    let at = params.regions_offset + region * params.stride_region;
    let entry = clamp(i32(clamp(regions[at], -1.0, 1e6)), 0, i32(params.batch) - 1);
    let plane = params.x_offset + u32(entry) * params.stride_batch + (c - region * params.channels) * params.stride_channel;
    let columns = bin_of(place(at, 1u), place(at, 3u), i - b * params.columns, params.columns, params.x_width);
    let rows = bin_of(place(at, 2u), place(at, 4u), b - c * params.rows, params.rows, params.x_height);

    var largest = -3.4028234e38;
    if (params.part_first > 0u) { largest = out[i]; }
    let part_end = params.part_first + params.part_rows;
    for (var y = max(rows.x, params.part_first); y < min(rows.y, part_end); y += 1u) {
        for (var column = columns.x; column < columns.y; column += 1u) {
            largest = max(largest, x[plane + y * params.stride_row + column * params.stride_column]);
        }
    }
    let is_empty = part_end >= params.x_height && !(rows.x < rows.y && columns.x < columns.y);
    out[i] = select(largest, 0.0, is_empty);
}

// A corner in whole elements.
fn place(at: u32, index: u32) -> i32 {
    let v = regions[at + index * params.stride_coordinate] * params.scale;
    let whole = trunc(v);
    let away = select(0.0, sign(v), abs(v - whole) >= 0.5);
    return i32(clamp(whole + away, -1048576.0, 1048576.0));
}

// First element of a bin, and the one behind its last.
fn bin_of(first: i32, last: i32, bin: u32, bins: u32, extent: u32) -> vec2<u32> {
    let size = u32(max(last - first + 1, 1));
    // The mantissa of size / bins, rounded to 24 bits, and how far it is shifted up.
    var shifted = size;
    var up = 0u;
    while (shifted < bins << 23u) {
        shifted <<= 1u;
        up += 1u;
    }
    var mantissa = shifted / bins;
    let rest = 2u * (shifted - mantissa * bins);
    mantissa += select(0u, 1u, rest > bins || (rest == bins && (mantissa & 1u) == 1u));
    let from_start = rounded(bin * mantissa) >> up;
    let to_end = (rounded((bin + 1u) * mantissa) + (1u << up) - 1u) >> up;
    let end = i32(extent);
    return vec2<u32>(vec2<i32>(clamp(first + i32(from_start), 0, end), clamp(first + i32(to_end), 0, end)));
}

// A whole number rounded to 24 bits, halves to the even one.
fn rounded(value: u32) -> u32 {
    let drop = u32(max(8 - i32(countLeadingZeros(value)), 0));
    let kept = value >> drop;
    let rest = value - (kept << drop);
    let half = (1u << drop) >> 1u;
    let up = drop > 0u && (rest > half || (rest == half && (kept & 1u) == 1u));
    return (kept + select(0u, 1u, up)) << drop;
}
