//! One verdict a test: compile, open on the shared device, run twice, compare.
//!
//! Threads take tests in turn; which thread takes which decides nothing. A panic is a verdict like any other.

use super::archive::NodeTest;
use super::bind::bound;
use super::{compare, message};
use crate::{compile_quietly, options};
use flashmem_compiler::import::{Dim, ImportOptions};
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, Options, Session, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All outputs are as expected.
    Pass,
    /// The compiler refuses the model, with this reason.
    Refused(String),
    /// The compiler took it, but it does not run or an output is wrong.
    Wrong(String),
    /// Something panicked.
    Panicked(String),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Wrong(reason) => write!(f, "WRONG: {reason}"),
            Self::Panicked(reason) => write!(f, "PANICKED: {reason}"),
        }
    }
}

/// Runs tests on `threads` threads; verdicts come in the order of the tests. `done` is called for each.
pub fn run_all(
    tests: &[NodeTest],
    context: &Context,
    threads: usize,
    done: &(dyn Fn(&str, &Verdict) + Sync),
) -> anyhow::Result<Vec<(String, Verdict)>> {
    let folder = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::with_capacity(tests.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(test, context, folder.path());
                    done(&test.name, &verdict);
                    verdicts.lock().expect("no thread panics with it").push((test.name.clone(), verdict));
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().expect("no thread panicked with it");
    verdicts.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(verdicts)
}

fn judge(test: &NodeTest, context: &Context, folder: &Path) -> Verdict {
    match catch_unwind(AssertUnwindSafe(|| attempt(test, context, folder))) {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => Verdict::Wrong(one_line(&format!("{error:#}"))),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Verdict::Panicked(one_line(text))
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A test as the compiler sees it.
struct Prepared {
    model: Vec<u8>,
    /// Run-time inputs. `None` for values that are no tensors, which the compiler has to refuse.
    inputs: Vec<(String, Option<Tensor>)>,
}

fn prepare(test: &NodeTest) -> Option<Prepared> {
    let parsed = message::model(&test.model)?;
    let mut bound = bound(&parsed, &parsed);
    if let Some(base) = &test.base {
        bound.extend(super::bind::bound(&message::model(base)?, &parsed));
    }
    let mut model = test.model.to_vec();
    let mut inputs = Vec::new();
    for (name, value) in parsed.inputs.iter().zip(&test.inputs) {
        if bound.contains(name) {
            message::add_initialiser(&mut model, value, name);
        } else {
            inputs.push((name.clone(), message::tensor(value)));
        }
    }
    Some(Prepared { model, inputs })
}

fn attempt(test: &NodeTest, context: &Context, folder: &Path) -> anyhow::Result<Verdict> {
    let Some(prepared) = prepare(test) else {
        anyhow::bail!("the test's model is not a message that the harness can read");
    };
    let model = folder.join(format!("{}.onnx", test.name));
    let bundle = folder.join(format!("{}.fmplan", test.name));
    std::fs::write(&model, &prepared.model)?;
    let mut options = options(Encoding::F32);
    options.import = ImportOptions { inputs: shapes(&prepared.inputs), ..ImportOptions::default() };
    let compiled = compile_quietly(&model, &bundle, &options);
    std::fs::remove_file(&model)?;
    if let Err(error) = compiled {
        return Ok(Verdict::Refused(one_line(&error.to_string())));
    }
    let verdict = replay(test, context, &bundle, &prepared.inputs);
    std::fs::remove_file(&bundle)?;
    verdict
}

/// The shapes of the data, for models that leave them open.
fn shapes(inputs: &[(String, Option<Tensor>)]) -> Vec<(String, Vec<Dim>)> {
    let known = inputs.iter().filter_map(|(name, tensor)| Some((name, tensor.as_ref()?)));
    known.map(|(name, tensor)| (name.clone(), tensor.shape.iter().map(|d| Dim::Size(*d)).collect())).collect()
}

fn replay(
    test: &NodeTest,
    context: &Context,
    bundle: &Path,
    inputs: &[(String, Option<Tensor>)],
) -> anyhow::Result<Verdict> {
    let session_options = Options { reader_threads: 1, pipeline_threads: 1, ..Options::default() };
    let mut session = Session::builder(bundle).on(context).options(session_options).open()?;
    let fed: Vec<(String, Tensor)> =
        inputs.iter().filter_map(|(name, tensor)| Some((name.clone(), tensor.clone()?))).collect();
    anyhow::ensure!(fed.len() == inputs.len(), "an input is no tensor, yet it was compiled");
    let first = session.run(&fed)?;
    let again = session.run(&fed)?;
    anyhow::ensure!(first == again, "the second run differs from the first");
    anyhow::ensure!(
        first.tensors.len() == test.outputs.len(),
        "{} outputs instead of {}",
        first.tensors.len(),
        test.outputs.len()
    );
    for ((name, found), expected) in first.tensors.iter().zip(&test.outputs) {
        let expected = message::tensor(expected).ok_or_else(|| anyhow::anyhow!("`{name}` should be no tensor"))?;
        if let Some(difference) = compare::difference(&test.name, found, &expected) {
            return Ok(Verdict::Wrong(format!("`{name}`: {difference}")));
        }
    }
    Ok(Verdict::Pass)
}
