//! What is scheduled.

/// Class of an operator, which sets the load capacity of its kernel calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperatorClass {
    /// Every output element from few input elements.
    Elemental,
    /// Input elements read many times: products and convolutions.
    Reusable,
    /// Several dependent passes: softmax, norms, reductions.
    Hierarchical,
}
