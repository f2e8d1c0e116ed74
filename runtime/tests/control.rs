//! Progress, cancellation and asynchronous runs: whatever ends a run early, the next one gives the same bits.

mod support;

use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::testing;
use flashmem_runtime::{
    AsyncReadAt, CancelToken, Error, MemorySource, Options, Outputs, Progress, ReadFuture, RunControl, Session, Tensor,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use support::inject::{Injector, Misdeed};
use support::{Product, open};

const PRODUCT: Product = Product { pages: 7, slots: 3, ring: 2, rows: 2 };

fn inputs() -> [(&'static str, Tensor); 1] {
    [("x", PRODUCT.input())]
}

fn assert_right(outputs: &Outputs) {
    assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
}

#[test]
fn progress_counts_every_page() {
    let mut session = open(PRODUCT.bundle()).unwrap();
    let expected: Vec<_> = (0..=7).map(|pages_done| Progress { pages_done, pages_total: 7 }).collect();
    let mut seen = Vec::new();
    let mut note = |progress| seen.push(progress);
    session.run_with(&inputs(), RunControl::new().with_progress(&mut note)).unwrap();
    assert_eq!(seen, expected);
    let mut seen = Vec::new();
    let mut note = |progress| seen.push(progress);
    pollster::block_on(session.run_async_with(&inputs(), RunControl::new().with_progress(&mut note))).unwrap();
    assert_eq!(seen, expected);
}

#[test]
fn a_run_can_be_cancelled_at_every_page() {
    let mut session = open(PRODUCT.bundle()).unwrap();
    for is_async in [false, true] {
        for pages in 0..=PRODUCT.pages {
            let token = CancelToken::new();
            let mut cancel = |progress: Progress| {
                if progress.pages_done == pages {
                    token.cancel();
                }
            };
            let control = RunControl::new().with_progress(&mut cancel).with_cancel(&token);
            let result = match is_async {
                false => session.run_with(&inputs(), control),
                true => pollster::block_on(session.run_async_with(&inputs(), control)),
            };
            assert!(matches!(result, Err(Error::Cancelled { .. })), "page {pages}: {result:?}");
            assert_right(&session.run(&inputs()).unwrap());
        }
    }
    let token = CancelToken::new();
    token.cancel();
    let result = session.run_with(&inputs(), RunControl::new().with_cancel(&token));
    assert!(matches!(result, Err(Error::Cancelled { .. })));
    assert_right(&session.run(&inputs()).unwrap());
    assert_eq!(session.stats().runs_ms.len(), 17);
}

#[test]
fn another_thread_cancels_a_run_that_waits_for_a_read() {
    let source = Injector::new(&PRODUCT.bundle());
    let mut session = Session::open_source(source.clone(), &Options::default()).unwrap();
    assert_right(&session.run(&inputs()).unwrap());
    for is_async in [false, true] {
        source.arm(3, Misdeed::Stall);
        let token = CancelToken::new();
        let canceller = token.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            canceller.cancel();
        });
        let started = Instant::now();
        let control = RunControl::new().with_cancel(&token);
        let result = match is_async {
            false => session.run_with(&inputs(), control),
            true => pollster::block_on(session.run_async_with(&inputs(), control)),
        };
        assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "much less than the time limit");
        thread.join().unwrap();
        source.release();
        assert_right(&session.run(&inputs()).unwrap());
    }
}

