// tree.wgsl -- what the invocations that share a row have found, combined in a fixed tree.
//
// Expects:   Partial, a type; combined(a, b), a Partial of two; params.lanes, a power of two up to 64.

var<workgroup> partials: array<Partial, 64>;

// The row's result, to all of its invocations. Called once.
fn combined_in_tree(own: Partial, local: u32) -> Partial {
    let lane = local & (params.lanes - 1u);
    partials[local] = own;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[local] = combined(partials[local], partials[local + half]);
        }
        workgroupBarrier();
    }
    return partials[local - lane];
}
