//! Recurrent operators as a `Scan`, in the forms that tract does not have: sequences of lengths of their own, backwards alone, other
//! activations, and limits.
//!
//! A sequence that has ended keeps its state, and gives 0. Backwards, every sequence is turned round within its own length, and its
//! results are turned back. Inputs are multiplied by their weights for all steps at once, in front of the recurrence.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps, attribute};
use crate::import::reason::{Found, Reason};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto,
};

/// What a cell computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Gates input, output, forget and cell.
    Lstm,
    /// Gates update, reset and hidden.
    Gru,
    /// One gate.
    Rnn,
}

impl Cell {
    const fn gates(self) -> i64 {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Rnn => 1,
        }
    }

    /// The activations of one direction where none are named.
    const fn standard(self) -> &'static [&'static str] {
        match self {
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Rnn => &["Tanh"],
        }
    }
}

/// Activations that have no parameters, or those that ONNX gives them.
const ACTIVATIONS: &[&str] =
    &["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Elu", "LeakyRelu", "ThresholdedRelu"];

/// What a node says.
struct Recurrence {
    cell: Cell,
    hidden: i64,
    batch_first: bool,
    after_product: bool,
    clip: Option<f32>,
    /// For each direction: whether it is backwards, and its activations.
    directions: Vec<(bool, Vec<&'static str>)>,
}

fn read(s: &Steps<'_>) -> Result<Recurrence, Reason> {
    let cell = match s.node.op_type.as_str() {
        "LSTM" => Cell::Lstm,
        "GRU" => Cell::Gru,
        _ => Cell::Rnn,
    };
    if s.int_attribute("input_forget").unwrap_or(0) != 0 {
        return Err("input_forget".into());
    }
    if ["activation_alpha", "activation_beta"]
        .iter()
        .any(|name| s.floats_attribute(name).is_some_and(|l| !l.is_empty()))
    {
        return Err("parameters of activations".into());
    }
    let backwards: &[bool] = match s.text_attribute("direction") {
        Some("bidirectional") => &[false, true],
        Some("reverse") => &[true],
        Some(_) | None => &[false],
    };
    let named = s.node.attribute.iter().find(|attribute| attribute.name == "activations");
    let named: Vec<String> =
        named.iter().flat_map(|a| &a.strings).map(|name| String::from_utf8_lossy(name).to_lowercase()).collect();
    let count = cell.standard().len();
    if !named.is_empty() && named.len() != count * backwards.len() {
        return Err(Reason::form("{} activations", [named.len().into()]));
    }
    let of = |position: usize| match named.get(position) {
        None => Ok(cell.standard()[position % count]),
        Some(name) => {
            let known = ACTIVATIONS.iter().find(|known| known.to_lowercase() == *name);
            known.copied().ok_or_else(|| Reason::form("activation {}", [Found::Text(name.clone())]))
        }
    };
    let direction = |(index, back): (usize, &bool)| {
        let activations: Result<Vec<&'static str>, Reason> = (index * count..(index + 1) * count).map(of).collect();
        Ok((*back, activations?))
    };
    Ok(Recurrence {
        cell,
        hidden: s.int_attribute("hidden_size").ok_or("without hidden_size")?,
        batch_first: s.int_attribute("layout").unwrap_or(0) != 0,
        after_product: s.int_attribute("linear_before_reset").unwrap_or(0) != 0,
        clip: s.float_attribute("clip").filter(|clip| *clip > 0.0),
        directions: backwards.iter().enumerate().map(direction).collect::<Result<_, Reason>>()?,
    })
}

/// See the file's header.
pub fn unrolled(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let recurrence = read(s)?;
    let mut x = s.needed(0)?.to_owned();
    if recurrence.batch_first {
        x = transposed(s, &x, &[1, 0, 2]);
    }
    let lengths = s.operand(4).map(|lengths| lengths.to_owned());
    let lengths = lengths.map(|lengths| s.op("Cast", &[&lengths], &[("to", Attribute::Int(DataType::Int64 as i64))]));
    let running = lengths.as_ref().map(|lengths| running(s, &x, lengths));
    let (mut all, mut hidden, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for direction in 0..recurrence.directions.len() {
        let found = one_direction(s, &recurrence, direction, &x, lengths.as_deref(), running.as_deref())?;
        all.push(s.unsqueeze(&found.all, &[1]));
        hidden.push(s.unsqueeze(&found.hidden, &[0]));
        cells.extend(found.cell.map(|cell| s.unsqueeze(&cell, &[0])));
    }
    let y = joined(s, &all, 1);
    let y = if recurrence.batch_first { transposed(s, &y, &[2, 0, 1, 3]) } else { y };
    s.give(0, &y);
    for (position, parts) in [(1, hidden), (2, cells)] {
        if !parts.is_empty() {
            let last = joined(s, &parts, 0);
            let last = if recurrence.batch_first { transposed(s, &last, &[1, 0, 2]) } else { last };
            s.give(position, &last);
        }
    }
    Ok(Rewritten::Replaced)
}

fn transposed(s: &mut Steps<'_>, x: &str, perm: &[i64]) -> String {
    s.op("Transpose", &[x], &[("perm", Attribute::Ints(perm))])
}

fn joined(s: &mut Steps<'_>, parts: &[String], axis: i64) -> String {
    match parts {
        [only] => only.clone(),
        _ => s.op("Concat", &parts.iter().map(String::as_str).collect::<Vec<_>>(), &[("axis", Attribute::Int(axis))]),
    }
}

/// Whether each step lies within each sequence: (steps, batch, 1).
fn running(s: &mut Steps<'_>, x: &str, lengths: &str) -> String {
    let steps = s.shape(x, 0, 1);
    let steps = s.squeeze(&steps, &[0]);
    let (zero, one) = (s.int(0), s.int(1));
    let places = s.op("Range", &[&zero, &steps, &one], &[]);
    let places = s.unsqueeze(&places, &[1]);
    let within = s.op("Less", &[&places, lengths], &[]);
    s.unsqueeze(&within, &[2])
}

/// Elements `from..to` along an axis.
fn part(s: &mut Steps<'_>, x: &str, axis: i64, from: i64, to: i64) -> String {
    if s.known.opset < 10 {
        let bounds = [
            ("axes", Attribute::Ints(&[axis])),
            ("starts", Attribute::Ints(&[from])),
            ("ends", Attribute::Ints(&[to])),
        ];
        return s.op("Slice", &[x], &bounds);
    }
    let (from, to, axis) = (s.ints(&[from]), s.ints(&[to]), s.ints(&[axis]));
    s.op("Slice", &[x, &from, &to, &axis], &[])
}

/// What belongs to one direction.
fn of_direction(s: &mut Steps<'_>, x: &str, direction: usize) -> String {
    let own = part(s, x, 0, direction as i64, direction as i64 + 1);
    s.squeeze(&own, &[0])
}

/// The state that a direction starts with: given, or zeros (batch, hidden).
fn start(s: &mut Steps<'_>, r: &Recurrence, position: usize, direction: usize, x: &str) -> String {
    if let Some(given) = s.operand(position) {
        let given = if r.batch_first { transposed(s, given, &[1, 0, 2]) } else { given.to_owned() };
        return of_direction(s, &given, direction);
    }
    let (batch, hidden) = (s.shape(x, 1, 2), s.ints(&[r.hidden]));
    let shape = s.op("Concat", &[&batch, &hidden], &[("axis", Attribute::Int(0))]);
    let zero = s.number_like(0.0, x);
    s.op("Expand", &[&zero, &shape], &[])
}

/// Every sequence turned round within its length.
fn turned(s: &mut Steps<'_>, x: &str, lengths: &str) -> String {
    // One that has no steps has nothing to turn.
    let one = s.ints(&[1]);
    let lengths = s.op("Max", &[lengths, &one], &[]);
    s.op("ReverseSequence", &[x, &lengths], &[("batch_axis", Attribute::Int(1)), ("time_axis", Attribute::Int(0))])
}

/// Results of one direction.
struct Direction {
    all: String,
    hidden: String,
    cell: Option<String>,
}

fn one_direction(
    s: &mut Steps<'_>,
    r: &Recurrence,
    direction: usize,
    x: &str,
    lengths: Option<&str>,
    running: Option<&str>,
) -> Result<Direction, Reason> {
    let back = r.directions[direction].0;
    let x = match lengths.filter(|_| back) {
        Some(lengths) => turned(s, x, lengths),
        None => x.to_owned(),
    };
    let width = r.cell.gates() * r.hidden;
    let (w, weights) = (s.needed(1)?.to_owned(), s.needed(2)?.to_owned());
    let w = of_direction(s, &w, direction);
    let w = transposed(s, &w, &[1, 0]);
    let mut inputs = s.op("MatMul", &[&x, &w], &[]);
    let mut later = None;
    if let Some(bias) = s.operand(3) {
        let bias = of_direction(s, bias, direction);
        let (of_input, of_state) = (part(s, &bias, 0, 0, width), part(s, &bias, 0, width, 2 * width));
        inputs = s.op("Add", &[&inputs, &of_input], &[]);
        if r.cell == Cell::Gru && r.after_product {
            later = Some(of_state);
        } else {
            inputs = s.op("Add", &[&inputs, &of_state], &[]);
        }
    }
    let weights = of_direction(s, &weights, direction);
    let weights = transposed(s, &weights, &[1, 0]);
    let peepholes = s.operand(7).filter(|_| r.cell == Cell::Lstm).map(|p| of_direction(s, p, direction));
    let mut operands = vec![start(s, r, 5, direction, &x)];
    if r.cell == Cell::Lstm {
        operands.push(start(s, r, 6, direction, &x));
    }
    operands.push(inputs);
    operands.extend(running.map(str::to_owned));
    let step =
        Step { r, activations: &r.directions[direction].1, weights, later, peepholes, masked: running.is_some() };
    let (body, scanned) = step.body(s, direction);
    let states = operands.len() - scanned;
    let reversed = i64::from(back && lengths.is_none());
    let results: Vec<String> = (0..states + 1).map(|at| format!("{}.direction{direction}.{at}", s.node.name)).collect();
    s.nodes.push(NodeProto {
        name: format!("{}.direction{direction}", s.node.name),
        op_type: "Scan".to_owned(),
        input: operands,
        output: results.clone(),
        attribute: vec![
            body,
            attribute("num_scan_inputs", Attribute::Int(scanned as i64)),
            attribute("scan_input_directions", Attribute::Ints(&vec![reversed; scanned])),
            attribute("scan_output_directions", Attribute::Ints(&[reversed])),
        ],
        ..NodeProto::default()
    });
    let all = match lengths.filter(|_| back) {
        Some(lengths) => turned(s, &results[states], lengths),
        None => results[states].clone(),
    };
    Ok(Direction { all, hidden: results[0].clone(), cell: (r.cell == Cell::Lstm).then(|| results[1].clone()) })
}

/// One step of one direction.
struct Step<'r> {
    r: &'r Recurrence,
    activations: &'r [&'static str],
    /// (hidden, gates · hidden)
    weights: String,
    /// What is added to the product of weights and state.
    later: Option<String>,
    peepholes: Option<String>,
    masked: bool,
}

