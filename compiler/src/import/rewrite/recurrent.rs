//! Recurrent operators: what tract reads over without a word is refused.

use super::Rewritten;
use super::steps::Steps;
use tract_onnx::pb::NodeProto;

/// `LSTM`, `GRU` and `RNN` stay as they are, or ask for what tract ignores.
pub fn recurrent(node: &NodeProto, _s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let standard: &[&str] = match node.op_type.as_str() {
        "LSTM" => &["sigmoid", "tanh", "tanh"],
        "GRU" => &["sigmoid", "tanh"],
        _ => &["tanh"],
    };
    let ignored = node.attribute.iter().find_map(|a| match a.name.as_str() {
        "direction" if a.s == b"reverse" => Some("direction reverse"),
        "activations" => {
            let names = a.strings.iter().map(|s| String::from_utf8_lossy(s).to_lowercase());
            let same = names.zip(standard.iter().cycle()).all(|(name, standard)| name == *standard);
            (!same).then_some("other activations than the standard ones")
        }
        "activation_alpha" | "activation_beta" if !a.floats.is_empty() => Some("parameters of activations"),
        "clip" => Some("clip"),
        "input_forget" if a.i != 0 => Some("input_forget"),
        _ => None,
    });
    ignored.map_or(Ok(Rewritten::Unchanged), |what| Err(what.to_owned()))
}
