//! Optional operands and results that a node leaves out at its end: empty names there say no more than no names.
//!
//! Takes nodes that are admitted, and drops such names, those of bodies too, so that nobody below has to count with them. Where a
//! position may repeat (results of a `Split`), the number of names means something, and they stay.

use super::conditions::chooses;
use super::schema::{Arity, Formal};
use super::types;
use tract_onnx::pb::NodeProto;

/// Drops the empty names at the end of every node's operands and results.
pub fn drop_trailing(nodes: &mut [NodeProto], opset: i64) {
    for node in nodes {
        // Branches become nodes of the graph, and come here then.
        if !chooses(node) {
            for attribute in &mut node.attribute {
                let bodies = attribute.g.iter_mut().chain(&mut attribute.graphs);
                bodies.for_each(|body| drop_trailing(&mut body.node, opset));
            }
        }
        if let Some(schema) = types::schema(node, opset) {
            cut(&mut node.input, &schema.inputs);
            cut(&mut node.output, &schema.outputs);
        }
    }
}

fn cut(names: &mut Vec<String>, formals: &[Formal]) {
    if formals.last().is_some_and(|last| matches!(last.arity, Arity::Repeated(_))) {
        return;
    }
    let count = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    names.truncate(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(op: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> (Vec<String>, Vec<String>) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut node = NodeProto {
            op_type: op.to_owned(),
            domain: domain.to_owned(),
            input: names(inputs),
            output: names(outputs),
            ..NodeProto::default()
        };
        drop_trailing(std::slice::from_mut(&mut node), 18);
        (node.input, node.output)
    }

    #[test]
    fn names_are_left_out_at_the_end_only() {
        let (inputs, outputs) = dropped("LayerNormalization", "", &["x", "scale", ""], &["y", "", "deviation"]);
        assert_eq!(inputs, ["x", "scale"]);
        assert_eq!(outputs, ["y", "", "deviation"]);
        assert_eq!(dropped("Dropout", "", &["x", "", ""], &["y", ""]).1, ["y"]);
        assert_eq!(dropped("Clip", "ai.onnx", &["x", "", "most"], &["y"]).0, ["x", "", "most"]);
        assert_eq!(dropped("BiasGelu", "com.microsoft", &["x", ""], &["y"]).0, ["x"]);
    }

    #[test]
    fn names_that_repeat_stay() {
        assert_eq!(dropped("Split", "", &["x", ""], &["", "y", ""]).1, ["", "y", ""]);
        assert_eq!(dropped("Concat", "", &["x", ""], &["y"]).0, ["x", ""]);
    }
}
