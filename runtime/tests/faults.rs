//! Every read of opening and running can fail: with its own error, without a hang, and the next run gives the same bits.
//!
//! Also what is not a read: files that change while they are open, inputs that are not numbers, a device without memory.

mod support;

use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::testing;
use flashmem_runtime::{Error, IoMode, Options, Outputs, Session, Source, Tensor};
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::inject::{Injector, Misdeed};
use support::{Product, open};

/// How a session reads and runs.
#[derive(Debug, Clone, Copy)]
struct Mode {
    reader_threads: u32,
    is_async: bool,
}

const MODES: [Mode; 6] = [
    Mode { reader_threads: 1, is_async: false },
    Mode { reader_threads: 4, is_async: false },
    Mode { reader_threads: 1, is_async: true },
    Mode { reader_threads: 4, is_async: true },
    Mode { reader_threads: 0, is_async: false },
    Mode { reader_threads: 0, is_async: true },
];

type Inputs = Vec<(&'static str, Tensor)>;

/// A bundle with the inputs of a run, and others that need other rows: a run that needs the last one's reads none.
struct Model {
    bytes: Vec<u8>,
    inputs: Inputs,
    others: Inputs,
}

impl Model {
    /// Rows, constants, golden values, a second program.
    fn small() -> Self {
        let x = Tensor::from_f32(&[1, 64], &(0..64).map(|i| i as f32).collect::<Vec<_>>());
        let of_rows = |rows: [i64; 2]| vec![("x", x.clone()), ("ids", Tensor::from_i64(&[2], &rows))];
        let bytes = testing::bundle_of(&testing::small_plan(), None);
        Self { bytes, inputs: of_rows([3, -1]), others: of_rows([0, 2]) }
    }

    /// Enough staging buffers for four readers.
    fn wide() -> Self {
        let product = Product { pages: 9, slots: 5, ring: 4, rows: 2 };
        let inputs = vec![("x", product.input())];
        Self { bytes: product.bundle(), others: inputs.clone(), inputs }
    }

    fn open(&self, source: &Arc<Injector>, mode: Mode, timeout: Duration) -> Result<Session, Error> {
        let options = Options { reader_threads: mode.reader_threads, timeout, ..Options::default() };
        match mode.is_async {
            false => Session::builder(Source::Blocking(source.clone())).options(options.clone()).open(),
            true => pollster::block_on(
                Session::builder(Source::Blocking(source.clone())).options(options.clone()).open_async(),
            ),
        }
    }

    fn run(&self, session: &mut Session, mode: Mode) -> Result<Outputs, Error> {
        run_on(&self.inputs, session, mode)
    }

    fn run_others(&self, session: &mut Session, mode: Mode) -> Result<Outputs, Error> {
        run_on(&self.others, session, mode)
    }

    /// What a run gives, and how many reads opening and one run take.
    fn undisturbed(&self, mode: Mode) -> (Outputs, u32) {
        let source = Injector::new(&self.bytes);
        let mut session = self.open(&source, mode, LONG).unwrap();
        let outputs = self.run(&mut session, mode).unwrap();
        (outputs, source.reads())
    }

    /// One read misbehaves while the session is opened or runs first.
    fn fail_first_run(&self, mode: Mode, read: u32, misdeed: Misdeed, timeout: Duration, expected: &Outputs) {
        let case = format!("{mode:?}, read {read}: {misdeed:?}");
        let source = Injector::new(&self.bytes);
        source.arm(read, misdeed);
        let (session, result) = match self.open(&source, mode, timeout) {
            Ok(mut session) => {
                let result = self.run(&mut session, mode);
                (Some(session), result)
            }
            Err(error) => (None, Err(error)),
        };
        assert!(source.was_hit(), "{case}: the read did not come");
        match result {
            Err(error) => assert!(source.expects(misdeed, &error), "{case}: {error:?}"),
            // The header is read twice: alone, for the size of the section table, and with it.
            Ok(outputs) => assert!(read == 0 && misdeed == Misdeed::Flip && outputs == *expected, "{case}: no error"),
        }
        source.release();
        let mut session = session.unwrap_or_else(|| self.open(&source, mode, timeout).unwrap());
        for _ in 0..2 {
            assert_eq!(&self.run(&mut session, mode).unwrap(), expected, "{case}: the next run");
        }
    }

    /// What both runs give, and how many reads a later one on the other inputs takes. The last run is on the first inputs.
    fn later_runs(&self, session: &mut Session, mode: Mode, source: &Injector) -> (Outputs, Outputs, u32) {
        let expected = self.run(session, mode).unwrap();
        let before = source.reads();
        let expected_others = self.run_others(session, mode).unwrap();
        let reads = source.reads() - before;
        assert_eq!(self.run(session, mode).unwrap(), expected);
        (expected, expected_others, reads)
    }

    /// Every read of a later run panics once and stalls once.
    fn disturb_later_runs(&self, mode: Mode) {
        let source = Injector::new(&self.bytes);
        let mut session = self.open(&source, mode, STALL).unwrap();
        let (expected, expected_others, reads) = self.later_runs(&mut session, mode, &source);
        assert!(reads > 1, "{reads}");
        for read in 0..reads {
            for misdeed in [Misdeed::Panic, Misdeed::Stall] {
                let case = format!("{mode:?}, read {read} of a later run: {misdeed:?}");
                source.arm(read, misdeed);
                match mode.reader_threads {
                    0 => self.disturb_in_place(&mut session, mode, &source, misdeed, &expected_others, &case),
                    _ => {
                        let error = self.run_others(&mut session, mode).expect_err(&case);
                        assert!(source.expects(misdeed, &error), "{case}: {error:?}");
                    }
                }
                source.release();
                assert_eq!(self.run_others(&mut session, mode).unwrap(), expected_others, "{case}: the same again");
                assert_eq!(self.run(&mut session, mode).unwrap(), expected, "{case}: the next run");
            }
        }
    }

    /// Without readers, pages are read in the thread of the caller: its panic is the caller's, and its stall lasts as long as
    /// the source likes. Rows are read on a thread all the same.
    fn disturb_in_place(
        &self,
        session: &mut Session,
        mode: Mode,
        source: &Arc<Injector>,
        misdeed: Misdeed,
        expected: &Outputs,
        case: &str,
    ) {
        let result = std::thread::scope(|scope| {
            if misdeed == Misdeed::Stall {
                scope.spawn(|| {
                    std::thread::sleep(STALL / 4);
                    source.release();
                });
            }
            catch_unwind(AssertUnwindSafe(|| self.run_others(session, mode)))
        });
        assert!(source.was_hit(), "{case}: the read did not come");
        match (misdeed, result) {
            (Misdeed::Stall, Ok(Ok(outputs))) => assert_eq!(outputs, *expected, "{case}"),
            (Misdeed::Panic, Ok(Err(error))) => assert!(source.expects(misdeed, &error), "{case}: {error:?}"),
            (Misdeed::Panic, Err(_)) => assert!(source.hit_a_page(), "{case}: a row"),
            (_, result) => panic!("{case}: {:?}", result.map(|result| result.map(|_| "outputs"))),
        }
    }
}

fn run_on(inputs: &Inputs, session: &mut Session, mode: Mode) -> Result<Outputs, Error> {
    match mode.is_async {
        false => session.run(inputs),
        true => pollster::block_on(session.run_async(inputs)),
    }
}

const LONG: Duration = Duration::from_secs(60);

/// Longest wait of sessions whose reads stall; nothing else on a busy machine may take as long.
const STALL: Duration = Duration::from_millis(500);

/// Fails instead of waiting for ever.
fn without_hanging(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        test();
        sender.send(()).unwrap();
    });
    match receiver.recv_timeout(Duration::from_secs(300)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("a wait has no end"),
        Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_read_of_opening_and_of_a_first_run_can_fail() {
    without_hanging(|| {
        let small = Model::small();
        for mode in MODES {
            let (expected, reads) = small.undisturbed(mode);
            assert!(reads > 10, "{reads}");
            for misdeed in [Misdeed::Error, Misdeed::Short, Misdeed::Flip, Misdeed::Panic] {
                if misdeed == Misdeed::Panic && mode.reader_threads == 0 {
                    // A panic in a thread of the caller is the caller's.
                    continue;
                }
                for read in 0..reads {
                    small.fail_first_run(mode, read, misdeed, LONG, &expected);
                }
            }
        }
    });
}

#[test]
fn every_read_of_a_later_run_can_fail() {
    without_hanging(|| {
        for model in [Model::small(), Model::wide()] {
            for mode in MODES {
                let source = Injector::new(&model.bytes);
                let mut session = model.open(&source, mode, LONG).unwrap();
                let (expected, expected_others, reads) = model.later_runs(&mut session, mode, &source);
                for read in 0..reads {
                    for misdeed in [Misdeed::Error, Misdeed::Short, Misdeed::Flip] {
                        let case = format!("{mode:?}, read {read}: {misdeed:?}");
                        source.arm(read, misdeed);
                        let error = model.run_others(&mut session, mode).expect_err(&case);
                        assert!(source.expects(misdeed, &error), "{case}: {error:?}");
                        source.release();
                        assert_eq!(
                            model.run_others(&mut session, mode).unwrap(),
                            expected_others,
                            "{case}: the same again"
                        );
                        assert_eq!(model.run(&mut session, mode).unwrap(), expected, "{case}: the next run");
                    }
                }
            }
        }
    });
}

/// With its own session for every model and mode, side by side: what stalls needs no processor.
#[test]
fn every_read_of_a_later_run_can_panic_or_stall() {
    without_hanging(|| {
        let models = [Model::small(), Model::wide()];
        std::thread::scope(|scope| {
            for model in &models {
                for mode in MODES {
                    scope.spawn(move || model.disturb_later_runs(mode));
                }
            }
        });
    });
}

#[test]
fn every_read_can_stall() {
    without_hanging(|| {
        let timeout = Duration::from_millis(300);
        for (model, modes) in [(Model::small(), &MODES[1..3]), (Model::wide(), &MODES[1..2])] {
            for mode in modes {
                let (expected, reads) = model.undisturbed(*mode);
                for read in 0..reads {
                    model.fail_first_run(*mode, read, Misdeed::Stall, timeout, &expected);
                }
            }
        }
    });
}

/// A page that never comes ends its run, and then the session, in time; the session that reads in place is not asked.
#[test]
fn a_read_that_never_ends_loses_the_session() {
    without_hanging(|| {
        let model = Model::small();
        let timeout = Duration::from_millis(200);
        for mode in &MODES[..4] {
            let source = Injector::new(&model.bytes);
            let mut session = model.open(&source, *mode, timeout).unwrap();
            let expected = model.run(&mut session, *mode).unwrap();
            // Two rows come first, or not.
            source.arm(2, Misdeed::Stall);
            let started = Instant::now();
            let error = model.run_others(&mut session, *mode).unwrap_err();
            assert!(matches!(error, Error::ReadTimeout { .. }), "{error:?}");
            if source.expects(Misdeed::Stall, &error) {
                let next = model.run(&mut session, *mode);
                match next {
                    Err(Error::SessionLost { .. }) => {
                        assert!(matches!(model.run(&mut session, *mode), Err(Error::SessionLost { .. })));
                    }
                    // The stalled read was of a row, which holds nothing.
                    next => assert_eq!(next.unwrap(), expected),
                }
            }
            assert!(started.elapsed() < Duration::from_secs(20));
            drop(session);
            source.release();
        }
    });
}

#[test]
fn a_file_that_is_truncated_or_changed_while_open_is_noticed() {
    let product = Product { pages: 9, slots: 2, ring: 2, rows: 16 };
    let bytes = product.bundle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("product.fmplan");
    std::fs::write(&path, &bytes).unwrap();
    let mut session = Session::builder(&path).open().unwrap();
    let inputs = [("x", product.input())];
    let expected = session.run(&inputs).unwrap();

    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes.len() as u64 - 100_000).unwrap();
    let error = session.run(&inputs).unwrap_err();
    let Error::PageRead { page, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((page.0, source.kind()), (7, std::io::ErrorKind::UnexpectedEof));

    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
    assert_eq!(session.run(&inputs).unwrap(), expected);

    file.seek(SeekFrom::Start(bytes.len() as u64 - 1)).unwrap();
    file.write_all(&[!bytes[bytes.len() - 1]]).unwrap();
    let error = session.run(&inputs).unwrap_err();
    assert!(matches!(error, Error::Bundle(BundleError::PageChecksum { page, .. }) if page.0 == 8), "{error:?}");
}

#[test]
fn values_that_are_not_numbers_pass_through() {
    let product = Product { pages: 3, slots: 2, ring: 2, rows: 2 };
    let mut values = product.input().as_f32().unwrap();
    let (nan, infinite) = (5, 300);
    values[nan] = f32::NAN;
    values[infinite] = f32::NEG_INFINITY;
    let mut session = open(product.bundle()).unwrap();
    let input = Tensor::from_f32(&product.input().shape, &values);
    let outputs = session.run(&[("x", input)]).unwrap().get("y").unwrap().as_f32().unwrap();
    for (i, (found, expected)) in outputs.iter().zip(product.expected()).enumerate() {
        match i {
            _ if i == nan => assert!(found.is_nan()),
            _ if i == infinite => assert_eq!(*found, f32::NEG_INFINITY),
            _ => assert_eq!(*found, expected, "element {i}"),
        }
    }
    let again = session.run(&[("x", product.input())]).unwrap();
    assert_eq!(again.get("y").unwrap().as_f32().unwrap(), product.expected());
}

/// Slots (a budget's share for weights), staging buffers, readers, ways of reading and of waiting.
#[test]
fn modes_threads_rings_and_budgets_give_the_same_bits() {
    let product = Product { pages: 11, slots: 1, ring: 1, rows: 4 };
    // Values that no float sum makes by accident.
    let values: Vec<f32> =
        (0..11 * 256_u32).map(|i| f32::from_bits(0x3f00_0000 | i.wrapping_mul(2_654_435_761) >> 9)).collect();
    let inputs = [("x", Tensor::from_f32(&product.input().shape, &values))];
    let expected = open(product.bundle()).unwrap().run(&inputs).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (slots, ring) in [(1, 1), (3, 2), (11, 5), (2, 11)] {
        let path = directory.path().join(format!("{slots}-{ring}.fmplan"));
        std::fs::write(&path, Product { slots, ring, ..product }.bundle()).unwrap();
        for io_mode in IoMode::ALL {
            for reader_threads in [0, 1, 4] {
                let options = Options { io_mode, reader_threads, ..Options::default() };
                let mut session = Session::builder(&path).options(options.clone()).open().unwrap();
                let case = format!("{slots} slots, {ring} staging buffers, {io_mode:?}, {reader_threads} readers");
                assert_eq!(session.run(&inputs).unwrap(), expected, "{case}");
                assert_eq!(pollster::block_on(session.run_async(&inputs)).unwrap(), expected, "{case}");
            }
        }
    }
}

#[test]
fn a_plan_beyond_the_adapter_names_the_limit() {
    let mut plan = testing::small_plan();
    plan.activation_bytes = 1 << 50;
    plan.budget_bytes = None;
    testing::declare(&mut plan, testing::constants().len() as u64);
    match open(testing::bundle_of(&plan, None)).err() {
        Some(Error::Limit { limit, needed, available, .. }) => {
            assert_eq!((limit, needed), ("max_buffer_size", 1 << 50));
            assert!(available < needed);
        }
        other => panic!("{other:?}"),
    }
    let product = Product { pages: 3000, slots: 3000, ring: 1, rows: 1 };
    match open(product.bundle()).err() {
        Some(Error::Limit { limit, needed: 3000, .. }) => assert_eq!(limit, "max_texture_array_layers"),
        // An adapter with so many layers runs it.
        None => {}
        other => panic!("{other:?}"),
    }
}

/// The address space of the process is what is short: a CPU adapter has no other limit of its own.
#[test]
#[cfg(target_os = "linux")]
fn a_device_without_memory_says_so() {
    let mut plan = testing::small_plan();
    plan.activation_bytes = 7 << 28;
    plan.budget_bytes = None;
    testing::declare(&mut plan, testing::constants().len() as u64);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("large.fmplan"), testing::bundle_of(&plan, None)).unwrap();
    let limited = "ulimit -v 1900000; exec \"$0\" large.fmplan --self-test";
    let mut command = std::process::Command::new("sh");
    let output =
        command.args(["-c", limited, env!("CARGO_BIN_EXE_flashmem-run")]).current_dir(directory.path()).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("out of device memory while allocating 1879048192 bytes of activations"), "{text}");
}
