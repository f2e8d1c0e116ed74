//! What a kernel call costs, as the profiles of devices count it: plain numbers, and the class that says how a call bears
//! copies beside it. What it takes in time is the profile's to say.

/// How a kernel reacts to copies that run beside it (the paper's classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorClass {
    /// One output from few inputs, bound by memory (additions, activations).
    Elemental,
    /// Inputs are used many times (matrix multiplication, convolution).
    Reusable,
    /// Several dependent passes (softmax, norms).
    Hierarchical,
}

/// What a call costs, for prediction.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Class, which sets the load capacity.
    pub class: OperatorClass,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
}
