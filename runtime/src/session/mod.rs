//! A session: one bundle on one device, with everything that it will ever hold.
//!
//! `builder.rs` is how apps open one; `opening.rs` checks first and allocates then, `run.rs` has the session and runs it. `trim.rs`
//! gives memory back between runs, `self_test.rs` runs the bundle's own example, `network.rs` one of several networks, `measure.rs` has
//! what only measurements need, `context.rs` is a device that sessions share. A session is used by one thread at a time.

mod builder;
mod context;
#[cfg(not(target_arch = "wasm32"))]
mod measure;
mod network;
mod opening;
mod records;
mod run;
mod self_test;
mod state;
mod state_values;
mod trim;

pub use builder::SessionBuilder;
pub use context::Context;
#[cfg(not(target_arch = "wasm32"))]
pub use measure::EmptyDevice;
pub use run::Session;
