// roi_align.wgsl -- bilinear samples of the bins of regions of interest, averaged or their maximum.
//
// Formula:   a region is (x1, y1, x2, y2) * scale, less half a pixel with half_pixel; without, it has at least one element. A
//            bin has samples * samples samples at its centres, or with samples 0 as many along an axis as it covers elements,
//            rounded up, at most 4096. A sample lies between four elements; outside [-1, size] it is zero.
//            out[r, c, bin] = mean over samples of the sum of weight * x[entry, c, corner], or with max the maximum of them.
// Accuracy:  a mean is within (samples of the bin + 8) * 2^-24 of the mean of magnitudes, where samples lie as f32 places them.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides; 4 regions: f32; 5 entries: i32, the nearest one when outside.
//
// A call takes the rows of samples from part_first on, of those inside, and goes on where the call before has stopped.

struct Params {
    count: u32, channels: u32, width: u32, is_max: u32,
    rows: u32, columns: u32, x_height: u32, x_width: u32,
    samples: u32, half_pixel: u32, scale: f32, batch: u32,
    stride_batch: u32, stride_channel: u32, stride_row: u32, stride_column: u32,
    x_offset: u32, regions_offset: u32, stride_region: u32, stride_coordinate: u32,
    entries_offset: u32, stride_entry: u32, part_first: u32, part_rows: u32,
}

@group(0) @binding(4) var<storage, read_write> regions: array<f32>;
@group(0) @binding(5) var<storage, read_write> entries: array<i32>;

fn compute(i: u32) {
    let b = i / params.columns;
    let c = b / params.rows;
    let region = c / params.channels;
    let bin = vec2<f32>(f32(i - b * params.columns), f32(b - c * params.rows));
    let bins = vec2<f32>(f32(params.columns), f32(params.rows));
    let entry = clamp(entries[params.entries_offset + region * params.stride_entry], 0, i32(params.batch) - 1);
    let plane = params.x_offset + u32(entry) * params.stride_batch + (c - region * params.channels) * params.stride_channel;

    let at = params.regions_offset + region * params.stride_region;
    let shift = select(0.0, 0.5, params.half_pixel != 0u);
    let first = vec2<f32>(coordinate(at, 0u), coordinate(at, 1u)) - shift;
    let last = vec2<f32>(coordinate(at, 2u), coordinate(at, 3u)) - shift;
    var extent = last - first;
    if (params.half_pixel == 0u) { extent = max(extent, vec2<f32>(1.0)); }
    let size = extent / bins;
    var counts = vec2<f32>(f32(params.samples));
    if (params.samples == 0u) { counts = vec2<f32>(samples(extent.x, bins.x), samples(extent.y, bins.y)); }

    let start = first + bin * size;
    let columns = inside(start.x, size.x, counts.x, params.x_width);
    let rows = inside(start.y, size.y, counts.y, params.x_height);
    // Samples outside are zeros.
    let all_inside = all(vec2<f32>(columns.y - columns.x, rows.y - rows.x) == counts);
    let from_lowest = params.is_max != 0u && all_inside && counts.x > 0.0 && counts.y > 0.0;
    var result = bitcast<f32>(select(0u, 0xff800000u, from_lowest));
    if (params.part_first > 0u) { result = out[i]; }
    let part_start = rows.x + f32(params.part_first);
    for (var row = part_start; row < min(rows.y, part_start + f32(params.part_rows)); row += 1.0) {
        for (var column = columns.x; column < columns.y; column += 1.0) {
            let corners = sample(plane, start + (vec2<f32>(column, row) + 0.5) * size / counts);
            let most = max(max(corners.x, corners.y), max(corners.z, corners.w));
            result = select(result + (corners.x + corners.y + corners.z + corners.w), max(result, most), params.is_max != 0u);
        }
    }
    if (params.is_max == 0u && params.part_first + params.part_rows >= samples_inside(params.x_height)) {
        result /= max(counts.x * counts.y, 1.0);
    }
    out[i] = result;
}

// The samples of a bin from the first to behind the last that may lie inside an axis of `extent` elements; all of them where
// their number is given. Where it is not, they are at most one element apart, and more than half of one.
fn inside(start: f32, size: f32, count: f32, extent: u32) -> vec2<f32> {
    if (params.samples > 0u || count < 1.0) { return vec2<f32>(0.0, count); }
    let first = clamp(floor((-1.0 - start) * count / size - 0.5), 0.0, count);
    return vec2<f32>(first, min(count, first + f32(samples_inside(extent))));
}

fn samples_inside(extent: u32) -> u32 { return select(2u * extent + 6u, params.samples, params.samples > 0u); }

fn coordinate(at: u32, index: u32) -> f32 { return regions[at + index * params.stride_coordinate] * params.scale; }

// The least whole number of which `bins` times is not less than `extent`: division alone may be off by one.
fn samples(extent: f32, bins: f32) -> f32 {
    if (!(extent > 0.0)) { return 0.0; }
    var count = ceil(extent / bins);
    if ((count - 1.0) * bins >= extent) {
        count -= 1.0;
    } else if (count * bins < extent) {
        count += 1.0;
    }
    return min(count, 4096.0);
}

// The four elements around `at`, (x, y), each times its weight.
fn sample(plane: u32, at: vec2<f32>) -> vec4<f32> {
    let extents = vec2<f32>(f32(params.x_width), f32(params.x_height));
    if (!(all(at >= vec2<f32>(-1.0)) && all(at <= extents))) { return vec4<f32>(0.0); }
    let place = max(at, vec2<f32>(0.0));
    let end = vec2<u32>(params.x_width - 1u, params.x_height - 1u);
    let low = min(vec2<u32>(place), end);
    let high = min(low + 1u, end);
    let part = select(place - vec2<f32>(low), vec2<f32>(0.0), low == end);
    let top = plane + low.y * params.stride_row;
    let bottom = plane + high.y * params.stride_row;
    let left = low.x * params.stride_column;
    let right = high.x * params.stride_column;
    return vec4<f32>(
        (1.0 - part.y) * (1.0 - part.x) * x[top + left],
        (1.0 - part.y) * part.x * x[top + right],
        part.y * (1.0 - part.x) * x[bottom + left],
        part.y * part.x * x[bottom + right],
    );
}
