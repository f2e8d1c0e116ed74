//! Tables of angles that an `If` chooses by the length of the text, as long-rope models have them.
//!
//! Exporters take the length from the size of the mask, which is the room of a cache here, whatever the text's length. It is the
//! mask's ones that are counted instead, when the model runs, and rows of both tables are held, as many as the mask has places. Takes
//! an `If` whose branches are tables of constants; any other is decided as before, by the size. A mask with more places than the
//! longer table has rows is left to what reads the table, which refuses it.

use super::super::conditions::chooses;
use super::super::rewrite::steps::Known;
use super::written::{Written, shape_of};
use std::collections::BTreeMap;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
};

/// Operators that a length goes through on the way to a condition.
const BETWEEN: [&str; 10] =
    ["Cast", "Equal", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Not", "Squeeze", "Unsqueeze"];

/// Most nodes between a length and a condition.
const MAX_DEPTH: usize = 8;

/// See the file's header.
pub fn choose(graph: &mut GraphProto, opset: i64) {
    let known = Known::of(graph, opset);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        match chooses(node).then(|| chosen(graph, node, &known)).flatten() {
            Some(chosen) => nodes.extend(chosen),
            None => nodes.push(node.clone()),
        }
    }
    graph.node = nodes;
}

/// The nodes in the place of an `If`.
fn chosen(graph: &GraphProto, node: &NodeProto, known: &Known) -> Option<Vec<NodeProto>> {
    let makers = graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)));
    let makers: BTreeMap<&str, &NodeProto> = makers.collect();
    let mut w = Written::new(node);
    let (condition, places) = counted(&mut w, graph, &makers, known, node.input.first()?, MAX_DEPTH)?;
    let branch = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name)?.g.as_ref();
    let branches = [branch("then_branch")?, branch("else_branch")?];
    for (position, output) in node.output.iter().enumerate() {
        let [longer, shorter] = branches.map(|branch| table(graph, branch, position));
        let tables = [longer?, shorter?];
        let [(rows, columns), (other_rows, other_columns)] =
            tables.each_ref().map(|table| (table.dims[0], table.dims[1]));
        let alike = columns == other_columns && tables[0].data_type == tables[1].data_type;
        if !alike || (places as i64) > rows.max(other_rows) {
            return None;
        }
        let [then, otherwise] = tables.map(|table| first_rows(table, places).map(|table| w.tensor(table)));
        w.op("Where", &[&condition, &then?, &otherwise?], vec![]);
        w.give(output);
    }
    Some(w.nodes)
}

