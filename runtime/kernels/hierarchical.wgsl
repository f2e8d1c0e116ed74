// hierarchical.wgsl -- measured by `flashmem-run profile`: y = softmax of the rows of a, 1,024 elements each.
//
// Bindings: 0 a (rows, 256 texels), 1 unused but read once, 2 y as a. One workgroup a row: its greatest element, the sum of
// exponentials, the quotients. The first element of binding 1 (zero) is added, so that all kernels bind the same buffers.
const TEXELS: u32 = 256u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> partial: array<f32, 64>;

fn reduced(lane: u32, largest: bool) -> f32 {
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            let other = partial[lane + half];
            partial[lane] = select(partial[lane] + other, max(partial[lane], other), largest);
        }
        workgroupBarrier();
    }
    let result = partial[0];
    workgroupBarrier();
    return result;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let start = group.x * TEXELS;
    var largest = a[start + lane];
    for (var j = lane + 64u; j < TEXELS; j += 64u) { largest = max(largest, a[start + j]); }
    partial[lane] = max(max(largest.x, largest.y), max(largest.z, largest.w)) + b[0].x;
    let top = reduced(lane, true);
    var sum = vec4<f32>();
    for (var j = lane; j < TEXELS; j += 64u) { sum += exp(a[start + j] - top); }
    partial[lane] = sum.x + sum.y + sum.z + sum.w;
    let total = reduced(lane, false);
    for (var j = lane; j < TEXELS; j += 64u) { y[start + j] = exp(a[start + j] - top) / total; }
}
