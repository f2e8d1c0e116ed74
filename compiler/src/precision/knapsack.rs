//! One option for every item, at least cost within a capacity: a multiple-choice knapsack, solved to a proven optimum.
//!
//! minimise Σ c(i, o) · x(i, o)  with  Σ w(i, o) · x(i, o) ≤ W,  Σ over o of x(i, o) = 1 for every i,  x ∈ {0, 1}
//!
//! Options that another one beats in both ways go first. The linear relaxation is solved on the convex hulls of what is left, by
//! taking the steps of steepest descent: its multiplier λ gives a bound, c(i, o) + λ · w(i, o) summed over the least of every item,
//! less λ · W. A choice of whole steps gives a first solution, and an option whose reduced cost exceeds what lies between both
//! cannot be in a better one. What is left, a few dozen options however many items there are, is given to microlp. Its work
//! is limited by nodes, not by the clock, so that equal problems have equal solutions. It trusts no solver: what comes back is
//! added up again.

use good_lp::{Expression, SolverModel as _, Variable, constraint, variable, variables};

/// Branch-and-bound nodes of what is left.
const NODES: u64 = 20_000;
/// Share of the capacity by which sums of floats may exceed it: the rounding of a long sum.
const ROUNDING: f64 = 1e-12;
/// By how much the solver's capacity is less, in shares, where its own tolerance was used.
const WITHDRAWN: [f64; 3] = [0.0, 1e-7, 1e-6];
/// Passes that improve the first solution.
const PASSES: usize = 8;

/// An option of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// What is minimised, at least 0.
    pub cost: f64,
    /// What it takes of the capacity, at least 0.
    pub weight: f64,
}

/// A solution.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The option of every item.
    pub chosen: Vec<usize>,
    /// Σ of costs.
    pub cost: f64,
    /// Σ of weights.
    pub weight: f64,
    /// Nothing costs less than this: the cost itself, where that is proven.
    pub bound: f64,
}

impl Selection {
    /// Whether nothing better exists.
    #[cfg(test)]
    fn is_optimal(&self) -> bool {
        self.bound >= self.cost
    }

    /// How much less another solution might cost, as a share of the cost.
    pub fn gap(&self) -> f64 {
        if self.cost > 0.0 { ((self.cost - self.bound) / self.cost).max(0.0) } else { 0.0 }
    }
}

/// The best selection; `None` when the lightest options of all items exceed the capacity. `unit` is what two costs differ by at
/// least, or 0.
pub fn select(items: &[Vec<Choice>], capacity: f64, unit: f64) -> Option<Selection> {
    let limit = capacity + ROUNDING * capacity.abs();
    let kept: Vec<Vec<usize>> = items.iter().map(|options| undominated(options)).collect();
    let lightest: Vec<usize> = kept.iter().map(|options| options[0]).collect();
    if sums(items, &lightest).1 > limit {
        return None;
    }
    let problem = Problem { items, limit, unit };
    let (multiplier, mut chosen) = problem.relaxed(&kept, lightest);
    problem.improve(&kept, &mut chosen);
    let (mut cost, mut weight) = sums(items, &chosen);
    let lagrangian = problem.bound(&kept, multiplier);
    let mut bound = problem.rounded_up(lagrangian);
    if bound < cost {
        let left = problem.left(&kept, multiplier, lagrangian, cost);
        match problem.solved(&left, multiplier) {
            Outcome::Found { chosen: found, proven } => {
                let (found_cost, found_weight) = sums(items, &found);
                if found_cost < cost {
                    (chosen, cost, weight) = (found, found_cost, found_weight);
                }
                if proven {
                    bound = cost;
                }
            }
            Outcome::NothingBetter => bound = cost,
            Outcome::Unknown => {}
        }
    }
    Some(Selection { chosen, cost, weight, bound: bound.min(cost) })
}

