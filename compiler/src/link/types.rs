//! What is linked, how, and why it cannot be: plain data.

use crate::profile::DeviceLimits;
use crate::schedule::verify::Violation;
use crate::schedule::{Problem, ScheduleError, SolverKind};
use flashmem_plan_format::container::{BundleError, Summary, WriteError};
use flashmem_plan_format::linked::{Linked, Unconnectable};
use flashmem_plan_format::source::FileSource;
use flashmem_plan_format::{Bundle, byte_size};
use std::io;
use std::path::PathBuf;

/// A bundle to link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInput {
    /// What apps will call the network.
    pub name: String,
    /// Where its bundle is.
    pub path: PathBuf,
}

/// How to link.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Most memory that a session may hold; without it everything stays resident.
    pub budget_bytes: Option<u64>,
    /// For each network, how often it runs in comparison with the others.
    pub calls: Vec<f64>,
    /// Positions of networks in the order in which they run, if that is known.
    pub sequence: Vec<u32>,
    /// Whether networks of one model, compiled with different shapes, have their states of one name and shape in common.
    pub shares_states: bool,
    /// Limits of the device.
    pub limits: DeviceLimits,
    /// What searches for schedules.
    pub solver: SolverKind,
    /// How the bundle came about, for people.
    pub options: Vec<(String, String)>,
    /// Outputs that go to inputs on the device.
    pub connections: Vec<ConnectionRequest>,
}

/// An output of one network that the next run of another one, or its own, takes as an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRequest {
    /// Position of the network that gives it, and the output's name.
    pub from: (u32, String),
    /// Position of the network that takes it, and the input's name.
    pub to: (u32, String),
}

/// What is known about a network when it is linked.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkReport {
    /// Its name.
    pub name: String,
    /// Its pages.
    pub pages: u32,
    /// Those that stay resident.
    pub kept: u32,
    /// Predicted time of a run that finds nothing, in microseconds.
    pub cold_us: f64,
    /// Predicted time of a run that finds its kept pages.
    pub returned_us: f64,
    /// For every network that may run next and for which pages are loaded: its position, how many pages, and the predicted time of
    /// its run then.
    pub next: Vec<(u32, u32, f64)>,
}

/// What was linked.
#[derive(Debug)]
pub struct LinkReport {
    /// What was written.
    pub summary: Summary,
    /// The linked plan.
    pub linked: Linked,
    /// Each network, in order.
    pub networks: Vec<NetworkReport>,
    /// Pages of all networks, before equal ones were joined.
    pub pages_given: u32,
    /// Predicted time of the sequence, in microseconds, when every run is announced, and a bound below which no loads bring it.
    pub sequence_us: Option<(f64, f64)>,
}

/// Bundles that cannot be linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A bundle cannot be opened as a file.
    #[error("cannot open {}", path.display())]
    Open {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A bundle cannot be read.
    #[error("{}", path.display())]
    Read {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// Pages of different sizes cannot share slots.
    #[error("the networks have pages of different sizes ({}): compile them anew with one --page size", listed(.sizes))]
    PageSizes {
        /// Names of networks with the bytes of their pages.
        sizes: Vec<(String, u64)>,
    },
    /// The budget is below the smallest that works.
    #[error("a budget of {budget_bytes} bytes cannot work\nsmallest feasible budget: {smallest_bytes} bytes")]
    TooSmall {
        /// What was given.
        budget_bytes: u64,
        /// What works.
        smallest_bytes: u64,
    },
    /// More pages must be resident at once than the device's textures have layers.
    #[error("max_texture_array_layers = {available}, and at least {needed} pages must be resident at once")]
    Layers {
        /// The fewest slots that work.
        needed: u32,
        /// The limit.
        available: u32,
    },
    /// A network has no schedule.
    #[error("network `{network}`")]
    Schedule {
        /// Its name.
        network: String,
        /// Why.
        source: ScheduleError,
    },
    /// The independent checker found violations: a mistake of the scheduler.
    #[error("the schedule of network `{network}` violates its own rules: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    ScheduleInvalid {
        /// Its name.
        network: String,
        /// What was found.
        violations: Vec<Violation>,
    },
    /// A connection of a port that its network does not have.
    #[error("network `{network}` has no {kind} `{name}`; it has {}", .available.join(", "))]
    UnknownPort {
        /// The network.
        network: String,
        /// Output or input.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// An output that cannot be the input.
    #[error("`{from}` cannot be handed to `{to}` on the device")]
    Unconnectable {
        /// Network and output.
        from: String,
        /// Network and input.
        to: String,
        /// Why.
        source: Unconnectable,
    },
    /// The same connection again.
    #[error("`{from}` is connected to `{to}` twice")]
    ConnectedTwice {
        /// Network and output.
        from: String,
        /// Network and input.
        to: String,
    },
    /// Sizes overflow.
    #[error("the memory of the linked bundle exceeds 64 bits")]
    MemoryOverflow,
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn listed(sizes: &[(String, u64)]) -> String {
    let each = sizes.iter().map(|(name, bytes)| format!("`{name}` {}", byte_size::format(*bytes)));
    each.collect::<Vec<_>>().join(", ")
}

/// An opened bundle with its scheduling problem.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) source: FileSource,
    pub(super) bundle: Bundle,
    pub(super) problem: Problem,
}
