//! The scheduling problem as plain data: steps, pages in upload order, device rates, slots.
//!
//! Takes what lowering and the device profile know; returns a checked [`Problem`] and the two counting tables ([`Demand`])
//! that everything else is written in. It deliberately holds no decision and no time model.

use crate::cost::OperatorClass;
use crate::narrow::index32;
use std::ops::Range;

/// One kernel call.
#[derive(Debug, Clone, PartialEq)]
pub struct StepData {
    /// Class.
    pub class: OperatorClass,
    /// Predicted time without any upload beside it.
    pub execute_us: f64,
    /// Pages whose upload the step hides.
    pub capacity_pages: u32,
}

/// Steps that use a page: it lives from its upload to the end of `last_step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageUse {
    /// First step that reads it.
    pub first_step: u32,
    /// Last step that reads it.
    pub last_step: u32,
}

/// Everything that a schedule depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Size of every page.
    pub page_bytes: u64,
    /// Kernel calls in order.
    pub steps: Vec<StepData>,
    /// Pages in file order, which is ascending `first_step`.
    pub pages: Vec<PageUse>,
    /// Most pages that may be resident at once.
    pub slot_cap: u32,
    /// Buffers of the staging ring, one page each.
    pub staging_pages: u32,
    /// Disk rate.
    pub disk_bytes_per_us: f64,
    /// Rate of the copy from staging into the arena.
    pub upload_bytes_per_us: f64,
}

/// A problem that contradicts itself; a mistake of the stage that made it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProblemError {
    /// A rate that is not positive and finite.
    #[error("{rate} is {value}, not a positive number")]
    Rate {
        /// Field.
        rate: &'static str,
        /// Its value.
        value: f64,
    },
    /// A size of zero although there are pages.
    #[error("{field} is 0 although there are pages")]
    Zero {
        /// Field.
        field: &'static str,
    },
    /// A step whose time is negative or not finite.
    #[error("step {step} takes {execute_us} us, not a number from 0 up")]
    ExecuteTime {
        /// Step.
        step: u32,
        /// Its time.
        execute_us: f64,
    },
    /// A page used by no step, by a step that does not exist, or out of first-use order.
    #[error("page {page} is used from step {first_step} to {last_step}: outside the problem or out of first-use order")]
    PageUse {
        /// Page.
        page: u32,
        /// Its first step.
        first_step: u32,
        /// Its last step.
        last_step: u32,
    },
    /// A page that no step reads.
    #[error("page {page} is read by no step")]
    UnusedPage {
        /// Page.
        page: u32,
    },
    /// More steps or pages than indices.
    #[error("{count} {what} are more than 2^31")]
    TooMany {
        /// Steps or pages.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

impl Problem {
    /// Number of steps.
    pub fn step_count(&self) -> u32 {
        index32(self.steps.len())
    }
    /// Number of pages.
    pub fn page_count(&self) -> u32 {
        index32(self.pages.len())
    }
    /// Time to read one page.
    pub fn read_us(&self) -> f64 {
        self.page_bytes as f64 / self.disk_bytes_per_us
    }
    /// Time to upload one page that no step hides.
    pub fn upload_us(&self) -> f64 {
        self.page_bytes as f64 / self.upload_bytes_per_us
    }
    /// Sum of all execution times.
    pub fn execute_us(&self) -> f64 {
        self.steps.iter().map(|step| step.execute_us).sum()
    }

    /// Checks that the data are consistent; the first contradiction is returned.
    pub fn check(&self) -> Result<(), ProblemError> {
        for (what, count) in [("steps", self.steps.len()), ("pages", self.pages.len())] {
            if count > i32::MAX as usize {
                return Err(ProblemError::TooMany { what, count });
            }
        }
        let rates = [("disk_bytes_per_us", self.disk_bytes_per_us), ("upload_bytes_per_us", self.upload_bytes_per_us)];
        for (rate, value) in rates {
            if !(value.is_finite() && value > 0.0) {
                return Err(ProblemError::Rate { rate, value });
            }
        }
        if !self.pages.is_empty() {
            let sizes = [("page_bytes", self.page_bytes), ("staging_pages", u64::from(self.staging_pages))];
            if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
                return Err(ProblemError::Zero { field });
            }
        }
        for (step, data) in (0_u32..).zip(&self.steps) {
            if !(data.execute_us.is_finite() && data.execute_us >= 0.0) {
                return Err(ProblemError::ExecuteTime { step, execute_us: data.execute_us });
            }
        }
        let mut previous_first = 0;
        for (page, page_use) in (0_u32..).zip(&self.pages) {
            let PageUse { first_step, last_step } = *page_use;
            if first_step < previous_first || last_step < first_step || last_step >= self.step_count() {
                return Err(ProblemError::PageUse { page, first_step, last_step });
            }
            previous_first = first_step;
        }
        Ok(())
    }
}

/// First and last use of every page, from the page range that each step reads. The stream must be in first-use order.
pub fn page_uses(step_pages: &[Option<Range<u32>>], page_count: u32) -> Result<Vec<PageUse>, ProblemError> {
    let mut uses: Vec<Option<PageUse>> = vec![None; page_count as usize];
    for (step, range) in (0_u32..).zip(step_pages) {
        for page in range.clone().into_iter().flatten() {
            let Some(entry) = uses.get_mut(page as usize) else {
                return Err(ProblemError::PageUse { page, first_step: step, last_step: step });
            };
            entry.get_or_insert(PageUse { first_step: step, last_step: step }).last_step = step;
        }
    }
    (0_u32..).zip(uses).map(|(page, page_use)| page_use.ok_or(ProblemError::UnusedPage { page })).collect()
}

/// The counting tables of a problem. Since uploads happen in page order, a schedule is a sequence of counts, and every
/// rule about residency is a comparison with these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Pages that must have been uploaded before step `s` starts: `#{p : first_step(p) ≤ s}`.
    pub needed: Vec<u32>,
    /// Pages that are dead when step `s` starts: `#{p : last_step(p) < s}`. All of them were uploaded before.
    pub dead: Vec<u32>,
}

impl Demand {
    /// Counts the uses of a checked problem.
    pub fn new(problem: &Problem) -> Self {
        let steps = problem.steps.len();
        let (mut needed, mut dead) = (vec![0; steps], vec![0; steps + 1]);
        for page in &problem.pages {
            needed[page.first_step as usize] += 1;
            dead[page.last_step as usize + 1] += 1;
        }
        dead.truncate(steps);
        for step in 1..steps {
            needed[step] += needed[step - 1];
            dead[step] += dead[step - 1];
        }
        Self { needed, dead }
    }

    /// The fewest slots with which any schedule exists: the largest number of pages that one step needs resident, its own
    /// and those that later steps use again.
    pub fn smallest_slots(&self) -> u32 {
        self.needed.iter().zip(&self.dead).map(|(needed, dead)| needed - dead).max().unwrap_or(0)
    }
}
