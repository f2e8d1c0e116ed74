//! Sources that answer later, as in a browser: pages and rows are on their way side by side, within bounds, and whatever goes
//! wrong with one of them fails its run and no other.
//!
//! What only a browser can do (`WebSource`) is tested by `tests/browser.sh`.

mod support;

use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::testing;
use flashmem_runtime::{
    AsyncReadAt, CancelToken, Error, Mark, Options, Outputs, PieceFn, ReadFuture, RunRequest, Session, Source, Tensor,
};
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use support::{Product, bytes_read, open};

/// A source that answers every read at its fourth poll.
#[derive(Default)]
struct Later {
    bytes: Vec<u8>,
    /// The read that fails, if any: counted from one.
    failing: AtomicU32,
    /// The read that never ends, if any: counted from one.
    silent: AtomicU32,
    reads: AtomicU32,
    /// Reads on their way, and most of them at a time.
    now: AtomicU32,
    most: AtomicU32,
}

/// A source whose pages have some bytes too many, or too few.
struct Wrong {
    later: Later,
    extra_bytes: i64,
}

/// Counts a read while it is on its way.
struct Counted<'a>(&'a Later);

impl<'a> Counted<'a> {
    fn start(later: &'a Later) -> Self {
        let now = later.now.fetch_add(1, Ordering::Relaxed) + 1;
        later.most.fetch_max(now, Ordering::Relaxed);
        Self(later)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Later {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn open(self: &Arc<Self>, reader_threads: u32) -> Result<Session, Error> {
        self.open_with(&Options { reader_threads, ..Options::default() })
    }

    fn open_with(self: &Arc<Self>, options: &Options) -> Result<Session, Error> {
        pollster::block_on(Session::builder(Source::Async(self.clone())).options(options.clone()).open_async())
    }

    /// The `read`-th read from now on fails.
    fn fail(&self, read: u32) {
        self.reads.store(0, Ordering::Relaxed);
        self.failing.store(read + 1, Ordering::Relaxed);
    }
}

impl AsyncReadAt for Later {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at<'a>(&'a self, offset_bytes: u64, buffer: &'a mut [u8]) -> ReadFuture<'a> {
        Box::pin(async move {
            let _counted = Counted::start(self);
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls < 4 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            let read = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
            if read == self.silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if read == self.failing.load(Ordering::Relaxed) {
                return Err(ErrorKind::ConnectionReset.into());
            }
            buffer.copy_from_slice(&self.bytes[offset_bytes as usize..][..buffer.len()]);
            Ok(())
        })
    }
}

impl AsyncReadAt for Wrong {
    fn size_bytes(&self) -> u64 {
        self.later.size_bytes()
    }

    fn read_at<'a>(&'a self, offset_bytes: u64, buffer: &'a mut [u8]) -> ReadFuture<'a> {
        self.later.read_at(offset_bytes, buffer)
    }

    fn read_pieces<'a>(
        &'a self,
        offset_bytes: u64,
        length_bytes: u64,
        buffer: &'a mut [u8],
        piece: PieceFn<'a>,
    ) -> ReadFuture<'a> {
        Box::pin(async move {
            let length = length_bytes.saturating_add_signed(self.extra_bytes) as usize;
            let mut bytes = vec![0; length_bytes as usize];
            self.read_at(offset_bytes, &mut bytes).await?;
            bytes.resize(length, 0);
            bytes.chunks(buffer.len()).for_each(piece);
            Ok(())
        })
    }
}

const PRODUCT: Product = Product { pages: 11, slots: 5, ring: 3, rows: 2 };