/// Σ of costs and of weights.
fn sums(items: &[Vec<Choice>], chosen: &[usize]) -> (f64, f64) {
    items.iter().zip(chosen).fold((0.0, 0.0), |(cost, weight), (options, option)| {
        (cost + options[*option].cost, weight + options[*option].weight)
    })
}

/// Positions of the options that no other beats: weights ascend, costs descend.
fn undominated(options: &[Choice]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..options.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (options[*a], options[*b]);
        a.weight.total_cmp(&b.weight).then(a.cost.total_cmp(&b.cost))
    });
    let mut kept: Vec<usize> = Vec::new();
    for option in order {
        if kept.last().is_none_or(|last| options[option].cost < options[*last].cost) {
            kept.push(option);
        }
    }
    kept
}

/// The options of a convex decreasing curve through the lightest and the cheapest.
fn hull(options: &[Choice], kept: &[usize]) -> Vec<usize> {
    let mut hull: Vec<usize> = Vec::new();
    for option in kept.iter().copied() {
        while let [.., first, second] = hull[..] {
            if descent(options, first, second) > descent(options, second, option) {
                break;
            }
            hull.pop();
        }
        hull.push(option);
    }
    hull
}

/// Cost that is saved for a unit of weight.
fn descent(options: &[Choice], from: usize, to: usize) -> f64 {
    (options[from].cost - options[to].cost) / (options[to].weight - options[from].weight)
}

struct Problem<'a> {
    items: &'a [Vec<Choice>],
    limit: f64,
    unit: f64,
}

/// What a change costs, its item and its option.
type Move = (f64, usize, usize);

/// What came of a search among the options that are left.
enum Outcome {
    /// The option of every item, and whether nothing is better.
    Found { chosen: Vec<usize>, proven: bool },
    /// Nothing fits: what is known is best.
    NothingBetter,
    /// The solver gave up.
    Unknown,
}

