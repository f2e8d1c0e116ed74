//! Every read of a compiled network can fail, with its own error, and the next run gives the same bits.
//!
//! The runtime's own tests do this in every mode on bundles made by hand; here it is a real plan, for a small budget.

#[path = "../../runtime/tests/support/inject.rs"]
#[expect(dead_code, reason = "stalls are the runtime's tests")]
mod inject;

use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Error, Options, Outputs, Session, Source, Tensor, npz};
use flashmem_tests::{compile_quietly, models, options, smallest_budget};
use inject::{Injector, Misdeed};
use std::sync::Arc;

/// How every read fails, how many threads read, and whether the run is asynchronous.
const CASES: [(Misdeed, u32, bool); 3] =
    [(Misdeed::Error, 4, false), (Misdeed::Flip, 4, true), (Misdeed::Short, 1, true)];

struct Case {
    misdeed: Misdeed,
    is_async: bool,
    options: Options,
    inputs: Vec<(String, Tensor)>,
    expected: Outputs,
}

impl Case {
    fn run(&self, session: &mut Session) -> Result<Outputs, Error> {
        match self.is_async {
            false => session.run(&self.inputs),
            true => pollster::block_on(session.run_async(&self.inputs)),
        }
    }

    fn open(&self, source: &Arc<Injector>) -> Result<Session, Error> {
        Session::builder(Source::Blocking(source.clone())).options(self.options.clone()).open()
    }

    /// Read `read` fails from opening on.
    fn check(&self, bytes: &[u8], read: u32) {
        let (source, misdeed) = (Injector::new(bytes), self.misdeed);
        source.arm(read, misdeed);
        let (session, result) = match self.open(&source) {
            Ok(mut session) => {
                let result = self.run(&mut session);
                (Some(session), result)
            }
            Err(error) => (None, Err(error)),
        };
        match result {
            Err(error) => assert!(source.expects(misdeed, &error), "read {read}, {misdeed:?}: {error:?}"),
            // The header is read twice: alone, for the size of the section table, and with it.
            Ok(outputs) => assert!(read == 0 && misdeed == Misdeed::Flip && outputs == self.expected, "read {read}"),
        }
        assert!(source.was_hit(), "read {read}");
        source.release();
        let mut session = session.unwrap_or_else(|| self.open(&source).unwrap());
        assert_eq!(self.run(&mut session).unwrap(), self.expected, "read {read}, {misdeed:?}: the next run");
    }
}

#[test]
fn every_read_of_a_streamed_network_can_fail() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // Rows of a table, and pages; its weights do not fit the budget at once.
    let (model, arrays) = (models("tiny").join("gptneo-s.onnx"), models("tiny").join("gptneo-s.npz"));
    let (bundle, options) = (folder.path().join("a.fmplan"), options(Encoding::F32));
    let budget_bytes = Some(smallest_budget(&model, &bundle, &options)?);
    compile_quietly(&model, &bundle, &flashmem_compiler::compile::CompileOptions { budget_bytes, ..options })?;
    let bytes = std::fs::read(&bundle)?;
    for (misdeed, reader_threads, is_async) in CASES {
        let options = Options { reader_threads, budget_bytes, ..Options::default() };
        let source = Injector::new(&bytes);
        let mut session = Session::builder(Source::Blocking(source.clone())).options(options.clone()).open()?;
        let inputs = npz::read(&arrays, &session.inputs())?;
        let expected = session.run(&inputs)?;
        let reads = source.reads();
        assert!(reads > 20, "{reads} reads are no streaming");
        let case = Case { misdeed, is_async, options, inputs, expected };
        (0..reads).for_each(|read| case.check(&bytes, read));
        // Reads of a later run, on one session.
        let before = source.reads();
        assert_eq!(case.run(&mut session)?, case.expected);
        for read in 0..source.reads() - before {
            source.arm(read, misdeed);
            let error = case.run(&mut session).expect_err("a read fails");
            assert!(source.expects(misdeed, &error), "read {read} of a later run, {misdeed:?}: {error:?}");
            source.release();
            assert_eq!(case.run(&mut session)?, case.expected, "read {read} of a later run: the next run");
        }
    }
    Ok(())
}
