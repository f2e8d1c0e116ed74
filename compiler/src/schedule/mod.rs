//! Scheduling.

pub mod problem;
