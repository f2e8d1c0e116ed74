// reusable_wide.wgsl -- measured by `flashmem-run profile` on adapters that compute on the CPU: y = a · b, square matrices of `SIDE` rows.
//
// Bindings: 0 a (SIDE, SIDE / 4), 1 b (SIDE, SIDE / 4), 2 y (SIDE, SIDE / 4). One invocation computes 4 rows of 8 texels in
// registers, without workgroup memory and barriers, which a CPU adapter emulates slowly. SIDE is a multiple of 256.
override SIDE: u32 = 512u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x * 8u;
    let row = id.y * 4u;
    if (column >= SIDE / 4u || row >= SIDE) { return; }
    var sum = array<array<vec4<f32>, 8>, 4>();
    for (var k = 0u; k < SIDE / 4u; k++) {
        let x0 = a[row * (SIDE / 4u) + k];
        let x1 = a[(row + 1u) * (SIDE / 4u) + k];
        let x2 = a[(row + 2u) * (SIDE / 4u) + k];
        let x3 = a[(row + 3u) * (SIDE / 4u) + k];
        for (var lane = 0u; lane < 4u; lane++) {
            for (var j = 0u; j < 8u; j++) {
                let w = b[(4u * k + lane) * (SIDE / 4u) + column + j];
                sum[0][j] += x0[lane] * w;
                sum[1][j] += x1[lane] * w;
                sum[2][j] += x2[lane] * w;
                sum[3][j] += x3[lane] * w;
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 8u; j++) { y[(row + i) * (SIDE / 4u) + column + j] = sum[i][j]; }
    }
}
