//! The linked plan for one choice of ring, slots and kept pages: every network with new command lists, at its place.
//!
//! A network's own plan is as in a bundle of its own, in numbers of its own, so that plan-format's rules and its replay judge it as
//! they judge any; where it lies among the others is said beside it. It chooses nothing.

use super::share::Shared;
use super::types::{LinkError, LinkOptions, Member, NetworkReport};
use crate::narrow::index32;
use crate::schedule::{Problem, TurnLists, hand_over, turn_lists};
use crate::search::set_slots;
use crate::stages::step_pages_of_plan;
use flashmem_plan_format::linked::{HandOver, Linked, Network};
use flashmem_plan_format::plan::{MemoryDeclaration, PageGeometry, Plan, Requirements, SlotId};
use std::collections::BTreeMap;

/// Most networks for which every ordered pair has a hand-over; beyond, only pairs of a known sequence have.
const MAX_PAIRED: usize = 8;

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Buffers of the ring.
    pub staging_pages: u32,
    /// Most slots that all networks share for the pages that they do not keep.
    pub streaming_slots: u32,
    /// For every network, how many pages it keeps.
    pub kept: Vec<u32>,
}

/// A linked plan that declares what it needs.
pub struct Built {
    /// The plan, its budget not compared with what it declares.
    pub linked: Linked,
    /// Its networks.
    pub reports: Vec<NetworkReport>,
}

impl Built {
    /// The declared peak.
    pub fn peak_bytes(&self) -> Result<u64, LinkError> {
        self.linked.memory.total_bytes().ok_or(LinkError::MemoryOverflow)
    }

    /// Predicted time of runs in this order, the first one cold, all others announced; `None` without an order.
    pub fn sequence_us(&self, sequence: &[u32]) -> Option<f64> {
        let report = |position: u32| &self.reports[position as usize];
        let first = report(*sequence.first()?).cold_us;
        let mut seen = vec![false; self.reports.len()];
        seen[sequence[0] as usize] = true;
        let rest = sequence.windows(2).map(|pair| {
            let (before, next) = (report(pair[0]), report(pair[1]));
            if !std::mem::replace(&mut seen[pair[1] as usize], true) {
                return next.cold_us;
            }
            let handed = before.next.iter().find(|(position, ..)| *position == pair[1]);
            handed.map_or(next.returned_us, |(_, _, after_us)| *after_us)
        });
        Some(first + rest.sum::<f64>())
    }
}

/// No loads under as many slots and with such a ring make runs in this order shorter: in every run its steps are executed, and what
/// is neither in the arena nor in the ring when it starts is read. The first run finds nothing.
pub fn sequence_bound_us(members: &[Member], linked: &Linked, sequence: &[u32]) -> f64 {
    let found = linked.slot_count + linked.staging_pages();
    let run = |(index, network): (usize, &u32)| {
        let problem = &members[*network as usize].problem;
        let execute_us: f64 = problem.steps.iter().map(|step| step.execute_us).sum();
        let missing = problem.page_count().saturating_sub(if index == 0 { 0 } else { found });
        execute_us.max(f64::from(missing) * problem.read_us())
    };
    sequence.iter().enumerate().map(run).sum()
}

/// The scheduling problem of a network with a ring of this size.
pub fn with_ring(problem: &Problem, staging_pages: u32) -> Problem {
    Problem { staging_pages, ..problem.clone() }
}

