//! Where the elements of a weight lie.

/// Element offsets of every k and n of a weight, worked out once.
pub struct Offsets {
    /// Of every k.
    pub k: Vec<usize>,
    /// Of every n.
    pub n: Vec<usize>,
}