impl Problem<'_> {
    /// The multiplier of the linear relaxation, and what its whole steps give from the lightest options on.
    fn relaxed(&self, kept: &[Vec<usize>], lightest: Vec<usize>) -> (f64, Vec<usize>) {
        let mut steps: Vec<(f64, usize, usize)> = Vec::new();
        for (item, (options, kept)) in self.items.iter().zip(kept).enumerate() {
            let hull = hull(options, kept);
            steps.extend(hull.windows(2).map(|pair| (descent(options, pair[0], pair[1]), item, pair[1])));
        }
        steps.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let (mut chosen, mut multiplier) = (lightest, None);
        let mut weight = sums(self.items, &chosen).1;
        let mut stopped = vec![false; self.items.len()];
        for (slope, item, option) in steps {
            let more = self.items[item][option].weight - self.items[item][chosen[item]].weight;
            if stopped[item] || weight + more > self.limit {
                // A later step of this item would start where this one ends.
                stopped[item] = true;
                multiplier.get_or_insert(slope);
                continue;
            }
            weight += more;
            chosen[item] = option;
        }
        (multiplier.unwrap_or(0.0), chosen)
    }

    /// Takes whatever single change costs less and fits, and pairs of changes where one makes room for the other.
    fn improve(&self, kept: &[Vec<usize>], chosen: &mut [usize]) {
        for _ in 0..PASSES {
            let (cost, mut weight) = sums(self.items, chosen);
            for (item, kept) in kept.iter().enumerate() {
                let now = self.items[item][chosen[item]];
                let fits = |option: &&usize| {
                    let other = self.items[item][**option];
                    other.cost < now.cost && weight + (other.weight - now.weight) <= self.limit
                };
                let best = |a: &&usize, b: &&usize| self.items[item][**a].cost.total_cmp(&self.items[item][**b].cost);
                if let Some(option) = kept.iter().filter(fits).min_by(best) {
                    weight += self.items[item][*option].weight - now.weight;
                    chosen[item] = *option;
                }
            }
            self.exchange(kept, chosen);
            if sums(self.items, chosen).0 >= cost {
                return;
            }
        }
    }

    /// The best exchange of one item's option for a lighter one and another's for a cheaper one.
    fn exchange(&self, kept: &[Vec<usize>], chosen: &mut [usize]) {
        let mut moves: Vec<(f64, f64, usize, usize)> = Vec::new();
        for (item, kept) in kept.iter().enumerate() {
            let now = self.items[item][chosen[item]];
            let of = |option: &usize| (self.items[item][*option], *option);
            let others = kept.iter().filter(|option| **option != chosen[item]).map(of);
            moves.extend(others.map(|(o, option)| (o.weight - now.weight, o.cost - now.cost, item, option)));
        }
        let remaining = self.limit - sums(self.items, chosen).1;
        moves.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.2, a.3).cmp(&(b.2, b.3))));
        // Cheapest two moves up to each position, of different items.
        let mut best: Option<(f64, [(usize, usize); 2])> = None;
        let (mut end, mut cheapest): (usize, [Option<Move>; 2]) = (0, [None, None]);
        for (weight, cost, item, option) in moves.iter().rev().copied() {
            while end < moves.len() && moves[end].0 + weight <= remaining {
                let (_, cost, item, option) = moves[end];
                let new = Some((cost, item, option));
                match cheapest[0] {
                    Some((least, of, _)) if of == item => {
                        if cost < least {
                            cheapest[0] = new;
                        }
                    }
                    Some((least, ..)) if cost >= least => {
                        if cheapest[1].is_none_or(|(second, ..)| cost < second) {
                            cheapest[1] = new;
                        }
                    }
                    Some(_) | None => cheapest = [new, cheapest[0]],
                }
                end += 1;
            }
            let other = cheapest.iter().flatten().find(|(_, of, _)| *of != item);
            if let Some((other_cost, of, other)) = other {
                let saved = cost + other_cost;
                if saved < 0.0 && best.is_none_or(|(least, _)| saved < least) {
                    best = Some((saved, [(item, option), (*of, *other)]));
                }
            }
        }
        for (item, option) in best.map(|(_, pair)| pair).into_iter().flatten() {
            chosen[item] = option;
        }
    }

    fn reduced(&self, item: usize, option: usize, multiplier: f64) -> f64 {
        let Choice { cost, weight } = self.items[item][option];
        cost + multiplier * weight
    }

    fn least(&self, item: usize, kept: &[usize], multiplier: f64) -> f64 {
        kept.iter().map(|option| self.reduced(item, *option, multiplier)).fold(f64::INFINITY, f64::min)
    }

    /// What nothing costs less than, by a multiplier.
    fn bound(&self, kept: &[Vec<usize>], multiplier: f64) -> f64 {
        let least = kept.iter().enumerate().map(|(item, kept)| self.least(item, kept, multiplier)).sum::<f64>();
        least - multiplier * self.limit
    }

    /// A bound rounded up to a whole number of units.
    fn rounded_up(&self, bound: f64) -> f64 {
        if self.unit > 0.0 { (bound / self.unit - 1e-6).ceil() * self.unit } else { bound }
    }

    /// The options that a solution better than `cost` may have.
    fn left(&self, kept: &[Vec<usize>], multiplier: f64, bound: f64, cost: f64) -> Vec<Vec<usize>> {
        let below = cost - self.unit + 1e-6 * (cost - bound).max(self.unit);
        let of_item = |(item, kept): (usize, &Vec<usize>)| {
            let least = self.least(item, kept, multiplier);
            let may = |option: &usize| bound + (self.reduced(item, *option, multiplier) - least) <= below;
            kept.iter().copied().filter(may).collect()
        };
        kept.iter().enumerate().map(of_item).collect()
    }

    /// The best selection of what is left, by integer programming: costs are reduced ones, in units of what lies between bound and
    /// best, weights in units of the capacity that the items with one option leave.
    fn solved(&self, left: &[Vec<usize>], multiplier: f64) -> Outcome {
        if left.iter().any(Vec::is_empty) {
            return Outcome::NothingBetter;
        }
        let open: Vec<usize> = (0..left.len()).filter(|item| left[*item].len() > 1).collect();
        let mut chosen: Vec<usize> = left.iter().map(|options| options[0]).collect();
        let base = sums(self.items, &chosen).1;
        let remaining = self.limit - base;
        let mut relative = Vec::new();
        for item in &open {
            let first = self.items[*item][left[*item][0]];
            let of = |option: &usize| {
                let other = self.items[*item][*option];
                let (cost, weight) = (other.cost - first.cost, other.weight - first.weight);
                (cost + multiplier * weight, weight)
            };
            relative.push(left[*item].iter().map(of).collect::<Vec<_>>());
        }
        let largest = |list: &mut dyn Iterator<Item = f64>| list.fold(0.0_f64, |a, b| a.max(b.abs()));
        let cost_unit = largest(&mut relative.iter().flatten().map(|r| r.0)).max(f64::MIN_POSITIVE);
        let weight_unit = largest(&mut relative.iter().flatten().map(|r| r.1)).max(f64::MIN_POSITIVE);
        let slack_cost = multiplier * weight_unit / cost_unit;
        for withdrawn in WITHDRAWN {
            let scaled = |(cost, weight): &(f64, f64)| (cost / cost_unit, weight / weight_unit);
            let options = relative.iter().map(|list| list.iter().map(scaled).collect()).collect::<Vec<Vec<_>>>();
            let capacity = (remaining - withdrawn * self.limit.abs()) / weight_unit;
            let (picked, proven) = match integer_program(&options, capacity, slack_cost) {
                Outcome::Found { chosen, proven } => (chosen, proven),
                Outcome::NothingBetter => return Outcome::NothingBetter,
                Outcome::Unknown => return Outcome::Unknown,
            };
            for (item, option) in open.iter().zip(picked) {
                chosen[*item] = left[*item][option];
            }
            if sums(self.items, &chosen).1 <= self.limit {
                // What is withdrawn is within the rounding of errors that are estimates.
                return Outcome::Found { chosen, proven };
            }
        }
        Outcome::Unknown
    }
}

