//! The locks of `hand_off.rs`, which its model replaces.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
