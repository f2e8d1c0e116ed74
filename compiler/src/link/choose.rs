//! Ring, slots and kept pages for a budget: the least predicted time of all calls together.
//!
//! A network that returns finds its kept pages and streams the others through slots that all networks share. With frequencies f,
//! kept pages k and shared slots T, what is minimised is Σ f·t(k, T), t being the predicted time of a run that finds k pages,
//! under Σ k + T ≤ slots. For every ring and T that are tried it is a knapsack with one choice a network, solved exactly over the
//! numbers of kept pages that are tried, all of them for networks of few pages. Networks whose pages are the same (entries of one
//! model) keep them together: these cost slots once. Reads that nothing waits for count a little as well, so that of equal times
//! the one with fewer wins. What is left of the slots goes, page by page, where it saves most.

use super::build::{Built, Choice, build, with_ring};
use super::share::Shared;
use super::types::{LinkError, LinkOptions, Member};
use crate::narrow::count32;
use crate::schedule::{Demand, Problem, returned_us};

/// Sizes of the ring that are tried.
const RINGS: [u32; 3] = [2, 4, 8];

/// Numbers of kept pages that are tried, at most so many and evenly over the pages.
const KEPT_TRIED: u32 = 32;

/// Numbers of shared slots beyond the fewest that are tried.
const SLOTS_TRIED: [u32; 12] = [0, 1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 256];

/// Choices that are compared by the time of a known sequence, which hand-overs make shorter: the best ones without these.
const SEQUENCES_TRIED: usize = 6;

/// What a read costs beside the time that it makes a run longer by, as a fraction of the time that it takes.
const READ_COST: f64 = 1e-3;

/// Most slots that are spent by choice: the array layers that practically every device offers.
const MAX_SLOTS: u32 = 2048;

/// Decides and builds.
pub fn choose(members: &[Member], shared: &Shared, options: &LinkOptions) -> Result<Built, LinkError> {
    let chooser = Chooser { members, shared, options, groups: groups(shared) };
    let smallest = chooser.build(&chooser.smallest(RINGS[0]))?;
    let (smallest_bytes, available) = (smallest.peak_bytes()?, options.limits.texture_array_layers);
    if let Some(budget_bytes) = options.budget_bytes.filter(|budget| *budget < smallest_bytes) {
        return Err(LinkError::TooSmall { budget_bytes, smallest_bytes });
    }
    if smallest.linked.slot_count > available {
        return Err(LinkError::Layers { needed: smallest.linked.slot_count, available });
    }
    let mut candidates = Vec::new();
    for ring in RINGS {
        if let Some(slots) = chooser.slots(&smallest, ring)? {
            candidates.extend(chooser.all(ring, slots));
        }
    }
    // Equal times stay in order: smaller rings first, then fewer shared slots.
    candidates.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    if options.sequence.is_empty() {
        return match candidates.into_iter().next() {
            Some((_, choice)) => chooser.fitted(choice, smallest),
            None => Ok(smallest),
        };
    }
    let mut best = smallest;
    for (_, choice) in candidates.into_iter().take(SEQUENCES_TRIED) {
        let built = chooser.fitted(choice, chooser.build(&chooser.smallest(RINGS[0]))?)?;
        if built.sequence_us(&options.sequence) < best.sequence_us(&options.sequence) {
            best = built;
        }
    }
    Ok(best)
}

/// Positions of networks whose pages are the same, in order.
fn groups(shared: &Shared) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (network, pages) in shared.pages.iter().enumerate() {
        match groups.iter_mut().find(|group| shared.pages[group[0]] == *pages) {
            Some(group) => group.push(network),
            None => groups.push(vec![network]),
        }
    }
    groups
}

struct Chooser<'a> {
    members: &'a [Member],
    shared: &'a Shared,
    options: &'a LinkOptions,
    groups: Vec<Vec<usize>>,
}

