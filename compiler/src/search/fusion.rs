//! Adaptive fusion: which epilogues to run on their own again, because the load capacity that their fusion costs is missed.
//!
//! An element-wise kernel hides far more uploads beside it than a matrix product of the same time. Fused into the product it
//! hides nothing. Takes a program and its schedule's resources; ranks the fused products and convolutions by the predicted time
//! that a split saves. Predictions here are one-pass schedules of the steps with the split ones inserted; the caller
//! optimises, lowers and solves anew, and decides by that. Norms and attention are never split: they hide nothing, and what they
//! fuse would be more passes over memory.

use crate::bundle::Assembly;
use crate::cost::OperatorClass;
use crate::graph::origin::OriginId;
use crate::lower::program::{Fused, Program, Step};
use crate::narrow::index32;
use crate::profile::DeviceProfile;
use crate::schedule::{Problem, ScheduleError, StepData, one_pass_finish_us};
use crate::stages::problem;
use std::collections::BTreeMap;
use std::fmt;

/// Relative difference below which two predictions are the same.
const TIME_TOLERANCE: f64 = 1e-6;

/// Passes over memory of a split epilogue: the product's result in, another operand in, the result out.
const EPILOGUE_PASSES: u64 = 3;

/// An epilogue that runs on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Names of the kernel that it was fused into and of its own nodes, for people.
    pub node: String,
    /// Where its nodes come from.
    pub epilogue: Vec<OriginId>,
    /// Predicted time that the split saves, after those before it in the list.
    pub saves_us: f64,
}

/// What adaptive fusion decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FusionReport {
    /// Whether more load capacity beside fused kernels would have made the first solution faster.
    pub capacity_binds: bool,
    /// Predicted time with every fusion whole.
    pub whole_us: f64,
    /// Epilogues that were split, in the order of choice.
    pub splits: Vec<Split>,
}

impl fmt::Display for FusionReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.splits.is_empty() {
            let reason = if self.capacity_binds { "no split is faster" } else { "load capacity does not bind" };
            return write!(out, "whole: {reason}");
        }
        let splits: Vec<String> =
            self.splits.iter().map(|s| format!("{} (saves {:.3} ms)", s.node, s.saves_us / 1e3)).collect();
        write!(out, "{} epilogues split: {}", splits.len(), splits.join(", "))
    }
}

/// What a split is predicted to bring.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proposal {
    /// Whether more load capacity beside fused kernels would be faster.
    pub capacity_binds: bool,
    /// Splits that are predicted to pay, all together, best first.
    pub splits: Vec<Split>,
}

/// A fused kernel, perhaps of several calls.
struct Candidate {
    node: String,
    origins: Vec<OriginId>,
    /// Its last call.
    last_step: usize,
    epilogue: StepData,
}

/// Ranks the fused kernels of a program for the slots and the ring of `assembly`.
///
/// # Errors
/// As for [`problem`].
pub fn propose(program: &Program, assembly: &Assembly<'_>) -> Result<Proposal, ScheduleError> {
    let problem = problem(program, assembly)?;
    let candidates = candidates(program, assembly.profile);
    let Some(whole_us) = one_pass_finish_us(&problem) else { return Ok(Proposal::default()) };
    let faster = |us: f64, than_us: f64| us < than_us * (1.0 - TIME_TOLERANCE);
    let capacity_binds = one_pass_finish_us(&unlimited(program, &problem)).is_some_and(|us| faster(us, whole_us));
    if !capacity_binds {
        return Ok(Proposal::default());
    }
    let mut alone: Vec<(f64, &Candidate)> = candidates
        .iter()
        .filter_map(|candidate| Some((one_pass_finish_us(&with_splits(&problem, &[candidate]))?, candidate)))
        .filter(|(us, _)| faster(*us, whole_us))
        .collect();
    alone.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.last_step.cmp(&b.1.last_step)));
    let (mut chosen, mut splits, mut current_us) = (Vec::new(), Vec::new(), whole_us);
    for (_, candidate) in alone {
        chosen.push(candidate);
        match one_pass_finish_us(&with_splits(&problem, &chosen)).filter(|us| faster(*us, current_us)) {
            Some(us) => {
                let (node, epilogue) = (candidate.node.clone(), candidate.origins.clone());
                splits.push(Split { node, epilogue, saves_us: current_us - us });
                current_us = us;
            }
            None => {
                chosen.pop();
            }
        }
    }
    Ok(Proposal { capacity_binds, splits })
}

/// What a step fuses, when it is a product or convolution with the nodes of an epilogue.
fn fused(step: &Step) -> Option<&Fused> {
    step.fused.as_ref().filter(|_| step.cost.class == OperatorClass::Reusable)
}

/// Every fused kernel with what its epilogue would be on its own.
fn candidates(program: &Program, profile: &DeviceProfile) -> Vec<Candidate> {
    let page_bytes = program.page.page_bytes();
    let mut kernels: BTreeMap<&Fused, (usize, u64)> = BTreeMap::new();
    for (index, step) in program.steps.iter().enumerate() {
        let Some(fused) = fused(step) else { continue };
        // The output is the first binding; the calls of a kernel that was cut bind the same tensor.
        let output_bytes = step.bindings.first().map_or(0, |slice| slice.size_bytes);
        let entry = kernels.entry(fused).or_insert((index, 0));
        *entry = (index, entry.1.max(output_bytes));
    }
    let candidate = |(fused, (last_step, output_bytes)): (&Fused, (usize, u64))| {
        let execute_us = profile.step_cost(OperatorClass::Elemental, 0, EPILOGUE_PASSES * output_bytes);
        let capacity_pages = profile.capacity_pages(OperatorClass::Elemental, execute_us, page_bytes);
        let class = OperatorClass::Elemental;
        let node = program.name(program.steps[last_step].node).to_owned();
        let epilogue = StepData { class, execute_us, capacity_pages };
        Candidate { node, origins: fused.epilogue.clone(), last_step, epilogue }
    };
    kernels.into_iter().map(candidate).collect()
}

/// The problem with unlimited capacity beside fused steps.
fn unlimited(program: &Program, problem: &Problem) -> Problem {
    let mut problem = problem.clone();
    for (step, data) in program.steps.iter().zip(&mut problem.steps) {
        if fused(step).is_some() {
            data.capacity_pages = u32::MAX;
        }
    }
    problem
}

/// The problem with the candidates' epilogues as steps of their own.
fn with_splits(problem: &Problem, candidates: &[&Candidate]) -> Problem {
    let mut after: BTreeMap<usize, &StepData> = BTreeMap::new();
    after.extend(candidates.iter().map(|candidate| (candidate.last_step, &candidate.epilogue)));
    let (mut steps, mut new_index) = (Vec::new(), Vec::new());
    for (index, step) in problem.steps.iter().enumerate() {
        new_index.push(index32(steps.len()));
        steps.push(step.clone());
        steps.extend(after.get(&index).map(|epilogue| (*epilogue).clone()));
    }
    let mut pages = problem.pages.clone();
    for page in &mut pages {
        page.first_step = new_index[page.first_step as usize];
        page.last_step = new_index[page.last_step as usize];
    }
    Problem { steps, pages, ..problem.clone() }
}
