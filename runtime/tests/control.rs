//! Progress, cancellation and asynchronous runs: whatever ends a run early, the next one gives the same bits.

mod support;

use flashmem_plan_format::testing;
use flashmem_runtime::{
    CancelToken, Error, MemorySource, Options, Outputs, Progress, RunRequest, Session, Source, Tensor,
};
use std::pin::pin;
use std::sync::Arc;
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
    session.run(RunRequest::new(&inputs()).with_progress(&mut note)).unwrap();
    assert_eq!(seen, expected);
    let mut seen = Vec::new();
    let mut note = |progress| seen.push(progress);
    pollster::block_on(session.run_async(RunRequest::new(&inputs()).with_progress(&mut note))).unwrap();
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
            let inputs = inputs();
            let request = RunRequest::new(&inputs).with_progress(&mut cancel).with_cancel(&token);
            let result = match is_async {
                false => session.run(request),
                true => pollster::block_on(session.run_async(request)),
            };
            assert!(matches!(result, Err(Error::Cancelled { .. })), "page {pages}: {result:?}");
            assert_right(&session.run(&inputs).unwrap());
        }
    }
    let token = CancelToken::new();
    token.cancel();
    let result = session.run(RunRequest::new(&inputs()).with_cancel(&token));
    assert!(matches!(result, Err(Error::Cancelled { .. })));
    assert_right(&session.run(&inputs()).unwrap());
    assert_eq!(session.stats().runs.len(), 17);
}

#[test]
fn another_thread_cancels_a_run_that_waits_for_a_read() {
    let source = Injector::new(&PRODUCT.bundle());
    let mut session = Session::builder(Source::Blocking(source.clone())).open().unwrap();
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
        let inputs = inputs();
        let request = RunRequest::new(&inputs).with_cancel(&token);
        let result = match is_async {
            false => session.run(request),
            true => pollster::block_on(session.run_async(request)),
        };
        assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "much less than the time limit");
        thread.join().unwrap();
        source.release();
        assert_right(&session.run(&inputs).unwrap());
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
        let mut session = Session::builder(Source::Blocking(source)).options(options.clone()).open().unwrap();
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
    let mut session = Session::builder(Source::Blocking(source.clone())).open().unwrap();
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
    let opening = assert_send(Session::builder(Source::Blocking(source)).options(options.clone()).open_async());
    assert_right(&pollster::block_on(opening).unwrap().run(&inputs()).unwrap());
}