impl Step<'_> {
    /// The body of the `Scan`, and the number of operands that it scans.
    fn body(&self, s: &mut Steps<'_>, direction: usize) -> (AttributeProto, usize) {
        let inner = NodeProto { name: format!("{}.direction{direction}.step", s.node.name), ..NodeProto::default() };
        let mut b = Steps::new(&inner, s.known);
        let named = |what: &str| format!("{}.{what}", inner.name);
        let (h, c, gates, running) = (named("h"), named("c"), named("gates"), named("running"));
        let (mut next, mut cell) = match self.r.cell {
            Cell::Lstm => {
                let (next, cell) = self.lstm(&mut b, &h, &c, &gates);
                (next, Some(cell))
            }
            Cell::Gru => (self.gru(&mut b, &h, &gates), None),
            Cell::Rnn => {
                let sum = self.product(&mut b, &h);
                let sum = b.op("Add", &[&gates, &sum], &[]);
                (self.activation(&mut b, 0, &sum), None)
            }
        };
        let mut given = b.op("Identity", &[&next], &[]);
        if self.masked {
            let zero = b.floats(&[], &[0.0]);
            given = b.op("Where", &[&running, &next, &zero], &[]);
            next = b.op("Where", &[&running, &next, &h], &[]);
            cell = cell.map(|cell| b.op("Where", &[&running, &cell, &c], &[]));
        }
        let mut inputs = vec![info(&h, DataType::Float)];
        let mut outputs = vec![info(&next, DataType::Float)];
        if let Some(cell) = &cell {
            inputs.push(info(&c, DataType::Float));
            outputs.push(info(cell, DataType::Float));
        }
        inputs.push(info(&gates, DataType::Float));
        inputs.extend(self.masked.then(|| info(&running, DataType::Bool)));
        outputs.push(info(&given, DataType::Float));
        let (nodes, initialisers) = (b.nodes, b.initialisers);
        s.initialisers.extend(initialisers);
        let graph = GraphProto {
            name: inner.name.clone(),
            node: nodes,
            input: inputs,
            output: outputs,
            ..GraphProto::default()
        };
        let body = AttributeProto {
            name: "body".to_owned(),
            r#type: AttributeType::Graph as i32,
            g: Some(graph),
            ..AttributeProto::default()
        };
        (body, if self.masked { 2 } else { 1 })
    }

    fn product(&self, b: &mut Steps<'_>, h: &str) -> String {
        let product = b.op("MatMul", &[h, &self.weights], &[]);
        match &self.later {
            Some(bias) => b.op("Add", &[&product, bias], &[]),
            None => product,
        }
    }

    fn activation(&self, b: &mut Steps<'_>, which: usize, x: &str) -> String {
        let x = match self.r.clip {
            Some(clip) => {
                let (low, high) = (b.floats(&[], &[-clip]), b.floats(&[], &[clip]));
                let below = b.op("Min", &[x, &high], &[]);
                b.op("Max", &[&below, &low], &[])
            }
            None => x.to_owned(),
        };
        b.op(self.activations[which], &[&x], &[])
    }

    /// Gate `index` of a row of gates.
    fn gate(&self, b: &mut Steps<'_>, gates: &str, index: i64) -> String {
        part(b, gates, 1, index * self.r.hidden, (index + 1) * self.r.hidden)
    }

    fn lstm(&self, b: &mut Steps<'_>, h: &str, c: &str, gates: &str) -> (String, String) {
        let product = self.product(b, h);
        let sums = b.op("Add", &[gates, &product], &[]);
        let [input, output, forget, candidate] = [0, 1, 2, 3].map(|index| self.gate(b, &sums, index));
        let peep = |b: &mut Steps<'_>, sum: String, index: i64, cell: &str| match &self.peepholes {
            Some(all) => {
                let own = part(b, all, 0, index * self.r.hidden, (index + 1) * self.r.hidden);
                let seen = b.op("Mul", &[&own, cell], &[]);
                b.op("Add", &[&sum, &seen], &[])
            }
            None => sum,
        };
        let (input, forget) = (peep(b, input, 0, c), peep(b, forget, 2, c));
        let (input, forget) = (self.activation(b, 0, &input), self.activation(b, 0, &forget));
        let candidate = self.activation(b, 1, &candidate);
        let (kept, added) = (b.op("Mul", &[&forget, c], &[]), b.op("Mul", &[&input, &candidate], &[]));
        let cell = b.op("Add", &[&kept, &added], &[]);
        let output = peep(b, output, 1, &cell);
        let output = self.activation(b, 0, &output);
        // A limit is on what goes into the gates.
        let bent = b.op(self.activations[2], &[&cell], &[]);
        (b.op("Mul", &[&output, &bent], &[]), cell)
    }

    fn gru(&self, b: &mut Steps<'_>, h: &str, gates: &str) -> String {
        let width = self.r.hidden;
        let gate = |b: &mut Steps<'_>, product: &str, index: i64| {
            let (own, of_state) = (self.gate(b, gates, index), self.gate(b, product, index));
            let sum = b.op("Add", &[&own, &of_state], &[]);
            self.activation(b, 0, &sum)
        };
        let product = self.product(b, h);
        let (update, reset) = (gate(b, &product, 0), gate(b, &product, 1));
        let of_state = if self.r.after_product {
            let of_state = self.gate(b, &product, 2);
            b.op("Mul", &[&reset, &of_state], &[])
        } else {
            let left = b.op("Mul", &[&reset, h], &[]);
            let weights = part(b, &self.weights, 1, 2 * width, 3 * width);
            b.op("MatMul", &[&left, &weights], &[])
        };
        let own = self.gate(b, gates, 2);
        let sum = b.op("Add", &[&own, &of_state], &[]);
        let candidate = self.activation(b, 1, &sum);
        let one = b.floats(&[], &[1.0]);
        let rest = b.op("Sub", &[&one, &update], &[]);
        let (new, old) = (b.op("Mul", &[&rest, &candidate], &[]), b.op("Mul", &[&update, h], &[]));
        b.op("Add", &[&new, &old], &[])
    }
}

/// A value of a body, of an element type and of whatever shape.
fn info(name: &str, element: DataType) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: element as i32, shape: None };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}
