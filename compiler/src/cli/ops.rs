//! `ops`: which ONNX operators are supported, printed from the registry.
//!
//! docs/operators.md is the output of `ops --markdown`; a test compares them. It deliberately adds nothing to the registry.

use flashmem_compiler::import::{OPERATORS, Operator, Support};
use std::fmt::Write as _;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Columns for people.
    Text,
    /// One JSON object.
    Json,
    /// The page of the documentation.
    Markdown,
}

/// Prints the table.
pub fn print(layout: Layout) {
    let text = match layout {
        Layout::Text => text(),
        Layout::Json => json(),
        Layout::Markdown => markdown(),
    };
    out!("{text}");
}

fn versions(operator: &Operator) -> String {
    operator.versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn summary() -> String {
    let count = |of: fn(Support) -> bool| OPERATORS.iter().filter(|o| of(o.support)).count();
    format!(
        "{} operators: {} supported, {} within limits, {} refused",
        OPERATORS.len(),
        count(|s| s == Support::Full),
        count(|s| matches!(s, Support::Limited(_))),
        count(|s| matches!(s, Support::Refused(_))),
    )
}

fn text() -> String {
    let width = OPERATORS.iter().map(|o| o.full_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for operator in OPERATORS {
        let name = operator.full_name();
        let since = operator.versions.first().copied().unwrap_or(0);
        let line = format!("{name:width$}  {since:>2}+  {:7}  {}", operator.support.word(), operator.support.note());
        writeln!(text, "{}", line.trim_end()).expect("writing to a string");
    }
    writeln!(text, "{}", summary()).expect("writing to a string");
    text
}

fn json() -> String {
    let rows: Vec<serde_json::Value> = OPERATORS
        .iter()
        .map(|operator| {
            serde_json::json!({
                "domain": operator.domain,
                "name": operator.name,
                "versions": operator.versions,
                "attributes": operator.attributes.split_whitespace().collect::<Vec<_>>(),
                "optional": operator.optional.split_whitespace().collect::<Vec<_>>(),
                "support": operator.support.word(),
                "note": operator.support.note(),
            })
        })
        .collect();
    let object = serde_json::json!({ "operators": rows });
    format!("{object:#}\n")
}

const HEADER: &str = "# Operators

Made by `flashmem-compile ops --markdown` from the registry in `compiler/src/import/support.rs`; a test keeps it true.

Versions are those of the ONNX operator set in which an operator was introduced or changed; a model of any of them is read by
the rules of its own version. Attributes are those that are implemented in any version, with their values where only some are;
optional operands are the inputs and outputs that ONNX lets be left out and that are implemented. A version that is not listed, an
attribute that is not listed and not at ONNX's default, and an optional operand that is not listed are refused by the node's name. Every shape has to be known at compile time, so what decides shapes (shapes, axes, pads, repeats,
counts) has to be constant or computed from shapes. Values are f32, f16 (computed in f32, rounded by casts and at outputs), i32,
i64 (as i32, see below), u8, i8 and bool. Anything else is refused when a model is compiled, with every node
that uses it. `tests/conformance/table.txt` has the verdict of every backend node test of ONNX.

**Integers.** Arithmetic on i32, u8 and i8 wraps. i64 has 32 bits on the device: constants and inputs beyond them are refused, and where
the compiler cannot show from ranges that a result fits, a run checks it and fails, naming the node. No run gives an i64
that has wrapped. Sums and products over axes fail from magnitudes of 2^30 on. A division by zero gives 0, a shift by the width or more
what shifting bit by bit would. Casts of floats to i32 saturate, those to u8 and i8 wrap after that, NaN gives 0; ONNX leaves these open.
Bytes of boolean values other than 0 count as 1.

**Edge values.** NaN passes through element-wise functions, maxima and minima included, on every device; comparisons with it are false.
Subnormal numbers may count as zero, and the sign of a zero is not kept.
";

fn markdown() -> String {
    let mut text = format!(
        "{HEADER}\n{}.\n\n| Operator | Versions | Supported | Limits or reason | Attributes | Optional operands |\n|---|---|---|---|---|---|\n",
        summary()
    );
    for operator in OPERATORS {
        let (name, versions) = (operator.full_name(), versions(operator));
        let support = operator.support;
        let (word, note, optional) = (support.word(), support.note(), operator.optional);
        // A bar would end the cell.
        let attributes = operator.attributes.replace('|', ", ").replace(' ', "; ").replace(",; ", ", ");
        let cells = [&name, &versions, word, note, &attributes, optional];
        writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string");
    }
    text
}
