//! Malice: bundles whose hashes are right and whose contents are not. Sizes are refused before anything is allocated or
//! read for them.

use crate::container::{Bundle, BundleError, SectionError, SectionKind, VERSION};
use crate::source::{MemorySource, ReadAt};
use crate::testing;
use crate::testing::forge::{HEADER_BYTES, entry_at, put, rehash, rehash_head, section_range};
use proptest::prelude::{any, prop, proptest};
use std::io;

/// A source that claims any size and has a head only.
struct HeadOnly {
    head: Vec<u8>,
    size_bytes: u64,
}

impl ReadAt for HeadOnly {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(buffer.len() < 4096, "a large read before all sizes are checked");
        let end = offset_bytes as usize + buffer.len();
        assert!(end <= self.head.len(), "a read behind the head before all sizes are checked");
        buffer.copy_from_slice(&self.head[offset_bytes as usize..end]);
        Ok(())
    }
}

/// Opens a head in which some u64 fields are replaced, in a file of the size that it declares.
fn open_head(fields: &[(usize, u64)], size_bytes: u64) -> BundleError {
    let mut head = testing::small_bundle();
    put(&mut head, 16, &size_bytes.to_le_bytes());
    for (at, value) in fields {
        put(&mut head, *at, &value.to_le_bytes());
    }
    rehash_head(&mut head);
    head.truncate(HEADER_BYTES + 7 * 56 + 32);
    Bundle::open(&HeadOnly { head, size_bytes }).expect_err("the head is hostile")
}

fn open(bytes: Vec<u8>) -> BundleError {
    Bundle::open(&MemorySource::from(bytes)).expect_err("the bundle is hostile")
}

#[test]
fn huge_sections_are_refused_before_they_are_read() {
    let limited = [
        SectionKind::Plan,
        SectionKind::Kernels,
        SectionKind::Constants,
        SectionKind::PageChecksums,
        SectionKind::Golden,
    ];
    for kind in limited {
        for length in [u64::MAX, 1 << 62, (1 << 30) + 1] {
            let error = open_head(&[(entry_at(kind) + 16, length)], 1 << 62);
            assert!(matches!(error, BundleError::SectionTooLarge { section, .. } if section == kind), "{error}");
        }
    }
    for kind in [SectionKind::Rows, SectionKind::Pages] {
        let error = open_head(&[(entry_at(kind) + 16, u64::MAX)], 1 << 62);
        assert!(matches!(error, BundleError::LengthOverflow), "{error}");
    }
}

#[test]
fn sections_must_tile_the_file() {
    let size_bytes = testing::small_bundle().len() as u64;
    let error = open_head(&[(entry_at(SectionKind::Constants) + 8, 0)], size_bytes);
    assert!(matches!(error, BundleError::SectionOffset { section: SectionKind::Constants, .. }), "{error}");
    let error = open_head(&[(entry_at(SectionKind::Rows) + 16, 1 << 40)], size_bytes);
    assert!(matches!(error, BundleError::SectionOffset { section: SectionKind::Pages, .. }), "{error}");
    let error = open_head(&[], size_bytes + 4096);
    assert!(matches!(error, BundleError::FileEnd { .. }), "{error}");
    let error = open_head(&[(entry_at(SectionKind::Plan), 9)], size_bytes);
    assert!(matches!(error, BundleError::SectionKind { index: 0, found: 9, .. }), "{error}");
    let error = open_head(&[(entry_at(SectionKind::Plan), 1 | 1 << 32)], size_bytes);
    assert!(matches!(error, BundleError::Reserved { offset_bytes: 28 }), "{error}");
}

#[test]
fn the_fixed_header_is_checked() {
    let good = testing::small_bundle();
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        put(&mut bytes, at, value);
        open(bytes)
    };
    assert!(matches!(with(0, b"GGUF"), BundleError::Magic { .. }));
    assert!(matches!(with(8, &[1]), BundleError::Version { found: 1, supported: VERSION }));
    for count in [0, 5, 8, u32::MAX] {
        assert!(matches!(with(12, &count.to_le_bytes()), BundleError::SectionCount { .. }));
    }
    assert!(matches!(with(HEADER_BYTES + 30, &[1]), BundleError::HeaderHash { .. }));
}

