// matrix.wgsl -- what the products of matrices have in common: batches, and where results go.

// The three batch coordinates from the workgroup's z.
fn batch_of(z: u32) -> vec3<u32> {
    return vec3<u32>(z / (params.batch_1 * params.batch_2), (z / params.batch_2) % params.batch_1, z % params.batch_2);
}

fn out_base_of(z: u32, part: u32) -> u32 {
    return params.out_offset + dot(batch_of(z), params.out_batch_stride.xyz) + part * params.out_batch_stride.w;
}

// Writes element (m, n0 + column), if there is one.
fn store(out_base: u32, z: u32, m: u32, column: u32, value: f32) {
    if (m < params.m && column < params.n_count) {
        let n = params.n0 + column;
        out[out_base + m * params.out_stride_m + n * params.out_stride_n] = epilogue(value, z, m, n);
    }
}
