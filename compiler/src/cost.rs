//! What a kernel call costs, as the profiles of devices count it: plain numbers, and the class that says how a call bears
//! copies beside it. What it takes in time is the profile's to say.

pub use flashmem_plan_format::plan::OperatorClass;

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