/// minimise Σ (cost − slack_cost · weight) · x, that is Σ of costs, with Σ weight · x ≤ capacity: the option of every item.
fn integer_program(options: &[Vec<(f64, f64)>], capacity: f64, slack_cost: f64) -> Outcome {
    use good_lp::solvers::microlp::microlp;
    let mut vars = variables!();
    let x: Vec<Vec<Variable>> =
        options.iter().map(|list| list.iter().map(|_| vars.add(variable().binary())).collect()).collect();
    let pairs = || x.iter().flatten().zip(options.iter().flatten());
    let cost: Expression = pairs().map(|(x, (cost, weight))| (cost - slack_cost * weight) * *x).sum();
    let weight: Expression = pairs().map(|(x, (_, weight))| *weight * *x).sum();
    let mut model = vars.minimise(cost).using(microlp).with(constraint!(weight <= capacity));
    for item in &x {
        let one: Expression = item.iter().sum();
        model = model.with(constraint!(one == 1));
    }
    let mut effort = ::microlp::SolveOptions::default();
    effort.node_limit = Some(NODES);
    let solution = match model.as_inner().solve_with(effort).map(::microlp::SolveOutcome::into_solution) {
        Ok(Ok(solution)) => solution,
        Err(::microlp::Error::Infeasible) => return Outcome::NothingBetter,
        Ok(Err(_)) | Err(_) => return Outcome::Unknown,
    };
    let values: Vec<f64> = solution.iter().map(|(_, value)| value).collect();
    let mut rest = values.as_slice();
    let pick = |list: &Vec<(f64, f64)>| {
        let (own, others) = rest.split_at(list.len());
        rest = others;
        (0..own.len()).max_by(|a, b| own[*a].total_cmp(&own[*b])).unwrap_or(0)
    };
    let chosen = options.iter().map(pick).collect();
    Outcome::Found { chosen, proven: solution.status() == ::microlp::SolutionStatus::Optimal }
}