fn small_inputs() -> [(&'static str, Tensor); 2] {
    [("x", Tensor::from_f32(&[1, 64], &[1.0; 64])), ("ids", Tensor::from_i64(&[2], &[0, 4]))]
}

#[test]
fn a_source_that_answers_later_gives_the_same() {
    let small = small_inputs();
    let bytes = testing::small_bundle();
    let expected = open(bytes.clone()).unwrap().run(&small).unwrap();
    let source = Arc::new(Later::new(bytes));
    let open = || source.open(4);
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
    assert_eq!(reads, 7, "one of all that opening needs, two of rows, four of pages");
    for read in 0..reads {
        source.fail(read);
        let session = open();
        let error = match session {
            Ok(mut session) => {
                let error = session.run(&small).unwrap_err();
                assert_eq!(session.run(&small).unwrap(), expected, "read {read}");
                error
            }
            Err(error) => error,
        };
        let (Error::Bundle(BundleError::Read { source, .. })
        | Error::PageRead { source, .. }
        | Error::RowRead { source, .. }) = &error
        else {
            panic!("read {read}: {error:?}")
        };
        assert_eq!(source.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn as_many_pages_are_on_their_way_as_wanted_and_no_more() {
    let inputs = [("x", PRODUCT.input())];
    for (reader_threads, most) in [(0, 1), (1, 1), (2, 2), (3, 3), (9, 3)] {
        let source = Arc::new(Later::new(PRODUCT.bundle()));
        let mut session = source.open(reader_threads).unwrap();
        for _ in 0..3 {
            let outputs = session.run(&inputs).unwrap();
            assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
        }
        assert_eq!(source.most.load(Ordering::Relaxed), most, "{reader_threads} wanted");
        assert_eq!(source.now.load(Ordering::Relaxed), 0, "a read is left");
        let stats = session.stats();
        assert!(stats.memory.host_bytes <= stats.memory.declared_host_bytes && !stats.memory.declared_exceeded);
        assert_eq!(bytes_read(&session), [11 * 8192; 3]);
        assert!(stats.phases.end_ms(Mark::LastPage).is_some());
    }
}

/// Polls a run at most `polls` times, and drops it.
fn poll_run(session: &mut Session, inputs: &[(&str, Tensor)], polls: u32) -> Option<Result<Outputs, Error>> {
    let mut run = pin!(session.run_async(inputs));
    (0..polls).find_map(|_| match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => {
            std::thread::sleep(Duration::from_micros(100));
            None
        }
    })
}

#[test]
fn a_run_can_be_dropped_while_pages_are_on_their_way() {
    for (bytes, inputs) in
        [(testing::small_bundle(), small_inputs().to_vec()), (PRODUCT.bundle(), vec![("x", PRODUCT.input())])]
    {
        let source = Arc::new(Later::new(bytes));
        let mut session = source.open(4).unwrap();
        let expected = session.run(&inputs).unwrap();
        let mut dropped = 0;
        for polls in 0..200 {
            match poll_run(&mut session, &inputs, polls) {
                Some(result) => {
                    assert_eq!(result.unwrap(), expected);
                    break;
                }
                None => dropped += 1,
            }
            assert_eq!(session.run(&inputs).unwrap(), expected, "after {polls} polls");
            assert_eq!(source.now.load(Ordering::Relaxed), 0, "a read is left after {polls} polls");
        }
        // A read is answered at its fourth poll; how long the device takes is its own affair.
        assert!(dropped >= 3, "{dropped}");
    }
}

#[test]
fn pages_of_another_length_are_refused() {
    let inputs = [("x", PRODUCT.input())];
    for (extra_bytes, kind) in
        [(-1, ErrorKind::UnexpectedEof), (1, ErrorKind::InvalidData), (99_999, ErrorKind::InvalidData)]
    {
        let source = Arc::new(Wrong { later: Later::new(PRODUCT.bundle()), extra_bytes });
        let mut session = pollster::block_on(Session::builder(Source::Async(source)).open_async()).unwrap();
        let error = session.run(&inputs).unwrap_err();
        let Error::PageRead { page, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!((page.0, source.kind()), (0, kind), "{extra_bytes}");
    }
}

#[test]
fn every_read_that_never_ends_is_given_up() {
    let small = small_inputs();
    let bytes = testing::small_bundle();
    let counting = Arc::new(Later::new(bytes.clone()));
    let expected = counting.open(4).unwrap().run(&small).unwrap();
    let reads = counting.reads.load(Ordering::Relaxed);
    let give_up = &|read: u32| {
        let source = Arc::new(Later { silent: AtomicU32::new(read), ..Later::new(bytes.clone()) });
        let options = Options { timeout: Duration::from_millis(700), ..Options::default() };
        let error = match source.open_with(&options) {
            Ok(mut session) => {
                let error = session.run(&small).unwrap_err();
                assert_eq!(session.run(&small).unwrap(), expected, "read {read}: the next run");
                assert_eq!(source.now.load(Ordering::Relaxed), 0, "read {read} is left");
                error
            }
            Err(error) => error,
        };
        assert!(matches!(error, Error::ReadTimeout { .. }), "read {read}: {error:?}");
    };
    // Side by side: what waits needs no processor.
    std::thread::scope(|scope| (1..=reads).for_each(|read| drop(scope.spawn(move || give_up(read)))));
}

#[test]
fn a_run_can_be_cancelled_while_nothing_answers() {
    let small = small_inputs();
    let source = Arc::new(Later::new(testing::small_bundle()));
    let mut session = source.open(4).unwrap();
    let expected = session.run(&small).unwrap();
    // The first reads are of rows, those after them of pages.
    for read in [1, 2, 3, 4] {
        source.reads.store(0, Ordering::Relaxed);
        source.silent.store(read, Ordering::Relaxed);
        let token = CancelToken::new();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                token.cancel();
            });
            session.run(RunRequest::new(&small).with_cancel(&token)).unwrap_err()
        });
        assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
        assert_eq!(session.run(&small).unwrap(), expected);
    }
}
