// batch.wgsl -- the three batch coordinates of a product from the workgroup's z.

fn batch_of(z: u32) -> vec3<u32> {
    return vec3<u32>(z / (params.batch_1 * params.batch_2), (z / params.batch_2) % params.batch_1, z % params.batch_2);
}
