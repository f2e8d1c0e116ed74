// each.wgsl -- an invocation for every number below params.count: an element, or whatever the kernel counts.
//
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   compute(i: u32).

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.width + id.x;
    if (i < params.count) { compute(i); }
}
