//! Attention as a recurrence, with a matrix for every head of keys that lives from run to run.
//!
//! It is LinearAttention of ONNX 27 and of ONNX Runtime, in all four rules of update. Results and the last state lie behind one another
//! in one tensor, of which the two outputs are parts. The states of a node are all replaced by every run, so nothing is gained
//! by changing them where they lie.

use crate::cost::OperatorClass;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, LinearAttention, Operands};
use crate::graph::tensor::Tensor;
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::{Attribute, Steps};
use crate::kernels::params::Params;
use crate::kernels::rounds::{Rounds, nest, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_QKV, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::copy::dense;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::strided::ROUNDS_PER_CALL;

impl OwnKernel for LinearAttention {
    const KERNEL: KernelRow = row(
        body!("linear_attention"),
        Hook::None,
        &["out", "q", "k", "v", "past", "decay", "beta"],
        Rounds::of(&["steps", "d_k", "group"], |p| once(p[1]) + steps_of(p[0], p[1], p[2])),
    )
    .shared(&[SHARED_EACH, SHARED_QKV])
    .class(OperatorClass::Hierarchical);
}

/// Rounds of so many steps.
fn steps_of(steps: u64, d_k: u64, group: u64) -> u64 {
    once(steps.saturating_mul(once(d_k) + once(d_k) + nest(&[group, d_k])))
}

impl LinearAttention {
    /// ONNX's LinearAttention and ONNX Runtime's.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let operands = [s.needed(0)?, s.needed(1)?, s.needed(2)?];
        let (past, decay, beta) = (s.operand(3), s.operand(4), s.operand(5));
        let rule = s.text_attribute("update_rule").unwrap_or("gated_delta");
        for (name, operand, rules) in
            [("decay", decay, ["gated", "gated_delta"]), ("beta", beta, ["delta", "gated_delta"])]
        {
            match (operand.is_some(), rules.contains(&rule)) {
                (true, false) => return Err(Reason::form("update_rule {} with {}", [rule.into(), name.into()])),
                (false, true) => return Err(Reason::form("update_rule {} without {}", [rule.into(), name.into()])),
                (true, true) | (false, false) => {}
            }
        }
        let count = |name: &str| s.int_attribute(name).and_then(|heads| usize::try_from(heads).ok()).unwrap_or(0);
        let (query_heads, heads) = (count("q_num_heads"), count("kv_num_heads"));
        if heads == 0 || query_heads == 0 || !query_heads.is_multiple_of(heads) {
            return Err(Reason::form("{} heads that share {}", [query_heads.into(), heads.into()]));
        }
        let op = Self {
            heads,
            group: query_heads / heads,
            scale: s.float_attribute("scale").filter(|scale| *scale != 0.0),
            past: past.is_some(),
            decay: decay.is_some(),
            beta: beta.is_some(),
        };
        let group = op.group as i64;
        let operands: Vec<&str> = operands.into_iter().chain(past).chain(decay).chain(beta).collect();
        let whole = s.kernel_op(op, &operands);
        let (length, group) = (s.shape(operands[0], 1, 2), s.ints(&[group]));
        let end = s.op("Mul", &[&length, &group], &[]);
        let [start, last, axis] = [0, i64::MAX, 2].map(|value| s.ints(&[value]));
        let state = s.op("Slice", &[&whole, &end, &last, &axis], &[]);
        s.give(1, &state);
        let results = s.op("Slice", &[&whole, &start, &end, &axis], &[]);
        let (batch, query_heads, rest) = (s.shape(&whole, 0, 1), s.ints(&[query_heads as i64]), s.ints(&[-1]));
        let shape = s.op("Concat", &[&batch, &query_heads, &length, &rest], &[("axis", Attribute::Int(0))]);
        let apart = s.op("Reshape", &[&results, &shape], &[]);
        let rows = s.op("Transpose", &[&apart], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]);
        let joined = s.ints(&[0, 0, -1]);
        let y = s.op("Reshape", &[&rows, &joined], &[]);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }

    /// The optional operands: past, decay and beta.
    fn optional<'a, T>(&self, operands: &'a [T]) -> [Option<&'a T>; 3] {
        let mut rest = operands.iter().skip(3);
        [self.past, self.decay, self.beta].map(|given| if given { rest.next() } else { None })
    }

    fn scale(&self, size: usize) -> f32 {
        self.scale.unwrap_or_else(|| 1.0 / (size as f32).sqrt())
    }
}

/// Sizes that operands of these shapes have.
struct Sizes {
    batch: usize,
    length: usize,
    d_k: usize,
    d_v: usize,
}

