//! A guard around every operator while tract infers shapes.
//!
//! It sees what tract knows about a node's operands before tract uses it: ranks and constant parameters are held against the
//! same ranges as in the file, results against the bound on shapes, and a value is only computed where its size is known to
//! fit what tract keeps. Where tract stops at a check of its own, the node is named. Results are tract's own: to its
//! passes the operator inside looks as if nothing was around it.

use super::super::failure::described;
use super::super::stopped::stopped;
use super::empty;
use super::invalid::Invalid;
use super::limits::{MAX_FOLDED_BYTES, SMALL_BYTES, bounded};
use super::ranges::{self, Elements};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::{
    DatumType, InferenceFact, InferenceModel, OutletId, TVec, Tensor, TractError, TractResult, TypedModel,
};
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, Op, OpState, SessionId, SpecialOps, StaticName, TValue, TypedOp, not_a_typed_op,
};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::optim::CONST_FOLD_MEM_BUDGET;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode, InferenceOp};
use tract_onnx::tract_hir::internal::InferenceModelPatch;
use tract_onnx::tract_hir::ops::scan::InferenceScan;
use tract_onnx::tract_hir::ops::source::Source;

/// Elements of operands that may be parameters.
const MAX_PARAMETERS: usize = 64;

/// Operands of fewer elements are folded as soon as a typed node is made, whatever comes of it.
const EAGER_ELEMENTS: usize = 16;

/// Puts a guard around the operators of a model that was read from `graph`, those of its bodies included. What is folded counts
/// for the whole model.
pub fn put(model: &mut InferenceModel, graph: &GraphProto) {
    let counters = [0, 0].map(|bytes| Arc::new(AtomicU64::new(bytes)));
    put_inside(model, graph, &counters);
}

fn put_inside(model: &mut InferenceModel, graph: &GraphProto, counters: &[Arc<AtomicU64>; 2]) {
    let by_name: BTreeMap<&str, &NodeProto> = graph.node.iter().map(|node| (node.name.as_str(), node)).collect();
    for node in model.nodes_mut() {
        if node.op_is::<Const>() || node.op_is::<Source>() {
            continue;
        }
        let Some(proto) = by_name.get(node.name.as_str()) else { continue };
        if let Some(scan) = node.op_as_mut::<InferenceScan>()
            && let Some(body) = proto.attribute.iter().find_map(|attribute| attribute.g.as_ref())
        {
            put_inside(&mut scan.body, body, counters);
        }
        let proto = checked_part(proto);
        let [folded, eager] = counters.clone();
        node.op = Box::new(Guarded { op: node.op.clone(), node: Arc::new(proto), folded, eager });
    }
}

/// A node without subgraphs and tensors, which may be large.
fn checked_part(node: &NodeProto) -> NodeProto {
    NodeProto {
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        domain: node.domain.clone(),
        input: node.input.clone(),
        attribute: node.attribute.iter().filter(|a| a.g.is_none() && a.t.is_none()).cloned().collect(),
        ..NodeProto::default()
    }
}

/// An operator under guard.
#[derive(Debug, Clone)]
struct Guarded {
    op: Box<dyn InferenceOp>,
    node: Arc<NodeProto>,
    /// Bytes that inference computed, of the whole model, every time that it did.
    folded: Arc<AtomicU64>,
    /// Bytes that are computed when typed nodes are made, of the whole model.
    eager: Arc<AtomicU64>,
}

impl PartialEq for Guarded {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Guarded {}

impl Guarded {
    /// Runs a part of tract; where it stops at a check of its own, that is an error of this node.
    fn caught<T>(&self, operands: &[&InferenceFact], run: impl FnOnce() -> TractResult<T>) -> TractResult<T> {
        stopped(run).unwrap_or_else(|_| {
            let (node, op) = (self.node.name.clone(), self.node.op_type.clone());
            let operands = operands.iter().map(|fact| described(fact)).collect();
            Err(TractError::new(Invalid::Unsupported { node, op, operands }))
        })
    }

    /// Positions of the operands that are given: tract leaves out the others.
    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()).map(|(position, _)| position)
    }

    fn check_operands(&self, inputs: &[&InferenceFact]) -> TractResult<()> {
        if let Some(first) = inputs.first()
            && !first.shape.is_open()
        {
            ranges::with_rank(&self.node, first.shape.dims().count()).map_err(TractError::new)?;
        }
        for (position, fact) in self.positions().zip(inputs) {
            self.check_shape(fact)?;
            let value = fact.value.concretize().filter(|value| value.volume() <= MAX_PARAMETERS);
            if let Some(value) = value {
                self.check_operand(position, &value)?;
            }
        }
        self.check_range(inputs)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "tract's types: those that bundles have are few")]
    fn check_operand(&self, position: usize, value: &Tensor) -> TractResult<()> {
        let checked = match value.datum_type() {
            DatumType::I64 | DatumType::I32 | DatumType::TDim => {
                let Ok(values) = elements::<i64>(value) else { return Ok(()) };
                ranges::operand(&self.node, position, Elements::Integers(&values))
            }
            DatumType::F32 => ranges::operand(&self.node, position, Elements::Floats(&elements::<f32>(value)?)),
            _ => Ok(()),
        };
        checked.map_err(TractError::new)
    }

    fn check_range(&self, inputs: &[&InferenceFact]) -> TractResult<()> {
        if self.node.op_type != "Range" {
            return Ok(());
        }
        let value = |fact: &&InferenceFact| elements::<f64>(&*fact.value.concretize()?).ok()?.first().copied();
        let bounds: Vec<f64> = inputs.iter().filter_map(value).collect();
        match <[f64; 3]>::try_from(bounds) {
            Ok(bounds) => ranges::range_of(&self.node, bounds).map_err(TractError::new),
            Err(_) => Ok(()),
        }
    }

    fn check_shape(&self, fact: &InferenceFact) -> TractResult<()> {
        let sizes = fact.shape.dims().map(|dim| dim.concretize().and_then(|dim| dim.to_i64().ok()));
        if bounded(sizes) {
            return Ok(());
        }
        let (node, shape) = (self.node.name.clone(), format!("{:?}", fact.shape));
        Err(TractError::new(Invalid::TooLarge { node, shape }))
    }

    /// Bytes of results whose shapes are known.
    fn result_bytes(outputs: &[InferenceFact]) -> Option<u64> {
        outputs.iter().map(fact_bytes).try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?))
    }

    /// Whether a value of this size, made of operands of that size, is computed: tract keeps none that is larger, and all
    /// together are bounded.
    fn folds(&self, operand_bytes: u64, result_bytes: Option<u64>) -> bool {
        // A size that is unknown is that of a small parameter, whose operands were checked.
        let bytes = result_bytes.unwrap_or(0);
        if bytes > operand_bytes.max(CONST_FOLD_MEM_BUDGET) {
            return false;
        }
        let counted = if bytes > SMALL_BYTES { bytes } else { 0 };
        let before = self.folded.fetch_add(counted, Ordering::Relaxed);
        counted == 0 || before.saturating_add(counted) <= MAX_FOLDED_BYTES
    }
}

