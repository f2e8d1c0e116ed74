//! Several networks that take turns in one arena.
//!
//! Every network has a plan that is valid by itself, as in a bundle of its own; a linked bundle adds where its pages, slots,
//! parameters, constants, states, row tables and kernels lie among those that all networks share. `types.rs` is what that
//! holds, as plain data, `connect.rs` what goes between them without the host, `check.rs` has the static rules, `memory.rs`
//! what is declared, `place.rs` moves plans to their places, `turn.rs` says what a run loads when other networks ran before,
//! `proof.rs` follows every pair of networks. Nothing here decides what is kept or shared.

mod check;
mod connect;
mod memory;
mod place;
mod proof;
mod turn;
mod types;
mod violation;

pub use check::check;
pub use connect::{Unconnectable, connectable};
pub use place::{Placed, place};
pub use proof::prove;
pub use turn::{Arena, Turn, Turns, turn};
pub use types::{Connection, HandOver, Linked, MAX_NETWORK_NAME_BYTES, MAX_NETWORKS, Network, PageRange, StoredPlan};
pub use violation::LinkViolation;
