// weights_plain.wgsl -- what weights without scales are to kernels that scale them: nothing is read, nothing changes.

// What belongs to the four columns of a texel beside their codes.
alias Scale = u32;

// Texels in front of a panel of so many k.
fn head_texels(k: u32) -> u32 { return 0u; }

// Whether another scale holds from this k on.
fn new_block(k: u32) -> bool { return false; }

// The scale of quad `quad` of a panel, whose head starts at texel `head`, from this k on.
fn scale_at(head: u32, k: u32, quad: u32) -> Scale { return Scale(); }

fn scaled(codes: vec4<f32>, scale: Scale) -> vec4<f32> { return codes; }