fn fact_bytes(fact: &InferenceFact) -> Option<u64> {
    let element = fact.datum_type.concretize()?.size_of() as u64;
    let dims = fact.shape.concretize()?;
    let elements = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(dim.to_i64().ok()?.try_into().ok()?));
    elements?.checked_mul(element)
}

fn elements<T: tract_onnx::prelude::Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    let cast = tensor.cast_to::<T>()?;
    let plain = cast.try_as_plain_ram()?;
    Ok(plain.as_slice::<T>()?.to_vec())
}

impl Op for Guarded {
    fn name(&self) -> StaticName {
        self.op.name()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.op.info()
    }

    not_a_typed_op!();
}

impl EvalOp for Guarded {
    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.op.eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.op.eval_out_of_plan(inputs)
    }

    fn state(&self, context: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        self.op.state(context)
    }

    fn drop_session(&self, session: SessionId, node_id: usize) {
        self.op.drop_session(session, node_id);
    }
}

/// What an operator infers: operands, results, and what it observes.
type Inferred = (TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>);

impl InferenceOp for Guarded {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Inferred> {
        self.check_operands(&inputs)?;
        let mut facts = self.infer_facts(inputs.clone(), outputs.clone(), observed.clone())?;
        for fact in facts.0.iter().chain(&facts.1) {
            self.check_shape(fact)?;
        }
        if let Some(value) = empty::reduced(&self.node, facts.0.first(), facts.1.first()) {
            facts.1[0] = InferenceFact::from(value);
            return Ok(facts);
        }
        let values: Option<Vec<Arc<Tensor>>> = facts.0.iter().map(|fact| fact.value.concretize()).collect();
        let Some(values) = values.filter(|values| !values.is_empty()) else { return Ok(facts) };
        let operand_bytes = values.iter().map(|value| (value.volume() * value.datum_type().size_of()) as u64).sum();
        if !self.folds(operand_bytes, Self::result_bytes(&facts.1)) {
            return Ok(facts);
        }
        let mut op = self.op.clone();
        let inferred = self.caught(&inputs.clone(), || op.infer(inputs, outputs, observed))?;
        self.op = op;
        for fact in &inferred.1 {
            self.check_shape(fact)?;
        }
        Ok(inferred)
    }

    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Inferred> {
        let mut op = self.op.clone();
        let inferred = self.caught(&inputs.clone(), || op.infer_facts(inputs, outputs, observed))?;
        self.op = op;
        Ok(inferred)
    }

    fn observe_outlets(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Vec<OutletId>> {
        self.caught(&[], || self.op.observe_outlets(model, node))
    }

    fn incorporate(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Option<InferenceModelPatch>> {
        self.caught(&[], || self.op.incorporate(model, node))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.caught(&[], || self.op.nboutputs())
    }

    fn as_op(&self) -> &dyn Op {
        self.op.as_op()
    }

    fn as_op_mut(&mut self) -> &mut dyn Op {
        self.op.as_op_mut()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let operand = node.inputs.first().map(|outlet| source.outlet_fact(*outlet)).transpose()?;
        if let Some(value) = empty::reduced(&self.node, operand, node.outputs.first().map(|output| &output.fact)) {
            return Ok([target.add_const(&*node.name, value)?].into_iter().collect());
        }
        let mut eager = !node.inputs.is_empty();
        for outlet in &node.inputs {
            let value = source.outlet_fact(*outlet)?.value.concretize();
            eager &= value.is_some_and(|value| value.volume() < EAGER_ELEMENTS);
        }
        let results: Vec<InferenceFact> = node.outputs.iter().map(|output| output.fact.clone()).collect();
        if let Some(bytes) = Self::result_bytes(&results).filter(|bytes| eager && *bytes > SMALL_BYTES)
            && self.eager.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MAX_FOLDED_BYTES
        {
            return Err(TractError::new(Invalid::FoldTooLarge { node: self.node.name.clone(), bytes }));
        }
        let operands: TractResult<Vec<&InferenceFact>> = node.inputs.iter().map(|o| source.outlet_fact(*o)).collect();
        self.caught(&operands?, || self.op.to_typed(source, node, target, mapping))
    }
}
