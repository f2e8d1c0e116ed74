//! The device: how it is chosen and opened, its limits, every wait for it, and what it holds and may hold.
//!
//! Nothing here knows files or commands; a plan's requirements and declaration are all that it knows of plans.

pub(crate) mod adapter;
mod budget;
mod cooperative;
mod gpu;
mod ledger;
mod limits;
mod plan_bytes;

pub(crate) use budget::{Budget, Reservation};
pub(crate) use cooperative::CooperativeBytes;
pub(crate) use gpu::{Gpu, MapTicket, checked, unmapped};
pub(crate) use ledger::{Kind, Ledger};
pub(crate) use limits::limits_for;
pub(crate) use plan_bytes::plan_bytes;
