//! Every ONNX backend node test has the verdict that the committed table says, and none of them is a failure.
//!
//! One process, one device, pipelines shared. `FLASHMEM_ONLY` picks tests by name.

use flashmem_runtime::Context;
use flashmem_tests::conformance::{Verdict, archive, run_all, table};
use flashmem_tests::folder;

#[test]
fn node_tests_have_the_verdicts_of_the_table() -> anyhow::Result<()> {
    let here = folder("conformance");
    let only = std::env::var("FLASHMEM_ONLY").unwrap_or_default();
    let mut tests = archive::read(&here.join("node-1.19.1.tar.gz"))?;
    assert_eq!(tests.len(), 1615, "the archive holds all tests");
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
