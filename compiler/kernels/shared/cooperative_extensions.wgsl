// cooperative_extensions.wgsl -- what tiled_cooperative.wgsl needs beyond plain WebGPU, in front of everything.
enable f16;
enable wgpu_cooperative_matrix;