impl Sizes {
    fn of(op: &LinearAttention, q: &[usize], v: &[usize]) -> Self {
        Self { batch: q[0], length: q[1], d_k: q[2] / (op.heads * op.group), d_v: v[2] / op.heads }
    }
}

impl KernelOperator for LinearAttention {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let list = operands.list();
        let given = 3 + [self.past, self.decay, self.beta].into_iter().filter(|given| *given).count();
        if list.len() != given {
            return Err(ShapeError::OperandCount { op: "LinearAttention", expected: "3 to 6", found: list.len() });
        }
        (0..list.len()).try_for_each(|position| operands.typed(position, Dtype::F32))?;
        let (q, k, v) = (list[0].0, list[1].0, list[2].0);
        let query_heads = self.heads * self.group;
        let whole = q.len() == 3 && q[2] > 0 && q[2].is_multiple_of(query_heads);
        operands.fits(0, whole, "batch, rows, and the elements of all heads")?;
        operands.fits(
            1,
            *k == [q[0], q[1], q[2] / self.group],
            "the queries' batch and rows, and heads of their size",
        )?;
        let values = v.len() == 3 && v[..2] == q[..2] && v[2] > 0 && v[2].is_multiple_of(self.heads);
        operands.fits(2, values, "the queries' batch and rows, and the elements of all heads")?;
        let Sizes { batch, length, d_k, d_v } = Sizes::of(self, q, v);
        let mut position = 3;
        for (optional, expected) in self.optional(list).into_iter().zip([
            (vec![vec![batch, self.heads, d_k, d_v]], "batch, heads, elements of a key and of a value"),
            (
                vec![vec![batch, length, self.heads], vec![batch, length, self.heads * d_k]],
                "a number a head, or one an element of a key",
            ),
            (vec![vec![batch, length, self.heads], vec![batch, length, 1]], "a number a head, or one for all"),
        ]) {
            if let Some((shape, _)) = optional {
                operands.fits(position, expected.0.iter().any(|one| one == shape), expected.1)?;
                position += 1;
            }
        }
        Ok((vec![batch, self.heads, self.group * length + d_k, d_v], Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let [q, k, v, ..] = operands else { unreachable!("inference counts the operands") };
        let [past, decay, beta] = self.optional(operands);
        let Sizes { batch, length, d_k, d_v } = Sizes::of(self, &q.shape, &v.shape);
        let mut values = vec![0.0; shape.iter().product()];
        for (line, column) in (0..batch * self.heads).flat_map(|line| (0..d_v).map(move |column| (line, column))) {
            let (entry, head) = (line / self.heads, line % self.heads);
            let at = |row: usize| (line * (self.group * length + d_k) + row) * d_v + column;
            let start = |d: usize| past.map_or(0.0, |past| past.value((line * d_k + d) * d_v + column));
            let mut state: Vec<f64> = (0..d_k).map(start).collect();
            for t in 0..length {
                let row = (entry * length + t) * self.heads + head;
                if let Some(decay) = decay {
                    let size = decay.shape[2] / self.heads;
                    let numbers = state.iter_mut().enumerate();
                    numbers.for_each(|(d, s)| *s *= decay.value(row * size + d.min(size - 1)).exp());
                }
                let key = |d: usize| k.value(row * d_k + d);
                let mut update = v.value(row * d_v + column);
                if let Some(beta) = beta {
                    let recalled: f64 = state.iter().enumerate().map(|(d, s)| key(d) * s).sum();
                    let heads = beta.shape[2];
                    let rate = beta.value((entry * length + t) * heads + head.min(heads - 1));
                    update = rate * (update - recalled);
                }
                state.iter_mut().enumerate().for_each(|(d, s)| *s += key(d) * update);
                for r in 0..self.group {
                    let query = (row * self.group + r) * d_k;
                    let sum: f64 = state.iter().enumerate().map(|(d, s)| q.value(query + d) * s).sum();
                    values[at(r * length + t)] = (f64::from(self.scale(d_k)) * sum) as f32;
                }
            }
            state.iter().enumerate().for_each(|(d, s)| values[at(self.group * length + d)] = *s as f32);
        }
        Tensor::from_f32(shape.to_vec(), values)
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        (axis == 0).then(|| vec![Some(0); 6])
    }
}

impl LowerKernelOp for LinearAttention {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(mut elements) = Elements::of(lowering, id) else { return Ok(()) };
        let given = elements.operands.iter().map(|view| dense(lowering, view)).collect::<Vec<_>>();
        let Sizes { batch, length, d_k, d_v } = Sizes::of(self, &given[0].shape, &given[2].shape);
        let optional = self.optional(&given).map(|view| view.cloned());
        let decay_size = optional[1].as_ref().map_or(0, |decay| decay.shape[2] / self.heads);
        let beta_heads = optional[2].as_ref().map_or(0, |beta| beta.shape[2]);
        let absent = lowering.resident(&Constant::from_f32(vec![1], &[0.0]));
        elements.operands = given[..3].to_vec();
        elements.operands.extend(optional.map(|view| view.unwrap_or_else(|| absent.clone())));
        let count = batch * self.heads * d_v;
        elements.invocations(count);
        let step = steps_of(1, d_k as u64, self.group as u64);
        let most = (ROUNDS_PER_CALL as u64 / step).max(1) as usize;
        for first in (0..length.max(1)).step_by(most) {
            let steps = most.min(length - first);
            let offset = |position: usize| elements.operands[position].offset;
            let params = Params::new()
                .set("count", count)
                .set("width", elements.width)
                .set("length", length)
                .set("first", first)
                .set("steps", steps)
                .set("d_k", d_k)
                .set("d_v", d_v)
                .set("heads", self.heads)
                .set("group", self.group)
                .set("has_past", self.past)
                .set("decay_size", decay_size)
                .set("beta_heads", beta_heads)
                .set("scale", self.scale(d_k))
                .set("q_offset", offset(0))
                .set("k_offset", offset(1))
                .set("v_offset", offset(2))
                .set("past_offset", offset(3))
                .set("decay_offset", offset(4))
                .set("beta_offset", offset(5));
            let products = count * steps * d_k;
            let flops = products * (4 + 2 * self.group);
            elements.call(lowering, Kernel::Of(KernelOpKind::LinearAttention), params, 3 * products, flops);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::LinearAttention;
    use crate::graph::constant::Dtype;
    use crate::graph::kernel_op::{KernelOperator, Operands};
    use crate::graph::tensor::Tensor;

    const PLAIN: LinearAttention =
        LinearAttention { heads: 1, group: 2, scale: Some(1.0), past: false, decay: false, beta: false };

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), values.iter().copied())
    }

    /// Two queries share a head of keys of one element; two steps.
    fn results(op: &LinearAttention, more: &[Tensor]) -> Vec<f32> {
        let (q, k, v) = (
            tensor(&[1, 2, 2], &[1.0, 2.0, 1.0, 3.0]),
            tensor(&[1, 2, 1], &[1.0, 2.0]),
            tensor(&[1, 2, 1], &[5.0, 7.0]),
        );
        let operands: Vec<&Tensor> = [&q, &k, &v].into_iter().chain(more).collect();
        let list: Vec<(&[usize], Dtype)> = operands.iter().map(|o| (o.shape.as_slice(), o.dtype)).collect();
        let (shape, _) = op.infer(&Operands::new("LinearAttention", &list)).expect("they fit");
        assert_eq!(shape, [1, 1, 5, 1]);
        op.evaluate(&operands, &shape).to_f32()
    }

    #[test]
    fn a_state_decays_is_corrected_and_goes_on() {
        assert_eq!(results(&PLAIN, &[]), [5.0, 19.0, 10.0, 57.0, 19.0]);
        let past = tensor(&[1, 1, 1, 1], &[1.0]);
        let whole = LinearAttention { past: true, decay: true, beta: true, ..PLAIN };
        let (decay, beta) = (tensor(&[1, 2, 1], &[0.0, f32::NEG_INFINITY]), tensor(&[1, 2, 1], &[0.5, 1.0]));
        // 1 + 1 · 0.5 · (5 − 1) = 3; then 0 + 2 · 1 · (7 − 0) = 14.
        assert_eq!(results(&whole, &[past, decay, beta]), [3.0, 14.0, 6.0, 42.0, 14.0]);
    }

    #[test]
    fn operands_of_other_sizes_are_refused() {
        let q: &[usize] = &[1, 2, 2];
        let k: &[usize] = &[1, 2, 1];
        let refused = |op: &LinearAttention, list: &[&[usize]]| {
            let list: Vec<(&[usize], Dtype)> = list.iter().map(|shape| (*shape, Dtype::F32)).collect();
            op.infer(&Operands::new("LinearAttention", &list)).is_err()
        };
        let decayed = LinearAttention { decay: true, ..PLAIN };
        assert!(refused(&PLAIN, &[q, q, k]) && refused(&PLAIN, &[q, k]) && refused(&decayed, &[q, k, k, &[1, 2, 3]]));
        assert!(!refused(&PLAIN, &[q, k, k]) && !refused(&decayed, &[q, k, k, k]));
    }
}
