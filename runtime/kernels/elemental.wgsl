// elemental.wgsl -- measured by `flashmem-run profile`: y = a + b, element by element.
//
// Bindings: 0 a, 1 b, 2 y, of equal length (n / 4 texels). Bound by memory: 12 bytes an element, one addition.
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if (i >= arrayLength(&y)) { return; }
    y[i] = a[i] + b[i];
}