impl Chooser<'_> {
    fn build(&self, choice: &Choice) -> Result<Built, LinkError> {
        build(self.members, self.shared, self.options, choice)
    }

    fn page_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.bundle.plan.page.page_bytes()).max().unwrap_or(1)
    }

    fn smallest_streaming(&self) -> u32 {
        let least = self.members.iter().map(|member| Demand::new(&member.problem).smallest_slots());
        least.max().unwrap_or(0)
    }

    /// The choice that needs least.
    fn smallest(&self, staging_pages: u32) -> Choice {
        Choice { staging_pages, streaming_slots: self.smallest_streaming(), kept: vec![0; self.members.len()] }
    }

    /// The slots that the budget leaves with a ring of this size; `None` where it is too large a ring.
    fn slots(&self, smallest: &Built, ring: u32) -> Result<Option<u32>, LinkError> {
        let all = count32(self.shared.page_origins.len() as u64);
        let least = smallest.linked.slot_count;
        let most = all.min(self.options.limits.texture_array_layers).min(MAX_SLOTS).max(least);
        let Some(budget_bytes) = self.options.budget_bytes else { return Ok(Some(most)) };
        let page_bytes = self.page_bytes();
        let ring_bytes = u64::from(ring - RINGS[0]) * page_bytes;
        let spare = budget_bytes.checked_sub(smallest.peak_bytes()?.saturating_add(ring_bytes));
        Ok(spare.map(|spare| u64::from(least).saturating_add(spare / page_bytes).min(most.into()) as u32))
    }

    /// The best choice with so many slots.
    fn best(&self, ring: u32, slots: u32) -> Option<Choice> {
        let best = self.all(ring, slots).into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, choice)| choice)
    }

    /// For every number of shared slots that is tried, the best choice and its predicted time of all calls.
    fn all(&self, ring: u32, slots: u32) -> Vec<(f64, Choice)> {
        let problems: Vec<_> = self.members.iter().map(|member| with_ring(&member.problem, ring)).collect();
        let least = self.smallest_streaming();
        // Everything kept needs no shared slots at all.
        let tried = SLOTS_TRIED.iter().map(|more| least + more).chain([0]).filter(|streaming| *streaming <= slots);
        let choice = |streaming: u32| {
            let (us, kept) = self.knapsack(&problems, streaming, slots - streaming)?;
            let mut choice = Choice { staging_pages: ring, streaming_slots: streaming, kept };
            let us = self.fill(&problems, &mut choice, slots - streaming, us);
            Some((us, choice))
        };
        tried.filter_map(choice).collect()
    }

    /// Predicted time of all calls of a group that keeps so many pages; `None` where the slots do not suffice.
    fn group_us(&self, problems: &[Problem], group: &[usize], kept: u32, streaming: u32) -> Option<f64> {
        let times = group.iter().map(|network| {
            let problem = &problems[*network];
            let reads_us = f64::from(problem.page_count() - kept) * problem.read_us();
            Some((returned_us(problem, kept, streaming)? + READ_COST * reads_us) * self.options.calls[*network])
        });
        times.sum()
    }

    /// The least time with at most `capacity` kept pages, and the number of each network.
    fn knapsack(&self, problems: &[Problem], streaming: u32, capacity: u32) -> Option<(f64, Vec<u32>)> {
        let capacity = capacity as usize;
        // The least time of the groups so far, by kept pages, and what the last group keeps for it.
        let mut least = vec![Some(0.0_f64); capacity + 1];
        let mut chosen: Vec<Vec<u32>> = Vec::new();
        for group in &self.groups {
            let pages = problems[group[0]].page_count();
            let choices: Vec<(u32, f64)> = tried(pages.min(capacity as u32))
                .filter_map(|kept| Some((kept, self.group_us(problems, group, kept, streaming)?)))
                .collect();
            let mut next: Vec<Option<f64>> = vec![None; capacity + 1];
            let mut keeps = vec![0; capacity + 1];
            for (kept, us) in choices {
                for used in kept as usize..=capacity {
                    let Some(before) = least[used - kept as usize] else { continue };
                    if next[used].is_none_or(|known| before + us < known) {
                        (next[used], keeps[used]) = (Some(before + us), kept);
                    }
                }
            }
            least = next;
            chosen.push(keeps);
        }
        let us = least[capacity]?;
        let (mut kept, mut left) = (vec![0; self.members.len()], capacity);
        for (group, keeps) in self.groups.iter().zip(&chosen).rev() {
            group.iter().for_each(|network| kept[*network] = keeps[left]);
            left -= keeps[left] as usize;
        }
        Some((us, kept))
    }

    /// Spends what is left of the slots page by page where it saves most; gives the time then.
    fn fill(&self, problems: &[Problem], choice: &mut Choice, slots: u32, mut us: f64) -> f64 {
        loop {
            let used: u32 = self.groups.iter().map(|group| choice.kept[group[0]]).sum();
            let mut best: Option<(f64, &Vec<usize>)> = None;
            for group in &self.groups {
                let kept = choice.kept[group[0]];
                if used >= slots || kept >= problems[group[0]].page_count() {
                    continue;
                }
                let of = |kept| self.group_us(problems, group, kept, choice.streaming_slots);
                let Some((before, after)) = of(kept).zip(of(kept + 1)) else { continue };
                if before > after && best.is_none_or(|(saved, _)| before - after > saved) {
                    best = Some((before - after, group));
                }
            }
            let Some((saved, group)) = best else { return us };
            us -= saved;
            group.iter().for_each(|network| choice.kept[*network] += 1);
        }
    }

    /// Builds a choice; where its command lists make the plan too large for the budget, one of fewer slots.
    fn fitted(&self, mut choice: Choice, smallest: Built) -> Result<Built, LinkError> {
        loop {
            let built = self.build(&choice)?;
            let (peak_bytes, budget_bytes) = (built.peak_bytes()?, self.options.budget_bytes);
            let Some(budget_bytes) = budget_bytes.filter(|budget| *budget < peak_bytes) else { return Ok(built) };
            let over = (peak_bytes - budget_bytes).div_ceil(self.page_bytes());
            let slots = choice.streaming_slots + self.groups.iter().map(|group| choice.kept[group[0]]).sum::<u32>();
            let fewer = u64::from(slots).checked_sub(over).map(|fewer| fewer as u32);
            match fewer.and_then(|fewer| self.best(choice.staging_pages, fewer)) {
                Some(fewer) => choice = fewer,
                None if choice.staging_pages > RINGS[0] => choice = self.smallest(RINGS[0]),
                None => return Ok(smallest),
            }
        }
    }
}

/// Numbers of kept pages that are tried, of so many pages.
fn tried(pages: u32) -> impl Iterator<Item = u32> {
    let parts = KEPT_TRIED.min(pages.max(1));
    let mut last = None;
    let numbers = (0..=parts).map(move |part| (u64::from(pages) * u64::from(part) / u64::from(parts)) as u32);
    numbers.filter(move |number| last.replace(*number) != Some(*number))
}

#[cfg(test)]
mod tests {
    use super::tried;

    #[test]
    fn few_numbers_are_all_tried_and_many_evenly() {
        assert_eq!(tried(0).collect::<Vec<_>>(), [0]);
        assert_eq!(tried(3).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let many: Vec<_> = tried(1000).collect();
        assert_eq!((many[0], many[32], many.len()), (0, 1000, 33));
    }
}
