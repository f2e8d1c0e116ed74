//! Where a token or a line of linked text stands in the kernels' sources.

/// Where a token stands in the kernels' sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// File below `kernels/`, without `.wgsl`.
    pub file: &'static str,
    /// Line, from 1.
    pub line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.wgsl:{}", self.file, self.line)
    }
}