/// Makes the linked plan of a choice.
pub fn build(members: &[Member], shared: &Shared, options: &LinkOptions, choice: &Choice) -> Result<Built, LinkError> {
    let lists = members
        .iter()
        .zip(&choice.kept)
        .map(|(member, kept)| lists(member, options, choice, *kept))
        .collect::<Result<Vec<_>, _>>()?;
    let mut kept_places: BTreeMap<_, SlotId> = BTreeMap::new();
    let mut networks = Vec::with_capacity(members.len());
    let mut reports = Vec::with_capacity(members.len());
    let page = members.iter().find(|member| member.bundle.plan.page_count > 0).unwrap_or(&members[0]).bundle.plan.page;
    for (index, (member, own)) in members.iter().zip(&lists).enumerate() {
        let mut place = |page| {
            let next = SlotId(index32(kept_places.len()));
            *kept_places.entry(page).or_insert(next)
        };
        let kept_slots = shared.pages[index][..own.kept as usize].iter().map(|page| place(*page)).collect();
        let hand_overs: Vec<_> = hand_overs(index, &lists, &options.sequence);
        reports.push(NetworkReport {
            name: member.name.clone(),
            pages: member.bundle.plan.page_count,
            kept: own.kept,
            cold_us: own.cold.finish_us,
            returned_us: own.returned_us,
            next: hand_overs
                .iter()
                .map(|(hand_over, us)| (hand_over.successor, index32(hand_over.before.len()), *us))
                .collect(),
        });
        networks.push(Network {
            name: member.name.clone(),
            plan: plan(member, own, page, choice),
            pages: shared.page_ranges(index),
            kept_slots,
            constants_offset_bytes: shared.constants_offsets_bytes[index],
            constants_bytes: member.bundle.constants.len() as u64,
            state_offsets_bytes: shared.state_offsets_bytes[index].clone(),
            row_tables: shared.tables[index].clone(),
            kernels: shared.kernels[index].clone(),
            hand_overs: hand_overs.into_iter().map(|(hand_over, _)| hand_over).collect(),
        });
    }
    let kept_slots = index32(kept_places.len());
    let streaming = lists.iter().map(|own| own.slot_count - own.kept).max().unwrap_or(0);
    let mut linked = Linked {
        networks,
        page_count: index32(shared.page_origins.len()),
        kept_slots,
        slot_count: kept_slots + streaming,
        row_tables: shared.row_tables.clone(),
        requirements: Requirements::default(),
        memory: MemoryDeclaration::default(),
        budget_bytes: options.budget_bytes,
        options: options.options.clone(),
        connections: shared.connections.clone(),
    };
    for network in &mut linked.networks {
        declare(&mut network.plan, network.constants_bytes)?;
    }
    linked.requirements = linked.implied_requirements();
    linked.memory = linked.implied_memory().ok_or(LinkError::MemoryOverflow)?;
    Ok(Built { linked, reports })
}

fn lists(member: &Member, options: &LinkOptions, choice: &Choice, kept: u32) -> Result<TurnLists, LinkError> {
    let network = || member.name.clone();
    let problem = with_ring(&member.problem, choice.staging_pages);
    let pages = step_pages_of_plan(&member.bundle.plan);
    let lists = turn_lists(&problem, &pages, (kept, choice.streaming_slots), options.solver);
    let lists = lists.map_err(|source| LinkError::Schedule { network: network(), source })?;
    lists.map_err(|violations| LinkError::ScheduleInvalid { network: network(), violations })
}

/// What a network loads for others, with the predicted times of their runs then.
fn hand_overs(current: usize, lists: &[TurnLists], sequence: &[u32]) -> Vec<(HandOver, f64)> {
    let follows =
        |next: u32| lists.len() <= MAX_PAIRED || sequence.windows(2).any(|pair| pair == [index32(current), next]);
    let successors = (0_u32..).zip(lists).filter(|(successor, _)| follows(*successor));
    let handed = successors.map(|(successor, next)| {
        let (before, after_us) = hand_over(&lists[current], next);
        (HandOver { successor, before, successor_us: after_us.ceil() as u64 }, after_us)
    });
    handed.filter(|(hand_over, _)| !hand_over.before.is_empty()).collect()
}

/// The plan of a network with its command lists.
fn plan(member: &Member, lists: &TurnLists, page: PageGeometry, choice: &Choice) -> Plan {
    let mut plan = member.bundle.plan.clone();
    set_slots(&mut plan, &lists.slots_of_step);
    let has_pages = plan.page_count > 0;
    plan.page = page;
    plan.commands.clone_from(&lists.first);
    plan.repeat_commands.clone_from(&lists.returned);
    plan.slot_count = lists.slot_count;
    plan.slot_cap = lists.kept + choice.streaming_slots;
    plan.staging_pages = if has_pages { choice.staging_pages } else { 0 };
    plan.budget_bytes = None;
    plan.predicted_cold_us = lists.cold.finish_us.ceil() as u64;
    plan.predicted_warm_us = lists.returned_us.ceil() as u64;
    let report = &lists.cold.report;
    plan.provenance.solver = report.solver.to_owned();
    plan.provenance.solver_status = report.status.name().to_owned();
    plan.provenance.solver_gap = report.gap;
    plan
}

fn declare(plan: &mut Plan, constant_bytes: u64) -> Result<(), LinkError> {
    plan.requirements = Requirements::of(plan, constant_bytes);
    plan.memory = MemoryDeclaration::of(plan, constant_bytes).ok_or(LinkError::MemoryOverflow)?;
    Ok(())
}