/// A value that depends on the number of a mask's places, as it is for the number of its ones; with that number.
fn counted(
    w: &mut Written<'_>,
    graph: &GraphProto,
    makers: &BTreeMap<&str, &NodeProto>,
    known: &Known,
    name: &str,
    depth: usize,
) -> Option<(String, usize)> {
    let maker = makers.get(name).filter(|_| depth > 0)?;
    if maker.op_type == "Gather" {
        let shape = makers.get(maker.input.first()?.as_str()).filter(|shape| shape.op_type == "Shape")?;
        let mask = shape.input.first().filter(|mask| mask.contains("mask") && !mask.contains("encoder"))?;
        let [_, places] = *shape_of(graph, mask)? else { return None };
        let index = maker.input.get(1)?;
        if known.integers(index) != Some(&[1]) || !shape.attribute.is_empty() {
            return None;
        }
        let axes = w.constant(&[1]);
        let sums = w.op("ReduceSum", &[mask, &axes], vec![integer("keepdims", 0)]);
        let count = w.op("ReduceMax", &[&sums], vec![integer("keepdims", 0)]);
        let count = w.op("Cast", &[&count], vec![integer("to", DataType::Int64 as i64)]);
        let listed = known.shape(index).is_some_and(|shape| shape.len() == 1);
        let one = listed.then(|| w.constant(&[1]));
        let count = one.map_or(count.clone(), |one| w.op("Reshape", &[&count, &one], vec![]));
        return Some((count, places));
    }
    if !BETWEEN.contains(&maker.op_type.as_str()) {
        return None;
    }
    let mut found = None;
    let mut operands = Vec::with_capacity(maker.input.len());
    for input in &maker.input {
        match counted(w, graph, makers, known, input, depth - 1) {
            Some((operand, places)) => {
                found = Some(places);
                operands.push(operand);
            }
            None => operands.push(input.clone()),
        }
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    found.map(|places| (w.op(&maker.op_type, &operands, maker.attribute.clone()), places))
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

/// A branch's result, when that is a table of floats among its constants or those of the graph.
fn table<'a>(graph: &'a GraphProto, branch: &'a GraphProto, position: usize) -> Option<&'a TensorProto> {
    let name = &branch.output.get(position)?.name;
    let of_node = |node: &'a NodeProto| node.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_ref();
    let made =
        branch.node.iter().find(|node| node.op_type == "Constant" && node.output.contains(name)).and_then(of_node);
    let held = || branch.initializer.iter().chain(&graph.initializer).find(|tensor| tensor.name == *name);
    let floats = [DataType::Float as i32, DataType::Float16 as i32];
    made.or_else(held).filter(|table| table.dims.len() == 2 && floats.contains(&table.data_type))
}

/// So many rows of a table, zeros behind its last; `None` where its bytes are not in the message.
fn first_rows(table: &TensorProto, rows: usize) -> Option<TensorProto> {
    let size = if table.data_type == DataType::Float as i32 { 4 } else { 2 };
    let columns = usize::try_from(table.dims[1]).ok()?;
    let own: Vec<u8> = match (table.raw_data.as_slice(), table.float_data.as_slice()) {
        ([], []) => return None,
        ([], floats) => floats.iter().flat_map(|value| value.to_le_bytes()).collect(),
        (raw, _) => raw.to_vec(),
    };
    let mut bytes = own;
    bytes.resize(rows.checked_mul(columns)?.checked_mul(size)?, 0);
    let dims = vec![rows as i64, columns as i64];
    Some(TensorProto { dims, data_type: table.data_type, raw_data: bytes, ..TensorProto::default() })
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::import::sizes::fixed;
    use tract_onnx::pb::{
        AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
    };

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            name: format!("<{output}>"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    /// A branch that gives a table of so many rows of two columns, every element of this value.
    fn branch(name: &str, rows: i64, value: f32) -> AttributeProto {
        let table = TensorProto {
            dims: vec![rows, 2],
            data_type: 1,
            float_data: vec![value; 2 * rows as usize],
            ..TensorProto::default()
        };
        let mut constant = node("Constant", &[], "table");
        constant.attribute =
            vec![AttributeProto { name: "value".to_owned(), t: Some(table), ..AttributeProto::default() }];
        let output = vec![ValueInfoProto { name: "table".to_owned(), ..ValueInfoProto::default() }];
        let graph = GraphProto { node: vec![constant], output, ..GraphProto::default() };
        AttributeProto { name: name.to_owned(), g: Some(graph), ..AttributeProto::default() }
    }

    /// A mask of so many places, and an `If` on whether that is more than three: tables of five rows and of three.
    fn graph(places: i64) -> GraphProto {
        let shape = Some(TensorShapeProto { dim: vec![fixed(1), fixed(places)] });
        let value = Some(type_proto::Value::TensorType(type_proto::Tensor { elem_type: 7, shape }));
        let whole = |name: &str, value: i64| TensorProto {
            name: name.to_owned(),
            data_type: 7,
            int64_data: vec![value],
            ..TensorProto::default()
        };
        let mut choice = node("If", &["is_long"], "angles");
        choice.attribute = vec![branch("then_branch", 5, 1.0), branch("else_branch", 3, 2.0)];
        GraphProto {
            node: vec![
                node("Shape", &["attention_mask"], "sizes"),
                node("Gather", &["sizes", "one"], "length"),
                node("Greater", &["length", "three"], "is_long"),
                choice,
            ],
            input: vec![ValueInfoProto {
                name: "attention_mask".to_owned(),
                r#type: Some(TypeProto { value, ..TypeProto::default() }),
                ..ValueInfoProto::default()
            }],
            initializer: vec![TensorProto { dims: vec![], ..whole("one", 1) }, whole("three", 3)],
            ..GraphProto::default()
        }
    }

    #[test]
    fn the_ones_of_a_mask_decide_and_not_its_places() {
        let mut chosen = graph(4);
        choose(&mut chosen, 17);
        let made: Vec<&str> = chosen.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(made[..3], ["Shape", "Gather", "Greater"]);
        assert!(made.contains(&"ReduceSum") && !made.contains(&"If"), "{made:?}");
        let last = chosen.node.last().expect("the choice");
        assert_eq!((last.op_type.as_str(), last.output.as_slice()), ("Where", &["angles".to_owned()][..]));
        let rows = |name: &String| {
            let made = chosen.node.iter().find(|node| node.output.contains(name)).expect("the node is there");
            let table = made.attribute[0].t.as_ref().expect("a constant");
            let floats = table.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (table.dims.clone(), floats.collect::<Vec<_>>())
        };
        assert_eq!(rows(&last.input[1]), (vec![4, 2], vec![1.0; 8]));
        assert_eq!(rows(&last.input[2]), (vec![4, 2], [vec![2.0; 6], vec![0.0; 2]].concat()));
    }

    #[test]
    fn a_mask_beyond_the_tables_and_other_conditions_are_left() {
        let mut beyond = graph(6);
        let mut other = graph(4);
        other.node[2].input[0] = "three".to_owned();
        for graph in [&mut beyond, &mut other] {
            let before = graph.clone();
            choose(graph, 17);
            assert_eq!(*graph, before);
        }
    }
}
