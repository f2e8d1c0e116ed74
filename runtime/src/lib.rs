//! Replays a `.fmplan` bundle on wgpu within the memory that it declares.
