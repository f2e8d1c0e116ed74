// moments.wgsl -- squares are added up twice, of what is multiplied by 2^44 and by 2^-44: one of the sums is within f32 for roots
// from 1e-31 to 1e30.

const UP: f32 = 17592186044416.0;
const DOWN: f32 = 5.684341886080802e-14;

// Whether a sum of squares of what was multiplied by UP has left the range, or is NaN.
fn too_large(square: f32) -> bool { return (bitcast<u32>(square) & 0x7f800000u) == 0x7f800000u; }
