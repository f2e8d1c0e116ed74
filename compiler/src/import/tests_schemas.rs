//! The rows against ONNX's own schemas, all versions of all operators: nothing that a schema lets a node say is without a decision.
//!
//! What is neither implemented (in the row) nor refused on purpose (in the lists here) fails, as does a row that names what no
//! schema has. So a new table of schemas shows what came with it.

use super::schema::{Absent, Arity, newest_opset, versions};
use super::support::{OPERATORS, Operator, Support};
use std::collections::BTreeSet;

/// Versions of implemented operators that are refused.
const OTHER_VERSIONS: &[(&str, u32, &str)] =
    &[("LpPool", 1, "its exponent is a float"), ("Scan", 8, "it has a batch axis")];

/// Attributes and operands of implemented operators that are refused: operator, names between spaces.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("BatchNormalization", "mean var saved_mean saved_var"),
    ("Constant", "sparse_value value_string value_strings"),
    ("GRU", "activation_alpha activation_beta"),
    ("LSTM", "activation_alpha activation_beta input_forget"),
    ("RNN", "activation_alpha activation_beta"),
    ("SimplifiedLayerNormalization", "inv_std_var"),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "beam_width cache_indirection qk"),
    (
        "com.microsoft.GroupQueryAttention",
        "k_scale kv_cache_bit_width output_qk qk_output query_seqlens sliding_window_cache v_scale",
    ),
    ("com.microsoft.MatMulNBits", "g_idx weight_prepacked"),
    ("com.microsoft.MultiHeadAttention", "cache_indirection past_sequence_length qk"),
    ("com.microsoft.QGemm", "alpha transA"),
    ("com.microsoft.SkipLayerNormalization", "mean inv_std_var"),
    ("com.microsoft.SkipSimplifiedLayerNormalization", "mean inv_std_var"),
];

fn implemented() -> impl Iterator<Item = &'static Operator> {
    OPERATORS.iter().filter(|row| !matches!(row.support, Support::Refused(_)))
}

#[test]
fn every_version_is_in_a_row_or_refused_on_purpose() {
    for row in implemented() {
        let known: BTreeSet<u32> = versions(&row.full_name()).iter().map(|schema| schema.since).collect();
        let refused =
            OTHER_VERSIONS.iter().filter(|(name, ..)| *name == row.full_name()).map(|(_, version, _)| *version);
        let said: Vec<u32> = row.versions.iter().copied().chain(refused).collect();
        let distinct: BTreeSet<u32> = said.iter().copied().collect();
        assert_eq!((distinct.len(), &distinct), (said.len(), &known), "{}", row.full_name());
    }
    let newest = OPERATORS.iter().filter(|row| row.domain.is_empty()).flat_map(|row| row.versions).max();
    assert!(newest.is_some_and(|newest| i64::from(*newest) <= newest_opset()));
}

#[test]
fn every_name_is_in_a_row_or_refused_on_purpose() {
    for row in implemented() {
        let schemas = versions(&row.full_name()).iter().filter(|schema| row.versions.contains(&schema.since));
        let mut known = BTreeSet::new();
        for schema in schemas {
            known.extend(schema.attributes.iter().map(|attribute| attribute.name));
            let operands = schema.inputs.iter().chain(&schema.outputs);
            known.extend(operands.filter(|o| o.arity == Arity::Optional).map(|o| o.name));
        }
        known.remove("consumed_inputs");
        let attributes = row.attributes.split_whitespace().map(|word| word.split('=').next().unwrap_or(word));
        let refused =
            OTHER_NAMES.iter().filter(|(name, _)| *name == row.full_name()).flat_map(|(_, n)| n.split_whitespace());
        let said: BTreeSet<&str> = attributes.chain(row.optional.split_whitespace()).chain(refused).collect();
        assert_eq!(said, known, "{}", row.full_name());
    }
}

#[test]
fn values_in_rows_are_there_and_defaults_are_among_them() {
    for row in implemented() {
        for attribute in row.attributes.split_whitespace().filter_map(|word| word.split_once('=')) {
            let values = row.values_of(attribute.0).expect("the row has it");
            assert!(!values.is_empty(), "{} {}", row.full_name(), attribute.0);
            let schemas = versions(&row.full_name()).iter().filter(|schema| row.versions.contains(&schema.since));
            for formal in schemas.flat_map(|schema| &schema.attributes).filter(|formal| formal.name == attribute.0) {
                if let Absent::Value(default) = formal.absent {
                    let default = default.trim_matches('"');
                    assert!(values.contains(&default), "{} {} = {default}", row.full_name(), attribute.0);
                }
            }
        }
    }
}

#[test]
fn the_lists_name_what_there_is() {
    for name in OTHER_VERSIONS.iter().map(|(name, ..)| *name).chain(OTHER_NAMES.iter().map(|(name, _)| *name)) {
        assert!(implemented().any(|row| row.full_name() == name), "{name}");
    }
}

#[test]
fn every_operator_of_onnx_has_a_row() {
    let known: BTreeSet<String> = OPERATORS.iter().map(Operator::full_name).collect();
    let standard = super::schema::names().filter(|name| !name.contains('.'));
    let missing: Vec<&str> = standard.filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn rows_are_sorted_and_say_when_they_began() {
    let names: Vec<_> = OPERATORS.iter().map(|o| (o.domain, o.name)).collect();
    assert!(names.is_sorted() && names.windows(2).all(|w| w[0] != w[1]));
    assert!(OPERATORS.iter().all(|o| o.versions.is_sorted() && !o.versions.is_empty()));
}

#[test]
fn notes_are_given_and_refused_operators_are_not_rewritten() {
    for operator in OPERATORS {
        assert_eq!(operator.support == Support::Full, operator.support.note().is_empty(), "{}", operator.name);
        let refused = matches!(operator.support, Support::Refused(_));
        assert!(!(refused && (operator.rewrite.is_some() || operator.needs_values)), "{}", operator.name);
    }
}
