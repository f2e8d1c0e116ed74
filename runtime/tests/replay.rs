//! Runs on the adapter of the machine: outputs, repetition, ring and slots smaller than the model, memory.

mod support;

use flashmem_plan_format::testing;
use flashmem_runtime::{IoMode, Mark, Options, Session, Tensor};
use support::{PAGE_FLOATS, Product, bytes_read, open, open_with};

const PRODUCT: Product = Product { pages: 23, slots: 3, ring: 2, rows: 16 };

fn small_inputs() -> [(&'static str, Tensor); 2] {
    let golden = testing::golden();
    let x: Vec<f32> = golden.inputs[0].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    [("x", Tensor::from_f32(&[1, 64], &x)), ("ids", Tensor::from_i64(&[2], &[3, -1]))]
}

#[test]
fn a_product_is_right_and_repeats_bit_for_bit() {
    let mut session = open(PRODUCT.bundle()).unwrap();
    for _ in 0..3 {
        let outputs = session.run(&[("x", PRODUCT.input())]).unwrap();
        assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
    }
    let stats = session.stats();
    assert_eq!((stats.runs.len(), stats.plan.dispatches, stats.plan.pipelines, stats.plan.loads), (3, 23, 1, 23));
    assert!(stats.io.bytes_read >= 3 * stats.plan.weight_bytes_total, "{stats:?}");
    assert!(!stats.memory.declared_exceeded, "{stats:?}");
}

#[test]
fn readers_ring_and_slots_change_nothing() {
    for (slots, ring, reader_threads) in [(1, 1, 1), (1, 1, 4), (2, 4, 4), (23, 23, 3), (5, 2, 32)] {
        let product = Product { slots, ring, ..PRODUCT };
        let options = Options { reader_threads, ..Options::default() };
        let mut session = open_with(product.bundle(), &options).unwrap();
        for _ in 0..2 {
            let outputs = session.run(&[("x", product.input())]).unwrap();
            assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), product.expected(), "{slots} {ring}");
        }
        assert!(!session.stats().memory.declared_exceeded, "{:?}", session.stats());
    }
}

#[test]
fn rows_constants_and_wide_integers_arrive() {
    let mut session = open(testing::small_bundle()).unwrap();
    let outputs = session.run(&small_inputs()).unwrap();
    assert_eq!(outputs.get("y").unwrap().bytes, testing::golden().outputs[0]);
    let stats = session.stats();
    assert!(!stats.memory.declared_exceeded, "{stats:?}");
    assert!(stats.memory.measured_peak_bytes > 0 && stats.memory.device_allocated_bytes != Some(0), "{stats:?}");
}

#[test]
fn rows_at_computed_indices_arrive() {
    let bundle = testing::bundle_of(&testing::computed_plan(), None);
    let mut session = open(bundle).unwrap();
    let [(x, values), _] = small_inputs();
    let mut run = |ids: &[i64]| session.run(&[(x, values.clone()), ("ids", Tensor::from_i64(&[2], ids))]);
    for ids in [[-1, 3], [4, -2], [-1, 77], [77, 77]] {
        let rows: [i64; 2] = [ids[1], ids[0]].map(|id: i64| if id == 77 { -2 } else { id }.rem_euclid(5));
        let y = run(&ids).unwrap().get("y").unwrap().as_f32().unwrap();
        let expected: Vec<f32> =
            (0..64).map(|i| (i + 10 + 8 * rows[i as usize / 8 % 2] + i % 8 + 1000 + i) as f32).collect();
        assert_eq!(y, expected, "{ids:?}");
    }
    let error = run(&[0, 5]).expect_err("five rows").to_string();
    let expected =
        "input `ids`, element 1: 5 gives the index 5, which is outside the 5 rows of `table` (node `Gather_0`)";
    assert_eq!(error, expected);
    assert!(run(&[0, 1]).is_ok() && !session.stats().memory.declared_exceeded);
}

#[test]
fn outputs_larger_than_the_read_back_buffer_come_in_pieces() {
    // 1500 pages of 256 floats are 1.5 MB, and the read-back buffer has 1 MiB.
    let product = Product { pages: 1500, slots: 4, ring: 4, rows: 1 };
    assert!(u64::from(product.pages * PAGE_FLOATS) * 4 > 1 << 20);
    let mut session = open(product.bundle()).unwrap();
    let outputs = session.run(&[("x", product.input())]).unwrap();
    assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), product.expected());
    assert!(!session.stats().memory.declared_exceeded, "{:?}", session.stats());
}

#[test]
fn a_run_without_threads_gives_the_same() {
    let options = Options { reader_threads: 0, ..Options::default() };
    let mut session = open_with(PRODUCT.bundle(), &options).unwrap();
    for _ in 0..2 {
        let outputs = pollster::block_on(session.run_async(&[("x", PRODUCT.input())])).unwrap();
        assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
    }
}

#[test]
fn a_file_runs_like_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("product.fmplan");
    std::fs::write(&path, PRODUCT.bundle()).unwrap();
    let mut session = Session::builder(&path).open().unwrap();
    let outputs = session.run(&[("x", PRODUCT.input())]).unwrap();
    assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
}

#[test]
fn modes_and_readers_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("product.fmplan");
    std::fs::write(&path, PRODUCT.bundle()).unwrap();
    for io_mode in IoMode::ALL {
        for reader_threads in [0, 1, 3] {
            let options = Options { io_mode, reader_threads, ..Options::default() };
            let mut session = Session::builder(&path).options(options.clone()).open().unwrap();
            for _ in 0..2 {
                let outputs = session.run(&[("x", PRODUCT.input())]).unwrap();
                assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected(), "{io_mode:?}");
            }
            assert!(!session.stats().memory.declared_exceeded, "{:?}", session.stats());
        }
    }
}

