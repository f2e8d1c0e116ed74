// words.wgsl -- the parameters, the output and the first operand of kernels of words, whatever they stand for.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<u32>;