#[test]
fn padding_must_be_zero() {
    let mut bytes = testing::small_bundle();
    let position = section_range(&bytes, SectionKind::Rows).end;
    bytes[position] = 1;
    assert!(matches!(open(bytes), BundleError::Padding { offset_bytes } if offset_bytes == position as u64));
}

#[test]
fn blob_lists_are_checked() {
    let forged = |kind: SectionKind, at: usize, value: &[u8]| {
        let mut bytes = testing::small_bundle();
        let start = section_range(&bytes, kind).start;
        put(&mut bytes, start + at, value);
        rehash(&mut bytes);
        let error = open(bytes);
        let text = error.to_string();
        let BundleError::Section { section, source, .. } = error else { panic!("unexpected {text}") };
        assert_eq!(section, kind, "{text}");
        source
    };
    let kernels = |at, value: &[u8]| forged(SectionKind::Kernels, at, value);
    assert!(matches!(kernels(0, &[255; 4]), SectionError::TooMany { .. }));
    assert!(matches!(kernels(0, &[255, 255, 0, 0]), SectionError::Truncated { .. }));
    assert!(matches!(kernels(4, &[255; 8]), SectionError::Truncated { .. }));
    assert!(matches!(kernels(4, &[0; 24]), SectionError::TrailingBytes { .. }));
    assert!(matches!(kernels(28, &[255]), SectionError::KernelText { pipeline: 0, valid_bytes: 0 }));
    let golden = |at, value: &[u8]| forged(SectionKind::Golden, at, value);
    assert!(matches!(golden(0, &f32::NAN.to_le_bytes()), SectionError::GoldenTolerance { .. }));
    assert!(matches!(golden(4, &[1]), SectionError::GoldenCount { .. }));
    assert!(matches!(golden(4, &[4]), SectionError::Truncated { .. }));
    let swapped: Vec<u8> = [16_u64, 256].iter().flat_map(|length| length.to_le_bytes()).collect();
    assert!(matches!(golden(12, &swapped), SectionError::GoldenLength { .. }));
}

#[test]
fn a_plan_with_huge_tables_is_refused() {
    let mut bytes = testing::small_bundle();
    let plan = section_range(&bytes, SectionKind::Plan);
    // The plan starts with the length of the model's name.
    put(&mut bytes, plan.start, &u64::MAX.to_le_bytes());
    rehash(&mut bytes);
    let error = open(bytes);
    assert!(matches!(error, BundleError::Section { section: SectionKind::Plan, .. }), "{error}");
}

#[test]
fn an_invalid_plan_is_refused_with_all_violations() {
    let mut bytes = testing::small_bundle();
    let plan = section_range(&bytes, SectionKind::Plan);
    // The plan ends with the budget (a tag and a u64) and two predicted times (u64 each).
    put(&mut bytes, plan.end - 24, &1_u64.to_le_bytes());
    rehash(&mut bytes);
    let BundleError::Invalid(violations) = open(bytes) else { panic!("the budget is too small") };
    assert_eq!(violations.list.len(), 1, "{violations}");
    assert!(violations.to_string().ends_with("exceeds the budget of 1"), "{violations}");
}

proptest! {
    #[test]
    fn forged_bundles_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kind in prop::sample::select(vec![SectionKind::Plan, SectionKind::Kernels, SectionKind::Golden]),
    ) {
        let mut bytes = testing::small_bundle();
        let range = section_range(&bytes, kind);
        for (index, value) in edits {
            let position = range.start + index.index(range.len());
            bytes[position] = value;
        }
        rehash(&mut bytes);
        let source = MemorySource::from(bytes);
        if let Ok(bundle) = Bundle::open(&source) {
            bundle.verify_contents(&source, &mut |_, _| {}).expect("everything was hashed again");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = crate::codec::decode::<crate::plan::Plan>(&bytes);
        assert!(Bundle::open(&MemorySource::from(bytes)).is_err());
    }
}
