//! Replays a `.fmplan` bundle on wgpu within the memory that it declares.
//!
//! [`Session::builder`] opens and validates a bundle, checks the device's limits and the budget, and then allocates
//! everything that it will ever hold; pages are read and pipelines created in the background from there on.
//! [`Session::run`] takes the weight pages in the plan's order, copies them into their slots and dispatches the kernels.
//! Nothing is allocated on the device after loading, and no pipeline is created after the first run. Sessions that are to
//! share one device are opened on a [`Context`].
//!
//! The folders stand on one another in this order, and form no circle: `api/`, `time/`, `device/`, `io/`, `trace/`, `pages/`,
//! `loaded/`, `replay/`, `session/`. The runtime deliberately makes no decisions: order, slots, sizes and submissions are the
//! plan's.
//!
//! ```no_run
//! use flashmem_runtime::{Session, Tensor};
//!
//! let mut session = Session::builder("model.fmplan").open()?;
//! let outputs = session.run(&[("x", Tensor::from_f32(&[1, 4], &[1.0, 2.0, 3.0, 4.0]))])?;
//! println!("{:?}", outputs.get("y").and_then(Tensor::as_f32));
//! # Ok::<(), flashmem_runtime::Error>(())
//! ```

#![cfg_attr(
    target_arch = "wasm32",
    expect(clippy::arc_with_non_send_sync, reason = "the same types are shared by threads elsewhere")
)]

mod api;
mod device;
mod io;
mod loaded;
mod lock;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod messages;
#[cfg(feature = "npz")]
pub mod npz;
mod pages;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub mod profile;
mod replay;
mod session;
mod time;
mod trace;

pub use api::{
    CancelToken, ConnectionInfo, Error, InputError, IoMode, IoNote, IoStats, MAX_RUN_RECORDS, Mark, MemoryStats,
    NetworkInfo, Options, Outputs, Phases, PlanStats, PortInfo, Progress, ProgressFn, RunRecord, RunRequest,
    SelfTestError, Span, Stats, Tensor,
};
pub use flashmem_plan_format::plan::{ElementType, PageId};
pub use flashmem_plan_format::source::{FileSource, MemorySource, ReadAt};
pub use half::f16;
#[cfg(any(all(feature = "http", not(target_arch = "wasm32")), all(feature = "web", target_arch = "wasm32")))]
pub use io::HttpError;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
pub use io::HttpSource;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub use io::WebSource;
pub use io::{AsyncReadAt, PieceFn, ReadFuture, Source};
#[cfg(not(target_arch = "wasm32"))]
pub use session::EmptyDevice;
pub use session::{Context, Session, SessionBuilder};
