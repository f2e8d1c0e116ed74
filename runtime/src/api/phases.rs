//! The phases of opening and of the first run, and what readers and runs spend time on: the one list of their names.
//!
//! What notes them is `time/timeline.rs`; statistics, traces and the benchmark go through all of them.

/// Declares an enum whose variants have names, a list of all, and their number.
macro_rules! named {
    ($(#[$outer:meta])* $enum:ident { $($(#[$inner:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $enum {
            $($(#[$inner])* $variant,)*
        }

        impl $enum {
            /// Number of variants.
            pub const COUNT: usize = [$($name),*].len();

            /// All variants, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// Key in statistics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

named! {
    /// The end of a phase of opening or of the first run, in the order in which they usually come. They overlap.
    Mark {
        /// The bundle is open, valid, and within the budget.
        Validated = "validate_ms",
        /// The first page was announced to the source, which may fetch it before there is memory to put it, or its reading
        /// began.
        ReadingBegan = "reading_began_ms",
        /// Adapters are listed and one is chosen.
        Adapter = "adapter_ms",
        /// The device is there.
        Device = "device_ms",
        /// Staging memory exists: pages can be read into it.
        Staging = "staging_ms",
        /// The first page is read and checked.
        FirstPage = "first_page_ms",
        /// Everything on the device is allocated, filled and bound.
        Allocated = "allocated_ms",
        /// The last pipeline is created.
        Pipelines = "pipelines_ms",
        /// The first dispatch of the first run is encoded.
        FirstDispatch = "first_dispatch_ms",
        /// All pages of the first run are read and checked.
        LastPage = "last_page_ms",
        /// The last dispatch of the first run is submitted.
        LastDispatch = "last_dispatch_ms",
        /// The outputs of the first run are on the host.
        Readback = "readback_ms",
    }
}

named! {
    /// Who waits, or works; sums over all runs.
    Span {
        /// Readers read, check and copy pages; the sum over all of them.
        Reading = "read_busy_ms",
        /// Readers wait for staging memory while there are pages to read; the sum over all of them.
        ReadersWait = "readers_wait_ms",
        /// Runs wait for pages.
        PageWait = "page_wait_ms",
        /// Runs wait for pipelines.
        PipelineWait = "pipeline_wait_ms",
        /// Runs hand work to the device; some software drivers do the work meanwhile.
        Submit = "submit_ms",
    }
}
