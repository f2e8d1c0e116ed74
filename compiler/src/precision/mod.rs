//! An encoding for every weight: the fewest bytes for an error, or the least error for so many bytes.
//!
//! What is stored, and how it could be, comes from a lowering (`weights.rs`). The error that an encoding of one weight alone makes in
//! the outputs is measured by running the network with it (`measure.rs`) where that is quick, and else estimated from one run
//! (`noise.rs`); errors of several weights add up in quadrature. Whole networks in one encoding are measured, too, and the errors
//! of single weights scaled so that their sum is what was measured. The choice is a multiple-choice knapsack (`knapsack.rs`). What is
//! chosen is measured; where the error is not what was predicted, predictions are scaled and the choice is made again. The
//! same model and samples give the same choice. It deliberately knows no time: a cold run takes as long as its bytes.

mod knapsack;
mod measure;
mod noise;
#[cfg(test)]
mod tests;
mod weights;

pub use measure::Sample;
pub use weights::{StoredWeight, stored_weights};

use crate::graph::constant::Constant;
use crate::graph::importance::Importance;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::lower::half::in_parallel;
use crate::lower::{LowerError, LowerOptions};
use crate::pack::decoded;
use flashmem_plan_format::encoding::Encoding;
use knapsack::{Choice, Selection, select};
use measure::Measured;
use noise::{Activity, Effect, observe};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Choices that are measured, at most.
const ROUNDS: u32 = 4;
/// Work of all runs with one weight changed, at most, in multiplications.
const ONE_BY_ONE_WORK: f64 = 2e10;
/// Work of one run of the whole network that is still measured.
const WHOLE_WORK: f64 = 2e11;
/// Multiplications that take as long as the reference of an element-wise operator takes for an element.
const ELEMENT_WORK: f64 = 64.0;
/// Least factor that brings estimates to what is measured, as squares.
const MIN_FACTOR: f64 = 1e-9;
/// Steps by which sums of bytes differ at least.
const BYTE: f64 = 1.0;
/// Share of a limit that a prediction may use up in another round.
const AIM: f64 = 0.98;

/// What is to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The fewest bytes with at most this relative L2 error of every output.
    MaxError(f64),
    /// The least error with at most so many bytes.
    MaxBytes(u64),
}

/// How weights are stored where that is not one encoding for all, and what errors are judged by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PrecisionOptions {
    /// An encoding for every weight, chosen for this; `None` for one encoding for all.
    pub goal: Option<Goal>,
    /// Inputs that the network is run with.
    pub samples: Vec<Sample>,
    /// Whether the samples also decide what errors are weighed with when weights become small integers.
    pub weighed: bool,
    /// Whether the error of one encoding for all is measured.
    pub measured: bool,
}

impl PrecisionOptions {
    /// Whether the network is run.
    pub const fn needs_samples(&self) -> bool {
        self.goal.is_some() || self.weighed || self.measured
    }
}

/// No choice can be made.
#[derive(Debug, thiserror::Error)]
pub enum PrecisionError {
    /// The limit is below what the smallest encodings take.
    #[error(
        "the weights take {smallest_bytes} bytes in their smallest encodings, more than the {limit_bytes} that they may take"
    )]
    TooFewBytes {
        /// What was given.
        limit_bytes: u64,
        /// What is possible.
        smallest_bytes: u64,
    },
    /// Another optimisation of the same model stores other weights.
    #[error("the encodings were chosen for other weights than these")]
    OtherWeights,
    /// The graph cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
}

/// How errors of single weights came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a run for every weight and encoding.
    Measured,
    /// To first order, from one run.
    Estimated,
}

/// A weight and how it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenWeight {
    /// ONNX initialiser name.
    pub name: String,
    /// The encoding.
    pub encoding: Encoding,
    /// Bytes in pages and rows.
    pub bytes: u64,
    /// Share of the square of the predicted error; `None` where nothing was predicted.
    pub share: Option<f64>,
}

/// What was found out about errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// How.
    pub method: Method,
    /// The error that single errors add up to; `None` for one encoding for all.
    pub predicted: Option<f64>,
    /// The error of a run with the weights as they are stored; `None` where a run takes too long.
    pub measured: Option<f64>,
    /// What nothing that is predicted to be as good costs less than: bytes, or an error.
    pub bound: Option<f64>,
    /// How much less another choice might cost, as a share.
    pub gap: f64,
}

/// Encodings of all weights.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionReport {
    /// In the order of the stream, tables of rows behind it.
    pub weights: Vec<ChosenWeight>,
    /// What is known about errors; `None` where the network was not run.
    pub errors: Option<Prediction>,
}

