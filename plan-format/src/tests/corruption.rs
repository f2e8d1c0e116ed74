//! Damage: every truncation and every flipped byte is a typed error, never a panic.

use crate::container::{Bundle, BundleError, SectionKind};
use crate::plan::PageId;
use crate::source::MemorySource;
use crate::testing;
use crate::testing::forge::section_range;

/// Opens and reads everything.
fn open_and_verify(bytes: &[u8]) -> Result<(), BundleError> {
    let source = MemorySource(bytes.into());
    Bundle::open(&source)?.verify_contents(&source, &mut |_, _| {})
}

#[test]
fn a_whole_bundle_verifies_and_reports_progress() {
    let bytes = testing::small_bundle();
    let source = MemorySource::from(bytes.clone());
    let bundle = Bundle::open(&source).expect("the bundle is valid");
    let mut last = 0;
    let mut progress = |done, total| {
        assert_eq!(total, bytes.len() as u64);
        last = done;
    };
    bundle.verify_contents(&source, &mut progress).expect("the bundle is whole");
    assert_eq!(last, bytes.len() as u64);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = testing::small_bundle();
    let places = (0..600).chain((600..bytes.len()).step_by(97)).chain([bytes.len() - 1]);
    for length in places {
        let error = open_and_verify(&bytes[..length]).expect_err("a part of a bundle is no bundle");
        let expected = if length < 24 { "TooShort" } else { "FileSize" };
        assert!(format!("{error:?}").starts_with(expected), "{length}: {error:?}");
    }
}

#[test]
fn appended_bytes_are_an_error() {
    let mut bytes = testing::small_bundle();
    bytes.push(0);
    assert!(matches!(open_and_verify(&bytes), Err(BundleError::FileSize { .. })));
}

#[test]
fn every_flipped_byte_is_an_error() {
    let mut bytes = testing::small_bundle();
    let [rows, pages] = [SectionKind::Rows, SectionKind::Pages].map(|kind| section_range(&bytes, kind));
    for position in 0..bytes.len() {
        let flip = 1 << (position % 8);
        bytes[position] ^= flip;
        let error = open_and_verify(&bytes).expect_err("a flipped byte is noticed");
        if pages.contains(&position) {
            let page = PageId(((position - pages.start) / 4096) as u32);
            assert!(matches!(error, BundleError::PageChecksum { page: found, .. } if found == page), "{error}");
        } else if rows.contains(&position) {
            let row = ((position - rows.start) / 20) as u32;
            assert!(matches!(error, BundleError::RowChecksum { row: found, .. } if found == row), "{error}");
        }
        bytes[position] ^= flip;
    }
    open_and_verify(&bytes).expect("all flips are undone");
}

#[test]
fn single_pages_and_rows_are_checked() {
    let bundle = Bundle::open(&MemorySource::from(testing::small_bundle())).expect("the bundle is valid");
    let mut page = testing::page(1);
    assert!(matches!(bundle.check_page(PageId(1), &page[1..]), Err(BundleError::PageLength { .. })));
    assert!(matches!(bundle.check_page(PageId(2), &page), Err(BundleError::PageChecksum { .. })));
    assert!(matches!(bundle.check_page(PageId(4), &page), Err(BundleError::NoSuchPage { .. })));
    page[4095] = 1;
    let error = bundle.check_page(PageId(1), &page).expect_err("the page is altered");
    assert!(error.to_string().starts_with("page 1 at offset "), "{error}");
    assert!(matches!(bundle.check_row(0, 0, &[0; 20]), Err(BundleError::RowChecksum { .. })));
    assert!(matches!(bundle.check_row(0, 0, &[0; 3]), Err(BundleError::RowLength { .. })));
    assert!(matches!(bundle.check_row(0, 5, &[0; 20]), Err(BundleError::NoSuchRow { .. })));
}
