//! Everything that must fail with its own error, and leave the session usable.

mod support;

use flashmem_plan_format::container::{Bundle, BundleError};
use flashmem_plan_format::plan::{PageId, Plan};
use flashmem_plan_format::testing;
use flashmem_runtime::{ElementType, Error, InputError, MemorySource, Options, SelfTestError, Session, Source, Tensor};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{Fault, Faulty, Product, bytes_read, open, open_with};

const PRODUCT: Product = Product { pages: 9, slots: 2, ring: 2, rows: 16 };

fn page_offset(bytes: &[u8], page: u32) -> u64 {
    Bundle::open(&MemorySource(bytes.into())).unwrap().page_offset_bytes(PageId(page))
}

/// Fails a run by a fault in page 5, then runs again without it.
fn fail_and_recover(fault: Fault, reader_threads: u32) -> Error {
    let bytes = PRODUCT.bundle();
    let source = Faulty::new(bytes.clone(), page_offset(&bytes, 5) + 100, fault);
    let options = Options { reader_threads, ..Options::default() };
    let mut session = Session::builder(Source::Blocking(source.clone())).options(options.clone()).open().unwrap();
    let inputs = [("x", PRODUCT.input())];
    session.run(&inputs).unwrap();
    source.active.store(true, Ordering::Relaxed);
    let error = session.run(&inputs).unwrap_err();
    source.active.store(false, Ordering::Relaxed);
    let outputs = session.run(&inputs).unwrap();
    assert_eq!(outputs.get("y").unwrap().as_f32().unwrap(), PRODUCT.expected());
    assert_eq!(session.stats().runs.len(), 2);
    error
}