impl PrecisionReport {
    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.weights.iter().map(|weight| weight.bytes).sum()
    }
}

/// How a graph's constants are stored, to be applied to every optimisation of the same model.
#[derive(Debug, Clone)]
pub struct Decision {
    /// By weight, its name and shape.
    weights: Vec<(String, Vec<usize>)>,
    /// By weight.
    encodings: Vec<Encoding>,
    importance: Vec<Option<Arc<Importance>>>,
    /// What is said about it.
    pub report: PrecisionReport,
}

impl Decision {
    /// Has a graph's constants stored so.
    ///
    /// # Errors
    /// [`PrecisionError::OtherWeights`].
    pub fn apply(&self, graph: &mut Graph, options: &LowerOptions) -> Result<(), PrecisionError> {
        let weights = stored_weights(graph, options, false)?;
        let same = |weight: &StoredWeight, (name, shape): &(String, Vec<usize>)| {
            (&weight.name, &weight.constant.shape) == (name, shape)
        };
        if weights.len() != self.weights.len() || !weights.iter().zip(&self.weights).all(|(w, known)| same(w, known)) {
            return Err(PrecisionError::OtherWeights);
        }
        for ((weight, encoding), importance) in weights.iter().zip(&self.encodings).zip(&self.importance) {
            for id in weight.nodes.iter().filter(|_| weight.is_float()) {
                graph.encodings.insert(*id, *encoding);
                graph.importance.extend(importance.iter().map(|importance| (*id, Arc::clone(importance))));
            }
        }
        Ok(())
    }
}

/// What a choice is made for.
pub struct Request<'a> {
    /// What is asked for.
    pub options: &'a PrecisionOptions,
    /// How the graph is lowered.
    pub lower: &'a LowerOptions,
}

/// Decides how the constants of a graph are stored.
///
/// # Errors
/// See [`PrecisionError`].
pub fn decide(graph: &Graph, request: &Request<'_>) -> Result<Decision, PrecisionError> {
    let weights = stored_weights(graph, request.lower, request.options.goal.is_some())?;
    let samples = &request.options.samples;
    let stored: BTreeSet<NodeId> =
        weights.iter().filter(|weight| weight.is_float()).flat_map(|w| w.nodes.iter().copied()).collect();
    let work = work(graph) * samples.len() as f64;
    let runs: usize = weights.iter().map(|weight| weight.options.len() - 1).sum();
    let one_by_one = request.options.goal.is_some() && work * runs as f64 <= ONE_BY_ONE_WORK;
    let activity = if request.options.weighed || (request.options.needs_samples() && !one_by_one) {
        observe(graph, &stored, samples, request.options.goal.is_some() && !one_by_one)
    } else {
        Activity { importance: BTreeMap::new(), effects: BTreeMap::new(), outputs: Vec::new() }
    };
    let importance_of = |weight: &StoredWeight| {
        let found = weight.nodes.iter().find_map(|id| activity.importance.get(id));
        found.filter(|_| request.options.weighed).cloned()
    };
    let importance: Vec<_> = weights.iter().map(importance_of).collect();
    let network = if one_by_one {
        Measured::new(graph, samples)
    } else {
        Measured::of_outputs(graph, samples, activity.outputs.clone())
    };
    let chooser = Chooser { weights: &weights, importance: &importance, network, whole: work <= WHOLE_WORK };
    let (chosen, report) = match request.options.goal {
        Some(goal) => {
            let errors = if one_by_one { chooser.measured() } else { chooser.estimated(&activity) };
            let method = if one_by_one { Method::Measured } else { Method::Estimated };
            chooser.chosen(goal, errors, method)?
        }
        None => chooser.as_they_are(request.options.measured),
    };
    let encodings = weights.iter().zip(&chosen).map(|(weight, option)| weight.options[*option].0).collect();
    let weights = weights.into_iter().map(|weight| (weight.name, weight.constant.shape)).collect();
    Ok(Decision { weights, encodings, importance, report })
}

