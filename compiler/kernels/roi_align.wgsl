// roi_align.wgsl -- bilinear samples of the bins of regions of interest, averaged or their maximum.
//
// Formula:   a region is (x1, y1, x2, y2) * scale, less half a pixel with half_pixel; without, it has at least one element. A
//            bin has samples * samples samples at its centres, or with samples 0 as many along an axis as it covers elements,
//            rounded up, at most 4096. A sample lies between four elements; outside [-1, size] it is zero.
//            out[r, c, bin] = mean over samples of the sum of weight * x[entry, c, corner], or with max the maximum of them.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides; 4 regions: f32; 5 entries: i32, the nearest one when outside.
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   nothing.

struct Params {
    count: u32, channels: u32, width: u32, is_max: u32,
    rows: u32, columns: u32, x_height: u32, x_width: u32,
    samples: u32, half_pixel: u32, scale: f32, batch: u32,
    stride_batch: u32, stride_channel: u32, stride_row: u32, stride_column: u32,
    x_offset: u32, regions_offset: u32, stride_region: u32, stride_coordinate: u32,
    entries_offset: u32, stride_entry: u32, pad_0: u32, pad_1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> regions: array<f32>;
@group(0) @binding(5) var<storage, read_write> entries: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.width + id.x;
    if (i >= params.count) {
        return;
    }
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
    if (params.half_pixel == 0u) {
        extent = max(extent, vec2<f32>(1.0));
    }
    let size = extent / bins;
    var counts = vec2<f32>(f32(params.samples));
    if (params.samples == 0u) {
        counts = vec2<f32>(samples(extent.x, bins.x), samples(extent.y, bins.y));
    }

    var sum = 0.0;
    var largest = 0.0;
    for (var row = 0.0; row < counts.y; row += 1.0) {
        for (var column = 0.0; column < counts.x; column += 1.0) {
            let corners = sample(plane, first + bin * size + (vec2<f32>(column, row) + 0.5) * size / counts);
            sum += corners.x + corners.y + corners.z + corners.w;
            let most = max(max(corners.x, corners.y), max(corners.z, corners.w));
            largest = select(max(largest, most), most, row + column == 0.0);
        }
    }
    out[i] = select(sum / max(counts.x * counts.y, 1.0), largest, params.is_max != 0u);
}

fn coordinate(at: u32, index: u32) -> f32 {
    return regions[at + index * params.stride_coordinate] * params.scale;
}

// The least whole number of which `bins` times is not less than `extent`: division alone may be off by one.
fn samples(extent: f32, bins: f32) -> f32 {
    if (!(extent > 0.0)) {
        return 0.0;
    }
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
    if (!(all(at >= vec2<f32>(-1.0)) && all(at <= extents))) {
        return vec4<f32>(0.0);
    }
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
