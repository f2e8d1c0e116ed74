//! The writer: what it refuses, and that a target is replaced by a whole file or not at all.

use crate::container::{Bundle, BundleWriter, SectionError, WriteError};
use crate::plan::Plan;
use crate::source::FileSource;
use crate::testing::{self, constants, golden, page, rows, small_plan};
use std::fs;
use std::io::Cursor;
use std::path::Path;

fn writer() -> BundleWriter<Cursor<Vec<u8>>> {
    BundleWriter::new(Cursor::new(Vec::new()), &small_plan(), &constants(), None).expect("the plan is valid")
}

fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_file_appears_when_it_is_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("small.fmplan");
    fs::write(&path, b"old").expect("writable");
    let mut writer = BundleWriter::create(&path, &small_plan(), &constants(), Some(&golden())).expect("valid");
    for row in rows().chunks(16) {
        writer.push_rows(row).expect("written");
    }
    for index in 0..testing::PAGE_COUNT {
        writer.push_page(&page(index)).expect("written");
    }
    assert_eq!(fs::read(&path).expect("readable"), b"old");
    let summary = writer.finish().expect("written");
    assert_eq!(fs::read(&path).expect("readable"), testing::small_bundle());
    assert_eq!(file_names(directory.path()), ["small.fmplan"]);
    let source = FileSource::open(&path).expect("readable");
    let bundle = Bundle::open(&source).expect("valid");
    assert_eq!((bundle.hash, bundle.file_bytes()), (summary.hash, summary.file_bytes));
    bundle.verify_contents(&source, &mut |_, _| {}).expect("whole");
}

#[test]
fn an_abandoned_file_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("small.fmplan");
    let mut writer = BundleWriter::create(&path, &small_plan(), &constants(), None).expect("valid");
    writer.push_rows(&rows()).expect("written");
    let names = file_names(directory.path());
    assert!(names.len() == 1 && names[0].starts_with(".small.fmplan."), "{names:?}");
    drop(writer);
    assert!(file_names(directory.path()).is_empty());
    let writer = BundleWriter::create(&path, &small_plan(), &constants(), None).expect("valid");
    assert!(matches!(writer.finish(), Err(WriteError::RowsMissing { table: 0, rows_left: 5 })));
    assert!(file_names(directory.path()).is_empty());
}

#[test]
fn a_missing_directory_is_named() {
    let path = Path::new("/does/not/exist/small.fmplan");
    let error = BundleWriter::create(path, &small_plan(), &constants(), None).expect_err("no directory");
    let expected = "cannot write /does/not/exist/small.fmplan: there is no directory /does/not/exist";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn counts_and_sizes_are_checked() {
    let mut writer = writer();
    assert!(matches!(writer.push_page(&page(0)), Err(WriteError::RowsMissing { table: 0, rows_left: 5 })));
    assert!(matches!(writer.push_rows(&[0; 15]), Err(WriteError::RowBytes { .. })));
    assert!(matches!(writer.push_rows(&[0; 96]), Err(WriteError::RowBytes { .. })));
    writer.push_rows(&rows()).expect("written");
    assert!(matches!(writer.push_rows(&[0; 16]), Err(WriteError::TooManyRows)));
    assert!(matches!(writer.push_page(&[0; 4095]), Err(WriteError::PageBytes { .. })));
    for index in 0..testing::PAGE_COUNT {
        writer.push_page(&page(index)).expect("written");
    }
    assert!(matches!(writer.push_page(&page(0)), Err(WriteError::TooManyPages { page_count: 4 })));
}

#[test]
fn missing_pages_are_counted() {
    let mut writer = writer();
    writer.push_rows(&rows()).expect("written");
    writer.push_page(&page(0)).expect("written");
    assert!(matches!(writer.finish_into(), Err(WriteError::PagesMissing { written: 1, page_count: 4 })));
}

#[test]
fn nothing_is_written_that_could_not_be_opened() {
    let refused = |plan: &Plan, golden| {
        BundleWriter::new(Cursor::new(Vec::new()), plan, &constants(), golden).expect_err("the parts do not fit")
    };
    let mut plan = small_plan();
    plan.page.rows = 3;
    assert!(matches!(refused(&plan, None), WriteError::Invalid(_)));
    let mut plan = small_plan();
    plan.commands.pop();
    testing::declare(&mut plan, constants().len() as u64);
    assert!(matches!(refused(&plan, None), WriteError::Replay(_)));
    let mut golden = golden();
    golden.inputs.pop();
    let error = refused(&small_plan(), Some(&golden));
    assert!(matches!(error, WriteError::Section { source: SectionError::GoldenCount { .. }, .. }));
}

#[test]
fn a_plan_without_weights_makes_a_bundle() {
    let mut plan = small_plan();
    plan.dispatches.drain(..2);
    plan.pipelines.remove(0);
    plan.dispatches[0].pipeline = 0;
    plan.commands = vec![crate::plan::Command::Dispatch { index: 0 }, crate::plan::Command::Submit];
    (plan.page_count, plan.slot_count, plan.staging_pages, plan.weight_bytes) = (0, 0, 0, 0);
    plan.row_gathers.clear();
    plan.row_tables.clear();
    testing::declare(&mut plan, 256);
    let writer = BundleWriter::new(Cursor::new(Vec::new()), &plan, &constants(), None).expect("the plan is valid");
    let (out, summary) = writer.finish_into().expect("written");
    assert_eq!(summary.file_bytes, out.get_ref().len() as u64);
    let source = crate::MemorySource::from(out.into_inner());
    let bundle = Bundle::open(&source).expect("the bundle is valid");
    assert_eq!((bundle.plan.clone(), &bundle.golden), (plan, &None));
    bundle.verify_contents(&source, &mut |_, _| {}).expect("whole");
}
