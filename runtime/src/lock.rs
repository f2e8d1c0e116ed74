//! Locks without poisoning.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every mutex of this crate guards plain values that are whole after each statement, so poisoning means nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