/// Multiplications of a run, roughly.
fn work(graph: &Graph) -> f64 {
    let elements = |id: NodeId| graph.node(id).shape.iter().product::<usize>() as f64;
    let of_node = |id: NodeId| {
        let operands = graph.operands(id);
        match &graph.node(id).op {
            Op::Einsum { a, b, output } => {
                let sizes =
                    a.iter().zip(&graph.node(operands[0]).shape).chain(b.iter().zip(&graph.node(operands[1]).shape));
                let summed: BTreeMap<u8, usize> =
                    sizes.filter(|(label, _)| !output.contains(label)).map(|(label, size)| (*label, *size)).collect();
                elements(id) * summed.values().product::<usize>() as f64
            }
            Op::Conv { .. } => elements(id) * graph.node(operands[1]).shape[1..].iter().product::<usize>() as f64,
            Op::Attention { .. } => {
                let keys = graph.node(operands[1]).shape.iter().rev().nth(1).copied().unwrap_or(1);
                4.0 * elements(id) * keys as f64 + ELEMENT_WORK * elements(id)
            }
            Op::Input | Op::Constant(_) => 0.0,
            Op::Pointwise(_)
            | Op::Fold { .. }
            | Op::Pool { .. }
            | Op::Softmax { .. }
            | Op::Normalize { .. }
            | Op::Reduce { .. }
            | Op::ArgReduce { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Broadcast
            | Op::Slice { .. }
            | Op::Unfold { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Resize { .. }
            | Op::Kernel(_) => ELEMENT_WORK * elements(id),
        }
    };
    graph.node_ids().into_iter().map(of_node).sum()
}

/// By weight and option, the square of the error that it alone makes.
type Errors = Vec<Vec<f64>>;

struct Chooser<'a> {
    weights: &'a [StoredWeight],
    importance: &'a [Option<Arc<Importance>>],
    network: Measured<'a>,
    /// Whether runs of the whole network are quick enough.
    whole: bool,
}

/// A selection that may be taken.
struct Candidate {
    chosen: Vec<usize>,
    predicted: f64,
    measured: Option<f64>,
    bound: Option<f64>,
    gap: f64,
}

impl Chooser<'_> {
    /// A weight's constants as one of its options stores them; `None` where nothing is lost.
    fn stored(&self, weight: usize, option: usize) -> Option<Constant> {
        let StoredWeight { constant, lines, options, .. } = &self.weights[weight];
        let (encoding, _) = options[option];
        if !self.weights[weight].is_float() || encoding == Encoding::F32 {
            return None;
        }
        let values = decoded(constant, self.importance[weight].as_deref(), encoding, lines);
        let lossless = (0..constant.len()).all(|i| constant.f32_at(i) == values[i]);
        (!lossless).then(|| Constant::from_f32(constant.shape.clone(), &values))
    }

    /// The error of a selection, where a run is quick enough.
    fn error_of(&self, chosen: &[usize]) -> Option<f64> {
        if !self.whole {
            return None;
        }
        let pairs: Vec<(usize, usize)> = chosen.iter().copied().enumerate().collect();
        let stored = in_parallel(&pairs, |(weight, option)| self.stored(*weight, *option));
        let mut constants = BTreeMap::new();
        for (weight, constant) in self.weights.iter().zip(stored) {
            let Some(constant) = constant else { continue };
            constants.extend(weight.nodes.iter().map(|id| (*id, constant.clone())));
        }
        Some(if constants.is_empty() { 0.0 } else { self.network.error_with(&constants) })
    }

    /// One weight and option at a time.
    fn measured(&self) -> Errors {
        let pairs: Vec<(usize, usize)> = self.pairs();
        let errors = in_parallel(&pairs, |(weight, option)| {
            let Some(constant) = self.stored(*weight, *option) else { return 0.0 };
            let constants = self.weights[*weight].nodes.iter().map(|id| (*id, constant.clone())).collect();
            self.network.error_with(&constants).powi(2)
        });
        self.by_weight(&errors)
    }

    /// To first order.
    fn estimated(&self, activity: &Activity) -> Errors {
        let pairs: Vec<(usize, usize)> = self.pairs();
        let errors = in_parallel(&pairs, |(weight, option)| {
            let Some(stored) = self.stored(*weight, *option) else { return 0.0 };
            let StoredWeight { constant, nodes, .. } = &self.weights[*weight];
            let importance = nodes.iter().find_map(|id| activity.importance.get(id));
            let (mut weighed, mut plain) = (0.0, 0.0);
            for element in 0..constant.len() {
                let square = f64::from(stored.f32_at(element) - constant.f32_at(element)).powi(2);
                plain += square;
                weighed += square * importance.map_or(0.0, |importance| f64::from(importance.at(element)));
            }
            let mut by_output: Vec<f64> = Vec::new();
            for Effect { weighed: of_weighed, plain: of_plain } in
                nodes.iter().filter_map(|id| activity.effects.get(id))
            {
                by_output.resize(of_plain.len(), 0.0);
                let each = of_weighed.iter().zip(of_plain).map(|(w, p)| w * weighed + p * plain);
                by_output.iter_mut().zip(each).for_each(|(sum, more)| *sum += more);
            }
            by_output.into_iter().fold(0.0, f64::max)
        });
        self.by_weight(&errors)
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = self.weights.iter().enumerate();
        all.flat_map(|(weight, stored)| (0..stored.options.len()).map(move |option| (weight, option))).collect()
    }

    fn by_weight(&self, errors: &[f64]) -> Errors {
        let mut rest = errors;
        let own = |weight: &StoredWeight| {
            let (own, others) = rest.split_at(weight.options.len());
            rest = others;
            own.iter().map(|error| if error.is_finite() { *error } else { f64::MAX.sqrt() }).collect()
        };
        self.weights.iter().map(own).collect()
    }

    /// What one encoding for all makes of every weight. One that has no blocks of these bits has others in which it loses nothing,
    /// or is stored in floats.
    fn uniform(&self, encoding: Encoding) -> Vec<usize> {
        let of_weight = |weight: &StoredWeight| {
            let all = || weight.options.iter().map(|(option, _)| *option).enumerate();
            let is_block = |(_, option): &(usize, Encoding)| matches!(option, Encoding::Block(_));
            let last_float = all().rfind(|option| !is_block(option));
            let found = match encoding {
                Encoding::F32 => all().next(),
                Encoding::F16 => last_float,
                Encoding::Block(_) => {
                    let own = all().filter(is_block).find(|(_, option)| option.bits() == encoding.bits());
                    own.or_else(|| all().rfind(is_block)).or(last_float)
                }
            };
            found.map_or(0, |(option, _)| option)
        };
        self.weights.iter().map(of_weight).collect()
    }

    /// Σ of squares.
    fn predicted(errors: &Errors, chosen: &[usize]) -> f64 {
        errors.iter().zip(chosen).map(|(errors, option)| errors[*option]).sum()
    }

    fn bytes(&self, chosen: &[usize]) -> u64 {
        self.weights.iter().zip(chosen).map(|(weight, option)| weight.options[*option].1).sum()
    }

    /// Scales the errors of each encoding so that those of one encoding for all add up to what is measured; gives these selections.
    fn calibrate(&self, errors: &mut Errors) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut done: BTreeSet<u32> = BTreeSet::new();
        for encoding in [Encoding::F32, Encoding::F16, Encoding::Q8, Encoding::Q4] {
            let chosen = self.uniform(encoding);
            let Some(measured) = self.error_of(&chosen) else { continue };
            let is_own = |weight: usize| {
                let (option, _) = self.weights[weight].options[chosen[weight]];
                !done.contains(&option.bits())
            };
            let of = |own: bool| -> f64 {
                let picked = (0..chosen.len()).filter(|weight| is_own(*weight) == own);
                picked.map(|weight| errors[weight][chosen[weight]]).sum()
            };
            let (own, others) = (of(true), of(false));
            if own > 0.0 && measured.is_finite() {
                let factor = ((measured * measured - others) / own).clamp(MIN_FACTOR, 1.0 / MIN_FACTOR);
                for (weight, errors) in self.weights.iter().zip(errors.iter_mut()) {
                    let own = weight.options.iter().zip(errors).filter(|((o, _), _)| o.bits() == encoding.bits());
                    own.for_each(|(_, error)| *error *= factor);
                }
            }
            done.insert(encoding.bits());
            let predicted = Self::predicted(errors, &chosen).sqrt();
            candidates.push(Candidate { chosen, predicted, measured: Some(measured), bound: None, gap: 0.0 });
        }
        candidates
    }

    /// The best selection for single errors that are scaled by a factor.
    fn selected(&self, goal: Goal, errors: &Errors, factor: f64) -> Result<Selection, PrecisionError> {
        let items: Vec<Vec<Choice>> = (0..self.weights.len())
            .map(|weight| {
                let options = self.weights[weight].options.iter().zip(&errors[weight]);
                let of = |((_, bytes), error): (&(Encoding, u64), &f64)| match goal {
                    Goal::MaxError(_) => Choice { cost: *bytes as f64, weight: error * factor },
                    Goal::MaxBytes(_) => Choice { cost: error * factor, weight: *bytes as f64 },
                };
                options.map(of).collect()
            })
            .collect();
        let (capacity, unit) = match goal {
            Goal::MaxError(error) => (error * error, BYTE),
            Goal::MaxBytes(bytes) => (bytes as f64, 0.0),
        };
        select(&items, capacity, unit).ok_or_else(|| {
            let least = |weight: &StoredWeight| weight.options.iter().map(|(_, bytes)| *bytes).min().unwrap_or(0);
            let smallest_bytes = self.weights.iter().map(least).sum();
            let limit_bytes = if let Goal::MaxBytes(bytes) = goal { bytes } else { 0 };
            PrecisionError::TooFewBytes { limit_bytes, smallest_bytes }
        })
    }

    /// Chooses, measures what was chosen, and chooses again while the measurement says something new.
    fn chosen(
        &self,
        goal: Goal,
        mut errors: Errors,
        method: Method,
    ) -> Result<(Vec<usize>, PrecisionReport), PrecisionError> {
        let mut candidates = self.calibrate(&mut errors);
        let mut factor = 1.0;
        for _ in 0..ROUNDS {
            let found = self.selected(goal, &errors, factor)?;
            let known = candidates.iter().any(|known| known.bound.is_some() && known.chosen == found.chosen);
            let measured = if known { None } else { self.error_of(&found.chosen) };
            let raw = Self::predicted(&errors, &found.chosen);
            let bound = match goal {
                Goal::MaxError(_) => found.bound,
                Goal::MaxBytes(_) => found.bound.max(0.0).sqrt(),
            };
            let gap = found.gap();
            let predicted = (raw * factor).sqrt();
            if known {
                break;
            }
            candidates.push(Candidate { chosen: found.chosen, predicted, measured, bound: Some(bound), gap });
            match measured {
                Some(measured) if raw > 0.0 && measured.is_finite() && measured > 0.0 => {
                    factor = measured * measured / raw / (AIM * AIM);
                }
                Some(_) | None => break,
            }
        }
        let best = self.best(goal, candidates);
        let all = Self::predicted(&errors, &best.chosen);
        let shares =
            errors.iter().zip(&best.chosen).map(|(errors, option)| if all > 0.0 { errors[*option] / all } else { 0.0 });
        let weights = self.weights.iter().zip(&best.chosen).zip(shares).map(|((weight, option), share)| {
            let (encoding, bytes) = weight.options[*option];
            ChosenWeight { name: weight.name.clone(), encoding, bytes, share: Some(share) }
        });
        let (predicted, measured) = (Some(best.predicted), best.measured);
        let errors = Some(Prediction { method, predicted, measured, bound: best.bound, gap: best.gap });
        let report = PrecisionReport { weights: weights.collect(), errors };
        Ok((best.chosen, report))
    }

    /// The best of what keeps to the goal by measurement, or by prediction where nothing is measured.
    fn best(&self, goal: Goal, candidates: Vec<Candidate>) -> Candidate {
        let error = |candidate: &Candidate| candidate.measured.unwrap_or(candidate.predicted);
        let keeps = |candidate: &Candidate| match goal {
            Goal::MaxError(most) => error(candidate) <= most,
            Goal::MaxBytes(most) => self.bytes(&candidate.chosen) <= most,
        };
        let key = |candidate: &Candidate| match goal {
            Goal::MaxError(_) => (self.bytes(&candidate.chosen) as f64, error(candidate)),
            Goal::MaxBytes(_) => (error(candidate), self.bytes(&candidate.chosen) as f64),
        };
        // Of equals, what was solved for: it has a bound.
        let order = |a: &Candidate, b: &Candidate| {
            let (a_key, b_key) = (key(a), key(b));
            let by_key = a_key.0.total_cmp(&b_key.0).then(a_key.1.total_cmp(&b_key.1));
            by_key.then(b.bound.is_some().cmp(&a.bound.is_some()))
        };
        let exact = || Candidate {
            chosen: self.uniform(Encoding::F32),
            predicted: 0.0,
            measured: self.whole.then_some(0.0),
            bound: None,
            gap: 0.0,
        };
        candidates.into_iter().filter(keeps).min_by(order).unwrap_or_else(exact)
    }

    /// The encodings that weights have.
    fn as_they_are(&self, measured: bool) -> (Vec<usize>, PrecisionReport) {
        let chosen = vec![0; self.weights.len()];
        let error = if measured { self.error_of(&chosen) } else { None };
        let weights = self.weights.iter().zip(&chosen).map(|(weight, option)| {
            let (encoding, bytes) = weight.options[*option];
            ChosenWeight { name: weight.name.clone(), encoding, bytes, share: None }
        });
        let method = Method::Measured;
        let errors = measured.then_some(Prediction { method, predicted: None, measured: error, bound: None, gap: 0.0 });
        let report = PrecisionReport { weights: weights.collect(), errors };
        (chosen, report)
    }
}