#[test]
fn ports_are_described_in_order() {
    let session = open(testing::small_bundle()).unwrap();
    let names: Vec<_> = session.inputs().into_iter().map(|port| (port.name, port.shape)).collect();
    assert_eq!(names, [("x".to_owned(), vec![1, 64]), ("ids".to_owned(), vec![2])]);
    assert_eq!(session.outputs()[0].name, "y");
}

#[test]
fn a_self_test_passes() {
    open(testing::small_bundle()).unwrap().self_test().unwrap();
}

#[test]
fn reading_starts_before_the_first_run() {
    let session = open(PRODUCT.bundle()).unwrap();
    let opened = std::time::Instant::now();
    while session.stats().phases.end_ms(Mark::FirstPage).is_none() && opened.elapsed().as_secs() < 60 {
        std::thread::yield_now();
    }
    let stats = session.stats();
    let [device, staging, first_page] =
        [Mark::Device, Mark::Staging, Mark::FirstPage].map(|mark| stats.phases.end_ms(mark));
    assert!(first_page > staging && staging > device, "{stats:?}");
    let [dispatch, readback] = [Mark::FirstDispatch, Mark::Readback].map(|mark| stats.phases.end_ms(mark));
    assert_eq!((dispatch, readback, stats.runs.len()), (None, None, 0));
}

#[test]
fn later_runs_read_only_what_the_plan_says() {
    let bundle = testing::bundle_of(&testing::repeating_plan(), None);
    let mut session = open(bundle).unwrap();
    for _ in 0..4 {
        let outputs = session.run(&small_inputs()).unwrap();
        assert_eq!(outputs.get("y").unwrap().bytes, testing::golden().outputs[0]);
    }
    let stats = session.stats();
    assert_eq!((stats.plan.loads, stats.plan.loads_repeat), (5, 3));
    // Two rows of 20 bytes besides the pages, once.
    assert_eq!(bytes_read(&session), [5 * 4096 + 40, 3 * 4096, 3 * 4096, 3 * 4096]);
    assert!(!stats.memory.declared_exceeded, "{stats:?}");
    let outputs = pollster::block_on(session.run_async(&small_inputs())).unwrap();
    assert_eq!(outputs.get("y").unwrap().bytes, testing::golden().outputs[0]);
    assert_eq!(bytes_read(&session).last(), Some(&(3 * 4096)));
}

/// A place that needs the row that it got before reads nothing, whatever the run before did with the others.
#[test]
fn only_rows_that_changed_are_read() {
    let x = Tensor::from_f32(&[1, 64], &[0.25; 64]);
    let inputs = |ids: [i64; 2]| [("x", x.clone()), ("ids", Tensor::from_i64(&[2], &ids))];
    let fresh = |ids| open(testing::small_bundle()).unwrap().run(&inputs(ids)).unwrap();
    let mut session = open(testing::small_bundle()).unwrap();
    let rows_read = |session: &mut Session, ids| {
        assert_eq!(session.run(&inputs(ids)).unwrap(), fresh(ids), "{ids:?}");
        (bytes_read(session).last().unwrap() - 4 * 4096) / 20
    };
    for (ids, rows) in [([3, -1], 2), ([3, 4], 0), ([2, 4], 1), ([4, 2], 2), ([4, 4], 1), ([-1, 4], 0), ([0, 0], 1)] {
        assert_eq!(rows_read(&mut session, ids), rows, "{ids:?}");
    }
    // An index that is refused leaves what was there, or nothing.
    assert!(session.run(&inputs([1, 5])).is_err());
    assert_eq!(rows_read(&mut session, [0, 0]), 1);
    session.trim().unwrap();
    assert_eq!(session.run(&inputs([0, 0])).unwrap(), fresh([0, 0]));
    assert!(!session.stats().memory.declared_exceeded, "{:?}", session.stats());
}

/// wgpu takes memory in blocks of 4 MiB, by kind of memory, and for what is larger just what is needed.
#[test]
fn the_allocator_agrees_with_the_ledger() {
    // Four buffers of 4 MiB, an arena of 20 MiB and 16 MiB of activations.
    let product = Product { pages: 8192, slots: 5, ring: 4, rows: 1024 };
    let mut plan = product.plan();
    let pages = 7_u32;
    plan.dispatches.truncate(pages as usize);
    plan.commands.truncate(4 * pages as usize);
    plan.page_count = pages;
    plan.weight_bytes = u64::from(pages) << 22;
    testing::declare(&mut plan, 0);
    let session = open(Product { pages, ..product }.bundle_of(&plan)).unwrap();
    let stats = session.stats();
    let (Some(allocated), Some(reserved)) = (stats.memory.device_allocated_bytes, stats.memory.device_reserved_bytes)
    else {
        return;
    };
    assert!(stats.memory.device_recorded_bytes > 50 << 20, "{stats:?}");
    assert!(allocated <= stats.memory.device_recorded_bytes, "{stats:?}");
    assert!(allocated > stats.memory.device_recorded_bytes - (1 << 20), "{stats:?}");
    // Blocks of three kinds of memory, and wgpu's own resources.
    assert!(reserved <= stats.memory.device_recorded_bytes + (16 << 20), "{stats:?}");
    assert!(!stats.memory.declared_exceeded, "{stats:?}");
}
