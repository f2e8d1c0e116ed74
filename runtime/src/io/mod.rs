//! The ways that bytes of a bundle come in: files in every mode, servers, sources of the app, and the watch over them.
//!
//! Every mode is a [`ReadAt`]: positional, exact, shared by threads. `file.rs` reads through the system's page cache and
//! advises it, `direct.rs` goes around it, `mapped.rs` reads from a mapping; memory is [`MemorySource`], and `http.rs` reads
//! ranges of a file on a server. In browsers `web.rs` fetches such ranges, as an [`AsyncReadAt`]; `fetch.rs` lets code that
//! knows blocking reads only use such a source. `metered.rs` counts bytes, `watchdog.rs` gives up reads that do not end.
//! docs/runtime.md says which mode is for whom. Nothing here knows pages or plans.
//!
//! [`ReadAt`]: flashmem_plan_format::source::ReadAt
//! [`MemorySource`]: flashmem_plan_format::source::MemorySource

#[cfg(any(all(feature = "http", not(target_arch = "wasm32")), all(feature = "web", target_arch = "wasm32")))]
mod answer;
mod async_source;
#[cfg(not(target_arch = "wasm32"))]
mod direct;
mod fetch;
#[cfg(not(target_arch = "wasm32"))]
mod file;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
mod http;
#[cfg(not(target_arch = "wasm32"))]
mod mapped;
mod metered;
#[cfg(not(target_arch = "wasm32"))]
mod open;
#[cfg(any(not(target_arch = "wasm32"), feature = "web"))]
mod range;
mod source;
mod watchdog;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
mod web;

#[cfg(any(all(feature = "http", not(target_arch = "wasm32")), all(feature = "web", target_arch = "wasm32")))]
pub use answer::HttpError;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
pub use http::HttpSource;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub use web::WebSource;

pub use async_source::{AsyncReadAt, PieceFn, ReadFuture};
pub(crate) use fetch::fetching_first;
pub(crate) use metered::MeteredSource;
pub(crate) use source::FileMode;
pub use source::Source;
pub(crate) use watchdog::watched;
