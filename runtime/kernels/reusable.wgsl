// reusable.wgsl -- measured by `flashmem-run profile`: y = a · b, square matrices of `SIDE` rows, tiles of 64 × 64 in workgroup memory.
//
// Bindings: 0 a (SIDE, SIDE / 4), 1 b (SIDE, SIDE / 4), 2 y (SIDE, SIDE / 4). One workgroup of 16 × 16 invocations computes a
// tile, each invocation 4 × 4 elements; the sum runs over k in steps of 16. SIDE is a multiple of 64, so nothing is
// checked.
override SIDE: u32 = 512u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// (64 rows, 4 texels along k)
var<workgroup> tile_a: array<vec4<f32>, 256>;
// (16 rows of k, 16 texels)
var<workgroup> tile_b: array<vec4<f32>, 256>;

@compute @workgroup_size(16, 16)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let index = local.y * 16u + local.x;
    var sum = array<vec4<f32>, 4>();
    for (var k = 0u; k < SIDE; k += 16u) {
        tile_a[index] = a[(group.y * 64u + index / 4u) * (SIDE / 4u) + k / 4u + index % 4u];
        tile_b[index] = b[(k + index / 16u) * (SIDE / 4u) + group.x * 16u + index % 16u];
        workgroupBarrier();
        for (var step = 0u; step < 4u; step++) {
            let b0 = tile_b[(4u * step) * 16u + local.x];
            let b1 = tile_b[(4u * step + 1u) * 16u + local.x];
            let b2 = tile_b[(4u * step + 2u) * 16u + local.x];
            let b3 = tile_b[(4u * step + 3u) * 16u + local.x];
            for (var row = 0u; row < 4u; row++) {
                let x = tile_a[(4u * local.y + row) * 4u + step];
                sum[row] += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
            }
        }
        workgroupBarrier();
    }
    for (var row = 0u; row < 4u; row++) {
        y[(group.y * 64u + 4u * local.y + row) * (SIDE / 4u) + group.x * 16u + local.x] = sum[row];
    }
}