#[test]
fn a_corrupt_page_is_named_and_the_session_recovers() {
    for reader_threads in [1, 4] {
        let error = fail_and_recover(Fault::Flip, reader_threads);
        let offset = page_offset(&PRODUCT.bundle(), 5);
        assert!(
            matches!(error, Error::Bundle(BundleError::PageChecksum { page: PageId(5), offset_bytes, .. })
                if offset_bytes == offset),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_ends_is_named_and_the_session_recovers() {
    for reader_threads in [1, 4] {
        let error = fail_and_recover(Fault::Truncate, reader_threads);
        assert!(matches!(error, Error::PageRead { page: PageId(5), .. }), "{error}");
    }
}

/// The run after a failed one finds the arena in an unknown state and reads everything again.
#[test]
fn a_failed_repetition_starts_over() {
    let bytes = testing::bundle_of(&testing::repeating_plan(), None);
    let ids = [("x", Tensor::from_f32(&[1, 64], &[0.0; 64])), ("ids", Tensor::from_i64(&[2], &[3, -1]))];
    for page in 1..4 {
        let source = Faulty::new(bytes.clone(), page_offset(&bytes, page) + 100, Fault::Flip);
        let mut session = Session::builder(Source::Blocking(source.clone())).open().unwrap();
        let expected = session.run(&ids).unwrap();
        source.active.store(true, Ordering::Relaxed);
        let error = session.run(&ids).unwrap_err();
        assert!(matches!(error, Error::Bundle(BundleError::PageChecksum { page: found, .. }) if found.0 == page));
        source.active.store(false, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(session.run(&ids).unwrap(), expected);
        }
        assert_eq!(bytes_read(&session), [5 * 4096 + 40, 5 * 4096, 3 * 4096]);
    }
}

#[test]
fn a_truncated_bundle_does_not_open() {
    let mut bytes = PRODUCT.bundle();
    bytes.truncate(bytes.len() - 1);
    assert!(matches!(open(bytes).err(), Some(Error::Bundle(BundleError::FileSize { .. }))));
}

#[test]
fn a_corrupt_row_is_named() {
    let bytes = testing::small_bundle();
    let offset = Bundle::open(&MemorySource(bytes.clone().into())).unwrap().row_offset_bytes(0, 4).unwrap();
    let source = Faulty::new(bytes, offset + 2, Fault::Flip);
    let mut session = Session::builder(Source::Blocking(source.clone())).open().unwrap();
    let ids = |ids: [i64; 2]| [("x", Tensor::from_f32(&[1, 64], &[0.0; 64])), ("ids", Tensor::from_i64(&[2], &ids))];
    source.active.store(true, Ordering::Relaxed);
    let error = session.run(&ids([-1, 0])).unwrap_err();
    assert!(matches!(error, Error::Bundle(BundleError::RowChecksum { row: 4, .. })), "{error}");
    source.active.store(false, Ordering::Relaxed);
    session.run(&ids([-1, 0])).unwrap();
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let mut session = open(testing::small_bundle()).unwrap();
    let x = || ("x", Tensor::from_f32(&[1, 64], &[0.0; 64]));
    let ids = |values: &[i64]| ("ids", Tensor::from_i64(&[2], values));
    let mut refused = |inputs: &[(&str, Tensor)]| match session.run(inputs) {
        Err(Error::Input(error)) => error,
        other => panic!("{other:?}"),
    };
    let error = refused(&[x()]);
    assert_eq!(error.to_string(), "input `ids` is missing; the model takes `x` (F32 [1, 64]), `ids` (I64 [2])");
    assert!(matches!(refused(&[x(), ids(&[0, 1]), ("z", x().1)]), InputError::Unknown { .. }));
    assert!(matches!(refused(&[x(), x(), ids(&[0, 1])]), InputError::Duplicate { .. }));
    assert!(matches!(
        refused(&[("x", Tensor::from_i32(&[1, 64], &[0; 64])), ids(&[0, 1])]),
        InputError::Element { found: ElementType::I32, expected: ElementType::F32, .. }
    ));
    assert!(matches!(refused(&[("x", Tensor::from_f32(&[64], &[0.0; 64])), ids(&[0, 1])]), InputError::Shape { .. }));
    assert!(matches!(refused(&[("x", Tensor::from_f32(&[1, 64], &[0.0])), ids(&[0, 1])]), InputError::Length { .. }));
    for index in [6, -9, i64::MIN, i64::MAX] {
        let error = session.run(&[x(), ids(&[0, index])]).expect_err("no such index");
        let text = format!("input `ids`, element 1: index {index} is outside -8 to 5 (node `Gather_1`)");
        assert_eq!(error.to_string(), text);
        let inputs = [x(), ids(&[index, 0])];
        let other = pollster::block_on(session.run_async(&inputs)).expect_err("the same without blocking");
        assert!(matches!(other, Error::Input(InputError::IndexRange { position: 0, .. })), "{other}");
    }
    let mut refused = |inputs: &[(&str, Tensor)]| match session.run(inputs) {
        Err(Error::Input(error)) => error,
        other => panic!("{other:?}"),
    };
    // Allowed by the bound, and refused by the table.
    for (index, position) in [(5, 1), (-6, 1), (77, 1)] {
        let error = refused(&[x(), ids(&[0, index])]);
        assert!(
            matches!(&error, InputError::RowIndex { position: p, index: i, rows: 5, .. } if (*p, *i) == (position, index)),
            "{error}"
        );
    }
    session.run(&[x(), ids(&[-5, 4])]).unwrap();
}

#[test]
fn a_limit_that_the_device_does_not_have_is_named() {
    let mut plan = PRODUCT.plan();
    plan.requirements.storage_buffers = 100_000_000;
    match open(PRODUCT.bundle_of(&plan)).err() {
        Some(Error::Limit { limit, needed, available, .. }) => {
            assert_eq!((limit, needed), ("max_storage_buffers_per_shader_stage", 100_000_000));
            assert!(available < needed);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_budget_below_the_declared_peak_is_refused() {
    let options = Options { budget_bytes: Some(1 << 16), ..Options::default() };
    let error = open_with(PRODUCT.bundle(), &options).err();
    assert!(matches!(error, Some(Error::Budget { budget_bytes: 65_536, .. })), "{error:?}");
}

#[test]
fn an_unknown_adapter_lists_the_known_ones() {
    let options = Options { adapter: Some("no such adapter".into()), ..Options::default() };
    match open_with(PRODUCT.bundle(), &options).err() {
        Some(Error::AdapterNotFound { available, .. }) => assert!(!available.is_empty()),
        other => panic!("{other:?}"),
    }
}

fn with_source(change: impl Fn(&str) -> String) -> Plan {
    let mut plan = PRODUCT.plan();
    plan.pipelines[0].source = change(&plan.pipelines[0].source);
    testing::declare(&mut plan, 0);
    plan
}

#[test]
fn kernels_that_the_device_rejects_are_named() {
    let broken: [&dyn Fn(&str) -> String; 3] = [
        &|source| source.replace("textureLoad", "textureLoda"),
        &|source| source.replace("fn main", "fn not_main"),
        &|source| source.replace("@binding(3)", "@binding(7)"),
    ];
    for change in broken {
        let mut session = open(PRODUCT.bundle_of(&with_source(change))).unwrap();
        let error = session.run(&[("x", PRODUCT.input())]).unwrap_err();
        assert!(
            matches!(&error, Error::Device { during, .. } if during == "creating pipeline `multiply`"),
            "{error:?}"
        );
        let error = session.run(&[("x", PRODUCT.input())]).unwrap_err();
        assert!(matches!(error, Error::SessionLost { .. }), "{error:?}");
    }
}

#[test]
fn a_self_test_fails_with_its_reason() {
    let mut session = open(PRODUCT.bundle()).unwrap();
    assert!(matches!(session.self_test(), Err(Error::SelfTest(SelfTestError::NoGolden))));
    let mut golden = testing::golden();
    golden.outputs[0][0..4].copy_from_slice(&7.0_f32.to_le_bytes());
    let mut session = open(testing::bundle_of(&testing::small_plan(), Some(&golden))).unwrap();
    match session.self_test() {
        Err(Error::SelfTest(SelfTestError::Tolerance { run: 1, output, .. })) => assert_eq!(output, "y"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sources_are_shared() {
    let source = Arc::new(MemorySource::from(PRODUCT.bundle()));
    let mut first = Session::builder(Source::Blocking(source.clone())).open().unwrap();
    let mut second = Session::builder(Source::Blocking(source)).open().unwrap();
    let inputs = [("x", PRODUCT.input())];
    assert_eq!(first.run(&inputs).unwrap(), second.run(&inputs).unwrap());
}
