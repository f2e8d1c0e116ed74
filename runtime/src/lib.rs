//! Replays a `.fmplan` bundle on wgpu within the memory that it declares.
//!
//! [`Session::open`] opens and validates a bundle, checks the device's limits and the budget, and then allocates
//! everything that it will ever hold; pages are read and pipelines created in the background from there on.
//! [`Session::run`] takes the weight pages in the plan's order, copies them into their slots and dispatches the kernels.
//! Nothing is allocated on the device after loading, and no pipeline is created after the first run. Sessions that are to
//! share one device are opened on a [`Context`].
//!
//! The runtime deliberately makes no decisions: order, slots, sizes and submissions are the plan's.
//!
//! ```no_run
//! use flashmem_runtime::{Options, Session, Tensor};
//!
//! let mut session = Session::open("model.fmplan", &Options::default())?;
//! let outputs = session.run(&[("x", Tensor::from_f32(&[1, 4], &[1.0, 2.0, 3.0, 4.0]))])?;
//! println!("{:?}", outputs.get("y").and_then(Tensor::as_f32));
//! # Ok::<(), flashmem_runtime::Error>(())
//! ```

#![cfg_attr(
    target_arch = "wasm32",
    expect(clippy::arc_with_non_send_sync, reason = "the same types are shared by threads elsewhere")
)]

mod clock;
mod context;
mod control;
mod convert;
mod counting;
mod device;
mod error;
mod fetch;
mod gpu;
mod io;
mod ledger;
mod limits;
#[cfg(not(target_arch = "wasm32"))]
mod measure;
#[cfg(feature = "npz")]
pub mod npz;
mod options;
mod patience;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub mod profile;
mod replay;
mod self_test;
mod session;
mod stats;
mod tensor;
mod timeline;
#[cfg_attr(target_arch = "wasm32", path = "timer_web.rs")]
mod timer;
mod trace;
mod watch;

pub use context::Context;
pub use control::{CancelToken, Progress, ProgressFn, RunControl};
pub use error::{Error, InputError, SelfTestError};
pub use fetch::{AsyncReadAt, PieceFn, ReadFuture};
pub use flashmem_plan_format::plan::{ElementType, PageId};
pub use flashmem_plan_format::source::{FileSource, MemorySource, ReadAt};
#[cfg(any(all(feature = "http", not(target_arch = "wasm32")), all(feature = "web", target_arch = "wasm32")))]
pub use io::HttpError;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
pub use io::HttpSource;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub use io::WebSource;
pub use io::{IoMode, IoNote};
#[cfg(not(target_arch = "wasm32"))]
pub use measure::EmptyDevice;
pub use options::Options;
pub use session::{PortInfo, Session};
pub use stats::Stats;
pub use tensor::{Outputs, Tensor};
