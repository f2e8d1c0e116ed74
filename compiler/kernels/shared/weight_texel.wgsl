// weight_texel.wgsl -- one texel of the call's weights before decoding, for kernels that read them one by one.

fn weight_texel(texel: u32) -> vec4<u32> {
    let place = place_of(texel, page_size());
    return textureLoad(weights, place.xy, place.z, 0);
}
