//! Every bundle that the runtime opens is replayed first: one whose hashes are right and whose plan is not is refused.
//!
//! The plan is broken in the file and hashed again, as nobody's compiler would; docs/format.md gives the places.

mod support;

use flashmem_plan_format::container::{Bundle, BundleError};
use flashmem_plan_format::replay::ReplayViolation;
use flashmem_plan_format::testing;
use flashmem_runtime::{Error, MemorySource, Options, Session, Source};
use std::sync::Arc;
use support::open;

const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 56;
const SECTIONS: usize = 7;

/// Replaces bytes of the plan section, which is the first one, and makes all hashes right.
fn forge(bytes: &mut [u8], found: &[u8], put_at: usize, value: &[u8]) {
    let u64_at = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let start = u64_at(bytes, HEADER_BYTES + 8);
    let section = start..start + u64_at(bytes, HEADER_BYTES + 16);
    let at = bytes[section.clone()].windows(found.len()).position(|window| window == found).unwrap();
    let at = start + at + put_at;
    bytes[at..at + value.len()].copy_from_slice(value);
    let hash = *blake3::hash(&bytes[section]).as_bytes();
    bytes[HEADER_BYTES + 24..HEADER_BYTES + ENTRY_BYTES].copy_from_slice(&hash);
    let end = HEADER_BYTES + SECTIONS * ENTRY_BYTES;
    let hash = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..end + 32].copy_from_slice(&hash);
}

#[test]
fn a_plan_that_would_go_wrong_is_refused_before_a_device_is_opened() {
    let params = testing::small_plan().params;
    let mut bytes = testing::small_bundle();
    // The second entry of the first slot table names slot 1.
    forge(&mut bytes, &params[..64], 20, &[2]);
    let Some(Error::Bundle(BundleError::Replay(violations))) = open(bytes.clone()).err() else {
        panic!("the slot table is wrong")
    };
    assert!(matches!(violations.list[..], [ReplayViolation::SlotTable { dispatch: 0, .. }]), "{violations}");
    // Not even an adapter that does not exist is looked for.
    let options = Options { adapter: Some("no such adapter".to_owned()), ..Options::default() };
    let error = Session::builder(Source::Blocking(Arc::new(MemorySource(bytes.clone().into()))))
        .options(options.clone())
        .open()
        .err();
    assert!(matches!(error, Some(Error::Bundle(BundleError::Replay(_)))));
    // Forging is what it says: put back, the bundle is the one that it was.
    let mut forged = params[..64].to_vec();
    forged[20] = 2;
    forge(&mut bytes, &forged, 20, &[1]);
    assert_eq!(bytes, testing::small_bundle());
    Bundle::open(&MemorySource(bytes.into())).unwrap();
}

#[test]
fn a_plan_whose_numbers_do_not_fit_is_refused() {
    let mut bytes = testing::small_bundle();
    // The budget, and after it the predicted time.
    let plan = testing::small_plan();
    let fields = [plan.budget_bytes.unwrap().to_le_bytes(), plan.predicted_cold_us.to_le_bytes()].concat();
    forge(&mut bytes, &fields, 0, &1_u64.to_le_bytes());
    assert!(matches!(open(bytes).err(), Some(Error::Bundle(BundleError::Invalid(_)))));
}