/// Polls a run as an app's own loop does, at most `polls` times.
fn poll_run(session: &mut Session, inputs: &[(&str, Tensor)], polls: u32) -> Option<Result<Outputs, Error>> {
    let mut context = Context::from_waker(Waker::noop());
    let mut run = pin!(session.run_async(inputs));
    for _ in 0..polls {
        if let Poll::Ready(result) = run.as_mut().poll(&mut context) {
            return Some(result);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    None
}

#[test]
fn a_run_can_be_dropped_at_every_wait() {
    let small = [("x", Tensor::from_f32(&[1, 64], &[1.0; 64])), ("ids", Tensor::from_i64(&[2], &[0, 4]))];
    for reader_threads in [0, 1, 4] {
        let options = Options { reader_threads, ..Options::default() };
        let source = Injector::new(&testing::small_bundle());
        let mut session = Session::open_source(source, &options).unwrap();
        let expected = session.run(&small).unwrap();
        let mut dropped = 0;
        for polls in 0..200 {
            match poll_run(&mut session, &small, polls) {
                Some(result) => {
                    assert_eq!(result.unwrap(), expected);
                    break;
                }
                None => dropped += 1,
            }
            assert_eq!(session.run(&small).unwrap(), expected, "after {polls} polls");
        }
        assert!(dropped >= 2, "{dropped}");
    }
}

#[test]
fn a_poll_does_not_wait_for_a_read() {
    let source = Injector::new(&PRODUCT.bundle());
    let mut session = Session::open_source(source.clone(), &Options::default()).unwrap();
    assert_right(&session.run(&inputs()).unwrap());
    source.arm(0, Misdeed::Stall);
    let started = Instant::now();
    assert!(poll_run(&mut session, &inputs(), 50).is_none());
    assert!(started.elapsed() < Duration::from_secs(10));
    source.release();
    assert_right(&session.run(&inputs()).unwrap());
}

#[test]
fn an_asynchronous_run_can_move_between_threads() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let mut session = open(PRODUCT.bundle()).unwrap();
    let outputs = std::thread::scope(|scope| {
        let inputs = inputs();
        let session = &mut session;
        let run = assert_send(async move { session.run_async(&inputs).await });
        scope.spawn(move || pollster::block_on(run)).join().unwrap()
    });
    assert_right(&outputs.unwrap());
    let (source, options) = (Arc::new(MemorySource::from(PRODUCT.bundle())), Options::default());
    let opening = assert_send(Session::open_async(source, &options));
    assert_right(&pollster::block_on(opening).unwrap().run(&inputs()).unwrap());
}

/// A source that answers every read a little later, as a browser does.
struct Later {
    bytes: Vec<u8>,
    /// The read that fails, if any.
    failing: AtomicU32,
    reads: AtomicU32,
}

impl AsyncReadAt for Later {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at<'a>(&'a self, offset_bytes: u64, buffer: &'a mut [u8]) -> ReadFuture<'a> {
        let mut polls = 0;
        let mut buffer = Some(buffer);
        Box::pin(std::future::poll_fn(move |context| {
            polls += 1;
            if polls < 3 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let read = self.reads.fetch_add(1, Ordering::Relaxed);
            if read == self.failing.load(Ordering::Relaxed) {
                return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
            }
            let buffer = buffer.take().expect("it is ready once");
            buffer.copy_from_slice(&self.bytes[offset_bytes as usize..][..buffer.len()]);
            Poll::Ready(Ok(()))
        }))
    }
}

#[test]
fn a_source_that_answers_later_gives_the_same() {
    let small = [("x", Tensor::from_f32(&[1, 64], &[1.0; 64])), ("ids", Tensor::from_i64(&[2], &[0, 4]))];
    let bytes = testing::small_bundle();
    let expected = open(bytes.clone()).unwrap().run(&small).unwrap();
    let source = Arc::new(Later { bytes, failing: AtomicU32::new(u32::MAX), reads: AtomicU32::new(0) });
    let options = Options::default();
    let open = || pollster::block_on(Session::open_fetched(source.clone(), &options));
    let mut session = open().unwrap();
    for _ in 0..2 {
        assert_eq!(pollster::block_on(session.run_async(&small)).unwrap(), expected);
        assert_eq!(session.run(&small).unwrap(), expected);
    }
    pollster::block_on(session.self_test_async()).unwrap();
    session.trim().unwrap();
    assert_eq!(session.run(&small).unwrap(), expected);
    // Every read of opening and of a first run fails once.
    source.reads.store(0, Ordering::Relaxed);
    open().unwrap().run(&small).unwrap();
    let reads = source.reads.load(Ordering::Relaxed);
    assert!(reads > 10, "{reads}");
    for read in 0..reads {
        source.reads.store(0, Ordering::Relaxed);
        source.failing.store(read, Ordering::Relaxed);
        let session = open();
        let error = match session {
            Ok(mut session) => {
                let error = session.run(&small).unwrap_err();
                assert_eq!(session.run(&small).unwrap(), expected, "read {read}");
                error
            }
            Err(error) => error,
        };
        let kind = match &error {
            Error::Bundle(BundleError::Read { source, .. })
            | Error::PageRead { source, .. }
            | Error::RowRead { source, .. } => source.kind(),
            other => panic!("read {read}: {other:?}"),
        };
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
    }
}
