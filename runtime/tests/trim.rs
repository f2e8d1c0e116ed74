//! Memory that is given back between runs, and taken again.

mod support;

use flashmem_plan_format::testing;
use flashmem_runtime::{Error, Session, Source, Tensor};
use std::sync::Arc;
use support::inject::{Injector, Misdeed};
use support::{Product, open};

const PRODUCT: Product = Product { pages: 23, slots: 9, ring: 3, rows: 16 };

fn small_inputs() -> [(&'static str, Tensor); 2] {
    [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[3, -1]))]
}

#[test]
fn device_memory_falls_and_the_next_run_gives_the_same() {
    let mut session = open(PRODUCT.bundle()).unwrap();
    let inputs = [("x", PRODUCT.input())];
    let expected = session.run(&inputs).unwrap();
    let before = session.stats();
    for is_async in [false, true] {
        match is_async {
            false => session.trim().unwrap(),
            true => pollster::block_on(session.trim_async()).unwrap(),
        }
        let trimmed = session.stats();
        assert_eq!((trimmed.memory.device_recorded_bytes, trimmed.memory.device_recorded_by_kind), (0, vec![]));
        if let (Some(before), Some(after)) =
            (before.memory.device_allocated_bytes, trimmed.memory.device_allocated_bytes)
        {
            assert!(before >= 9 * 65_536 && after * 10 < before, "{before}, then {after}");
        }
        assert_eq!(session.run(&inputs).unwrap(), expected);
        assert_eq!(session.run(&inputs).unwrap(), expected);
        let again = session.stats();
        assert_eq!(again.memory.device_recorded_by_kind, before.memory.device_recorded_by_kind);
        assert_eq!(again.memory.device_allocated_bytes, before.memory.device_allocated_bytes);
        assert!(!again.memory.declared_exceeded, "{again:?}");
    }
}

#[test]
fn constants_rows_and_pinned_pages_come_back() {
    for plan in [testing::small_plan(), testing::repeating_plan()] {
        let mut session = open(testing::bundle_of(&plan, None)).unwrap();
        // Before any run, too, while pages are being read.
        session.trim().unwrap();
        session.trim().unwrap();
        let expected = session.run(&small_inputs()).unwrap();
        for _ in 0..3 {
            session.trim().unwrap();
            assert_eq!(session.run(&small_inputs()).unwrap(), expected);
            assert_eq!(session.run(&small_inputs()).unwrap(), expected);
        }
        assert!(!session.stats().memory.declared_exceeded, "{:?}", session.stats());
    }
}

#[test]
fn every_read_after_a_trim_can_fail() {
    let bytes = testing::small_bundle();
    let source = Injector::new(&bytes);
    let mut session = Session::builder(Source::Blocking(source.clone())).open().unwrap();
    let expected = session.run(&small_inputs()).unwrap();
    let before = source.reads();
    session.trim().unwrap();
    assert_eq!(session.run(&small_inputs()).unwrap(), expected);
    for read in 0..source.reads() - before {
        for misdeed in [Misdeed::Error, Misdeed::Short, Misdeed::Flip] {
            session.trim().unwrap();
            source.arm(read, misdeed);
            match session.run(&small_inputs()) {
                Err(error) => assert!(source.expects(misdeed, &error), "read {read}, {misdeed:?}: {error:?}"),
                // The header is read twice: alone, for the size of the section table, and with it.
                Ok(outputs) => assert!(read == 0 && misdeed == Misdeed::Flip && outputs == expected),
            }
            assert!(source.was_hit(), "read {read}");
            source.release();
            assert_eq!(session.run(&small_inputs()).unwrap(), expected);
        }
    }
}

#[test]
fn a_bundle_that_was_replaced_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("product.fmplan");
    std::fs::write(&path, PRODUCT.bundle()).unwrap();
    let mut session = Session::builder(&path).open().unwrap();
    let inputs = [("x", PRODUCT.input())];
    let expected = session.run(&inputs).unwrap();
    session.trim().unwrap();
    let mut other = PRODUCT.plan();
    other.provenance.model_hash = "11".repeat(32);
    std::fs::write(&path, PRODUCT.bundle_of(&other)).unwrap();
    assert!(matches!(session.run(&inputs), Err(Error::BundleChanged)));
    std::fs::write(&path, PRODUCT.bundle()).unwrap();
    assert_eq!(session.run(&inputs).unwrap(), expected);
}

#[test]
fn sessions_trim_apart() {
    let source = Arc::new(flashmem_runtime::MemorySource::from(PRODUCT.bundle()));
    let mut first = Session::builder(Source::Blocking(source.clone())).open().unwrap();
    let mut second = Session::builder(Source::Blocking(source)).open().unwrap();
    let inputs = [("x", PRODUCT.input())];
    let expected = first.run(&inputs).unwrap();
    first.trim().unwrap();
    assert_eq!(second.run(&inputs).unwrap(), expected);
    assert_eq!(first.run(&inputs).unwrap(), expected);
}
