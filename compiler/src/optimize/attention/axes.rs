//! Axes of the tensors of an attention, by label.

/// Axes of a tensor by label; axes of size 1 have none.
pub type Axes = Vec<Option<u8>>;

/// Labels for axes, `None` where the size is 1.
pub fn axes_of(labels: &[u8], shape: &[usize]) -> Axes {
    labels.iter().zip(shape).map(|(l, dim)| (*dim != 1).then_some(*l)).collect()
}
