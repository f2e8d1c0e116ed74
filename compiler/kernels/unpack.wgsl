// unpack.wgsl -- writes a run of quads of the weight stream as f32 elements.
//
// Formula:   out[out_offset + 4 i + c] = component c of quad i, from texel weight_base on
// Bindings:  1 the weight arena, 2 out.

struct Params {
    count: u32, width: u32, weight_base: u32, page_shift: u32,
    out_offset: u32, pad_0: u32, pad_1: u32, pad_2: u32,
    slots: array<vec4<u32>, 16>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn compute(i: u32) {
    let value = weight_quad(params.weight_base, i, 1u, 0u);
    let at = params.out_offset + 4u * i;
    out[at] = value.x;
    out[at + 1u] = value.y;
    out[at + 2u] = value.z;
    out[at + 3u] = value.w;
}
