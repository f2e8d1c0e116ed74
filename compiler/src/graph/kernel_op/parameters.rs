//! The operators with a kernel of their own as plain data: their parameters, and what their operands and results are.
//!
//! What they do is in `operators/`, a file each. It deliberately holds no behaviour.

/// How elements are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulation {
    /// Their sum.
    Sum,
    /// Their product.
    Product,
}

/// Attention to a cache of which a part is there. Operands: queries (batch, heads, rows, size), keys and values (batch, key
/// heads, capacity, size), the number i32 (batch) of keys in front of the first query, where it is given a sink (heads) that
/// takes a share of every row's weights, and a bias that is added to scores (batch, heads, rows, keys), an axis of which may be 1.
/// With `causal`, query i sees as many keys as there are in front of it, and its own; else those of the last query; none that the
/// bias does not have. A head of keys is shared by as many heads of queries, the first by the first few. Result: the queries' shape.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedAttention {
    /// Whether a query sees no later one.
    pub causal: bool,
    /// Whether there is a sink.
    pub sinks: bool,
    /// Whether there is a bias.
    pub bias: bool,
    /// What products are multiplied by; 1 / √size where none is given.
    pub scale: Option<f32>,
    /// A bound that scores approach by tanh.
    pub softcap: Option<f32>,
    /// The last so many keys are seen, the query's own included.
    pub window: Option<usize>,
}

/// Sum or product of the elements up to each place along an axis, in ascending order. One operand.
#[derive(Debug, Clone, PartialEq)]
pub struct Cumulative {
    /// Sum or product.
    pub accumulation: Accumulation,
    /// The axis.
    pub axis: usize,
    /// Without the element itself.
    pub exclusive: bool,
    /// From the end.
    pub reverse: bool,
}

/// Operands: x (batch, channels, height, width), offsets (batch, groups · taps · 2, rows, columns) with the shift along the
/// height first, and where it is given a mask (batch, groups · taps, rows, columns) that elements are multiplied with. Result
/// (batch, channels · taps, rows, columns). Outside x are zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct DeformableColumns {
    /// Extent of the window.
    pub kernel: [usize; 2],
    /// Steps.
    pub strides: [usize; 2],
    /// Distances between taps.
    pub dilations: [usize; 2],
    /// Padding before the first element of each axis, then after the last.
    pub pads: [usize; 4],
    /// Groups of channels with offsets of their own.
    pub groups: usize,
}

/// Determinants. One operand (…, n, n), result (…).
#[derive(Debug, Clone, PartialEq)]
pub struct Det;

/// How a grid sample interpolates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleKind {
    /// The nearest element.
    Nearest,
    /// Between the two neighbours along each axis.
    Linear,
    /// Between four neighbours along each axis. Two spatial axes only.
    Cubic,
}

/// What a grid sample reads outside its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplePadding {
    /// Zeros.
    Zeros,
    /// The nearest element of the border.
    Border,
    /// The input reflected at its border.
    Reflection,
}

/// Elements at the places that a grid gives, in [−1, 1] along each axis, innermost axis first. Operands: x (batch, channels,
/// spatial…), grid (batch, places…, spatial rank); two or three spatial axes. Result (batch, channels, places…).
#[derive(Debug, Clone, PartialEq)]
pub struct GridSample {
    /// Interpolation.
    pub kind: SampleKind,
    /// Outside the input.
    pub padding: SamplePadding,
    /// Whether −1 and 1 are the centres of the corner elements, or else their outer edges.
    pub align_corners: bool,
}

/// Inverses. One operand (…, n, n), result (…, n, n).
#[derive(Debug, Clone, PartialEq)]
pub struct Inverse;

/// Attention as a recurrence over rows. Operands: queries (batch, rows, heads · group · size), keys (batch, rows, heads · size), values
/// (batch, rows, heads · value size), and where they are given a past state (batch, heads, size, value size), the logarithm of what
/// it is multiplied by (batch, rows, heads, or heads · size) and the rate of its correction (batch, rows, heads, or 1). Result
/// (batch, heads, group · rows + size, value size): a line a query, the first of every group first, then the state.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearAttention {
    /// Heads of keys.
    pub heads: usize,
    /// Heads of queries that share one.
    pub group: usize,
    /// What results are multiplied by; 1 / √size where none is given.
    pub scale: Option<f32>,
    /// Whether there is a past state, or else zeros.
    pub past: bool,
    /// Whether the state decays.
    pub decay: bool,
    /// Whether only what the state does not hold yet is added, at the rate given.
    pub beta: bool,
}

/// Every region of interest as `size` bins. Operands: x (batch, channels, height, width), regions (count, 5) as batch entry,
/// x and y of first and last element. Result (count, channels, size…). An entry outside reads the nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxRoiPool {
    /// Bins along height and width.
    pub size: [usize; 2],
    /// Elements of x for one unit of a region's coordinates.
    pub scale: f32,
}

/// Every region of interest as `size` bins. Operands: x (batch, channels, height, width), regions (count, 4) as x and y of
/// first and last corner, i32 batch entries (count). Result (count, channels, size…).
#[derive(Debug, Clone, PartialEq)]
pub struct RoiAlign {
    /// Bins along height and width.
    pub size: [usize; 2],
    /// Samples of a bin along an axis; 0 for as many as the bin covers elements, rounded up.
    pub samples: usize,
    /// Elements of x for one unit of a region's coordinates.
    pub scale: f32,
    /// Whether coordinates are those of pixel centres, half a pixel from their corners.
    pub half_pixel: bool,
    /// The maximum, or else the mean.
    pub max: bool,
}

/// Rotary embeddings. Operands: x (batch, heads, rows, size), cosines and sines (positions, half), i32 positions (batch, rows). The
/// first 2 · half elements of a row are turned in pairs. Result: x's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Whether a pair is two neighbours, or else elements `half` apart.
    pub interleaved: bool,
}

/// Operands: cache (batch, …), update of the same shape but along the axis, where it is no longer, and with a third operand
/// i32 places (batch) along the axis, else 0. Result: the cache with the update.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorScatter {
    /// The axis, counted from the end: 1 is the last.
    pub axis_from_end: usize,
    /// Whether what is past the end goes on at the start.
    pub circular: bool,
}

/// Indices (i32) of the first `k` elements along an axis in the order of their values; equal ones keep their order.
/// One operand.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// The axis.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// Descending, or else ascending.
    pub largest: bool,
}
