//! Every ONNX backend node test has the verdict that the committed table says, and none of them is a failure.
//!
//! One process, one device, pipelines shared. `FLASHMEM_ONLY` picks tests by name.

use anyhow::Context as _;
use flashmem_compiler::import::{OPERATORS, Support};
use flashmem_runtime::Context;
use flashmem_tests::conformance::{Verdict, archive, message, run_all, table};
use flashmem_tests::{folder, models, onnx_files};
use std::collections::BTreeSet;

#[test]
fn node_tests_have_the_verdicts_of_the_table() -> anyhow::Result<()> {
    let here = folder("conformance");
    let only = std::env::var("FLASHMEM_ONLY").unwrap_or_default();
    let mut tests = archive::read(&here.join("node-1.23.2.tar.gz"))?;
    assert_eq!(tests.len(), 1884, "the archive holds all tests");
    tests.retain(|test| test.name.contains(&only));
    let verdicts = run_all(&tests, &Context::open(None)?, 2, &|_, _| ())?;
    println!("{}", table::summary(&verdicts));
    let committed = std::fs::read_to_string(here.join("table.txt"))?;
    let chosen: Vec<&str> =
        committed.lines().filter(|l| l.split(':').next().is_some_and(|n| n.contains(&only))).collect();
    let differences = table::differences(&chosen.join("\n"), &table::text(&verdicts));
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    let failures = verdicts.iter().filter(|(_, v)| !matches!(v, Verdict::Pass | Verdict::Refused(_))).count();
    assert_eq!(failures, 0, "a failure is listed in the table");
    Ok(())
}

/// Accepted operators that no test model has, of this suite or of `models/ops`.
const WITHOUT_TEST: &[&str] = &[];

/// An operator's name, after its domain where that is not the standard one.
fn full_name(domain: &str, name: &str) -> String {
    if domain.is_empty() { name.to_owned() } else { format!("{domain}.{name}") }
}

/// Names of the operators of a model's outer graph.
fn operators_of(model: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let model = message::model(model).context("a model")?;
    let standard = |node: &message::Node| matches!(node.domain.as_str(), "" | "com.microsoft");
    Ok(model.nodes.iter().filter(|node| standard(node)).map(|node| full_name(&node.domain, &node.op)).collect())
}

#[test]
fn the_registry_agrees_with_the_table() -> anyhow::Result<()> {
    let here = folder("conformance");
    let table = std::fs::read_to_string(here.join("table.txt"))?;
    let passing: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_suffix(": pass")).collect();
    let mut tested = BTreeSet::new();
    for test in archive::read(&here.join("node-1.23.2.tar.gz"))?.iter().filter(|t| passing.contains(t.name.as_str())) {
        tested.extend(operators_of(&test.model)?);
    }
    let refused = std::fs::read_to_string(models("ops").join("refused.txt"))?;
    for model in onnx_files(&models("ops"))? {
        let name = model.file_stem().context("a file")?.to_string_lossy().into_owned();
        if !refused.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            tested.extend(operators_of(&std::fs::read(model)?)?);
        }
    }
    let accepted: BTreeSet<String> = OPERATORS
        .iter()
        .filter(|o| !matches!(o.support, Support::Refused(_)))
        .map(|o| full_name(o.domain, o.name))
        .collect();
    let unregistered: Vec<_> = tested.difference(&accepted).collect();
    assert!(unregistered.is_empty(), "pass, but the registry does not accept them: {unregistered:?}");
    let untested: Vec<_> = accepted.difference(&tested).filter(|name| !WITHOUT_TEST.contains(&name.as_str())).collect();
    assert!(untested.is_empty(), "the registry accepts them, but no test passes: {untested:?}");
    Ok(())
}
