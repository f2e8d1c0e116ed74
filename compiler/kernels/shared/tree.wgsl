// tree.wgsl -- rows that `lanes` invocations of a workgroup share, and what these have found of one, combined in a fixed tree.
//
// Dispatch:  ceil(rows / (INVOCATIONS / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Expects:   Partial, a type; combined(a, b, tree), what two partial results of a tree are together; params.lanes, a power of two
//            up to INVOCATIONS.

const INVOCATIONS: u32 = 64u;
// Each tree has memory of its own, so that no barrier is needed between a last read and the next write.
const TREES: u32 = 1u;

var<workgroup> partials: array<Partial, TREES * INVOCATIONS>;

fn lane_of(local: u32) -> u32 { return local & (params.lanes - 1u); }

fn row_of(group: vec3<u32>, local: u32) -> u32 {
    return (group.y * params.width + group.x) * (INVOCATIONS / params.lanes) + local / params.lanes;
}

// The row's result, to all of its invocations. Called once a tree.
fn combined_in_tree(own: Partial, local: u32, tree: u32) -> Partial {
    let lane = lane_of(local);
    let place = tree * INVOCATIONS + local;
    partials[place] = own;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) { partials[place] = combined(partials[place], partials[place + half], tree); }
        workgroupBarrier();
    }
    return partials[place - lane];
}