#[cfg(test)]
mod tests {
    use super::{Choice, select};
    use flashmem_plan_format::random::SplitMix64;

    fn unit(random: &mut SplitMix64) -> f64 {
        (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Four encodings: bytes fall by halves, errors rise by factors.
    fn items(count: usize, random: &mut SplitMix64) -> Vec<Vec<Choice>> {
        let item = |random: &mut SplitMix64| {
            let size = 1024.0 * (1.0 + (unit(random) * 4000.0).floor());
            let error = (unit(random) * 8.0).exp() * 1e-9;
            let factors = [(32.0, 0.0), (16.0, 1.0), (8.5, 3e3), (4.5, 1e6)];
            let of = |(bits, factor): (f64, f64)| Choice {
                cost: size * bits / 8.0,
                weight: error * factor * (0.8 + 0.4 * unit(random)),
            };
            factors.map(of).to_vec()
        };
        (0..count).map(|_| item(random)).collect()
    }

    /// Every combination.
    fn exhaustive(items: &[Vec<Choice>], capacity: f64) -> Option<f64> {
        let all = items.iter().fold(vec![(0.0, 0.0)], |sums, options| {
            let with = |(cost, weight): &(f64, f64)| {
                options.iter().map(|o| (cost + o.cost, weight + o.weight)).collect::<Vec<_>>()
            };
            sums.iter().flat_map(with).filter(|(_, weight)| *weight <= capacity).collect()
        });
        all.into_iter().map(|(cost, _)| cost).reduce(f64::min)
    }

    #[test]
    fn small_problems_have_the_optimum_of_trying_everything() {
        let mut random = SplitMix64(7);
        for _ in 0..60 {
            let items = items(1 + (random.next_u64() % 7) as usize, &mut random);
            let most: f64 = items.iter().map(|options| options[3].weight).sum();
            let capacity = most * unit(&mut random).powi(3);
            let found = select(&items, capacity, 0.0).expect("f32 has no error");
            assert!(found.weight <= capacity * (1.0 + 1e-9) && found.is_optimal(), "{found:?}");
            let best = exhaustive(&items, capacity).expect("f32 has no error");
            assert!((found.cost - best).abs() <= 1e-6 * best, "{} {best}", found.cost);
        }
    }

    #[test]
    fn three_hundred_weights_are_proven_and_never_beaten_by_one_encoding_for_all() {
        let mut random = SplitMix64(11);
        for _ in 0..20 {
            let items = items(300, &mut random);
            for uniform in 0..4 {
                let of_all =
                    |value: fn(&Choice) -> f64| items.iter().map(|options| value(&options[uniform])).sum::<f64>();
                let (cost, weight) = (of_all(|o| o.cost), of_all(|o| o.weight));
                for capacity in [weight, weight * 0.7] {
                    let found = select(&items, capacity, 1.0).expect("f32 has no error");
                    assert!(found.is_optimal() && found.gap() == 0.0, "{found:?}");
                    assert!(capacity < weight || found.cost <= cost, "{} {cost}", found.cost);
                    assert_eq!(select(&items, capacity, 1.0).as_ref(), Some(&found));
                }
            }
        }
    }

    #[test]
    fn what_cannot_fit_is_nothing() {
        let item = vec![Choice { cost: 1.0, weight: 2.0 }, Choice { cost: 0.0, weight: 3.0 }];
        assert_eq!(select(&[item.clone(), item.clone()], 3.9, 0.0), None);
        assert_eq!(select(&[item.clone(), item.clone()], 4.0, 0.0).map(|s| s.cost), Some(2.0));
        assert_eq!(select(&[item.clone(), item], 5.0, 0.0).map(|s| s.cost), Some(1.0));
        assert_eq!(select(&[], 0.0, 0.0).map(|s| s.chosen), Some(vec![]));
    }
}
