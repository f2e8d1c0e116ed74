//! What is written is what is read, from memory and from files, and writing twice gives the same bytes.

use crate::container::Bundle;
use crate::plan::PageId;
use crate::source::{MemorySource, ReadAt};
use crate::testing;

#[test]
fn a_bundle_in_memory_holds_what_was_written() {
    let source = MemorySource::from(testing::small_bundle());
    let bundle = Bundle::open(&source).expect("the bundle is valid");
    assert_eq!(bundle.plan, testing::small_plan());
    assert_eq!(bundle.constants, testing::constants());
    assert_eq!(bundle.golden, Some(testing::golden()));
    assert_eq!(bundle.replay.peak_pages, 3);
    for index in 0..testing::PAGE_COUNT {
        let mut page = vec![0; 4096];
        let offset_bytes = bundle.page_offset_bytes(PageId(index));
        assert!(offset_bytes.is_multiple_of(4096));
        source.read_at(offset_bytes, &mut page).expect("the page is there");
        bundle.check_page(PageId(index), &page).expect("the page is whole");
        assert_eq!(page, testing::page(index));
    }
    for row in 0..testing::TABLE_ROWS {
        let mut bytes = vec![0; 20];
        source.read_at(bundle.row_offset_bytes(0, row).expect("the row exists"), &mut bytes).expect("it is there");
        bundle.check_row(0, row, &bytes).expect("the row is whole");
        assert_eq!(bytes[..16], testing::rows()[row as usize * 16..][..16]);
    }
    assert_eq!(bundle.row_offset_bytes(0, testing::TABLE_ROWS), None);
    assert_eq!(bundle.row_offset_bytes(1, 0), None);
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    assert_eq!(testing::small_bundle(), testing::small_bundle());
}

#[test]
fn a_plan_that_repeats_holds_both_programs() {
    let plan = testing::repeating_plan();
    let source = MemorySource::from(testing::bundle_of(&plan, None));
    let bundle = Bundle::open(&source).expect("the bundle is valid");
    assert_eq!(bundle.plan, plan);
    assert_eq!((bundle.replay.loads, bundle.replay.repeat_loads, bundle.replay.kept_pages), (5, 3, 1));
}
