//! A budget that sessions on one device share: each reserves what it declares before it allocates, and gives back what it frees.
//!
//! It counts declarations, which sessions never exceed, not allocations: so the sum of what is held is never above the limit,
//! not even while sessions are opened side by side. It frees nothing itself, and nobody waits here.

use crate::api::Error;
use crate::lock::lock;
use std::sync::{Arc, Mutex};

/// What all sessions on a device may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    /// By number of reservation: for whom, and how much.
    held: Mutex<Vec<(u64, String, u64)>>,
}

impl Budget {
    pub(crate) fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit_bytes, held: Mutex::default() })
    }

    /// What is reserved.
    pub(crate) fn held_bytes(&self) -> u64 {
        lock(&self.held).iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// Reserves for a session that is called `name`.
    pub(crate) fn reserve(self: &Arc<Self>, name: &str, bytes: u64) -> Result<Reservation, Error> {
        let number = {
            let mut held = lock(&self.held);
            let number = held.iter().map(|(number, ..)| number + 1).max().unwrap_or(0);
            held.push((number, name.to_owned(), 0));
            number
        };
        let reservation = Reservation { budget: Arc::clone(self), number };
        reservation.resize(bytes)?;
        Ok(reservation)
    }
}

/// A session's part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    number: u64,
}

impl Reservation {
    /// Reserves so much instead; what was reserved stays if that does not fit.
    pub(crate) fn resize(&self, bytes: u64) -> Result<(), Error> {
        let budget_bytes = self.budget.limit_bytes;
        let mut held = lock(&self.budget.held);
        let others = held.iter().filter(|(number, ..)| *number != self.number);
        let sum = others.clone().try_fold(bytes, |sum, (_, _, bytes)| sum.checked_add(*bytes));
        if sum.is_none_or(|sum| sum > budget_bytes) {
            let held = others.map(|(_, name, bytes)| (name.clone(), *bytes)).collect();
            return Err(Error::SharedBudget { needed_bytes: bytes, budget_bytes, held });
        }
        held.iter_mut().filter(|(number, ..)| *number == self.number).for_each(|(_, _, own)| *own = bytes);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.budget.held).retain(|(number, ..)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_never_exceed_the_limit_and_name_who_holds_what() {
        let budget = Budget::new(100);
        let first = budget.reserve("depth", 60).unwrap();
        let refused = budget.reserve("vit", 41).unwrap_err();
        assert!(
            matches!(&refused, Error::SharedBudget { needed_bytes: 41, budget_bytes: 100, held } if *held == [("depth".to_owned(), 60)]),
            "{refused}"
        );
        assert_eq!(budget.held_bytes(), 60, "what was refused holds nothing");
        let second = budget.reserve("vit", 40).unwrap();
        first.resize(61).unwrap_err();
        assert_eq!(budget.held_bytes(), 100);
        first.resize(10).unwrap();
        second.resize(90).unwrap();
        second.resize(u64::MAX).unwrap_err();
        drop(second);
        assert_eq!(budget.held_bytes(), 10);
        budget.reserve("caption", 90).unwrap();
    }
}
