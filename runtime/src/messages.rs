//! Every message of the runtime's errors, with its causes as programs print it, against `tests/golden/errors.txt`.
//!
//! `BLESS=1` rewrites the file; the diff shows the English. A variant without an example does not compile.

use crate::{Error, InputError, IoNote, SelfTestError};
use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::examples;
use flashmem_plan_format::plan::{ElementType, PageId};
use flashmem_plan_format::testing::messages;
#[cfg(feature = "npz")]
use flashmem_plan_format::{files::FileError, npy::NpyError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

fn errors() -> String {
    let text = |text: &str| text.to_owned();
    let eof = || ErrorKind::UnexpectedEof.into();
    examples!(Error {
        OpenFile { path: "model.fmplan".into(), source: ErrorKind::NotFound.into() };
        Bundle(BundleError::Read { offset_bytes: 64, length_bytes: 128, source: eof() });
        Budget { declared_bytes: 2_000_000, budget_bytes: 1_000_000 };
        NoAdapter;
        AdapterNotFound { requested: text("radeon"), available: vec![text("llvmpipe"), text("Intel Arc")] };
        Limit { adapter: text("thin"), limit: "max_texture_array_layers", needed: 300, available: 256 };
        LoopRounds { adapter: text("llvmpipe"), needed: 70_000, limit: 65_535 };
        RequestDevice { adapter: text("thin"), message: text("limits are not supported") };
        OutOfMemory { during: text("allocating 4096 bytes of staging") };
        Ledger { kind: "staging", recorded_bytes: 8192, declared_bytes: 4096 };
        Device { during: text("creating pipeline `matmul`"), message: text("a binding is missing") };
        DeviceLost { reason: text("Unknown: the driver went away") };
        Timeout { during: text("replaying the plan"), waited: Duration::from_secs(300) };
        ReadTimeout { during: text("waiting for page 7"), offset_bytes: 65_536, waited: Duration::from_millis(2500) };
        SourcePanic { during: text("opening the bundle") };
        Cancelled { during: text("replaying the plan") };
        BundleChanged;
        SessionLost { reason: text("the device was lost: Unknown: the driver went away") };
        Threads { source: ErrorKind::WouldBlock.into() };
        PageRead { page: PageId(7), offset_bytes: 65_536, source: eof() };
        RowRead { table: text("embedding"), row: 12, offset_bytes: 4096, source: eof() };
        IntegerOverflow { node: text("Add_3") };
        RingStalled { command: 9, page: PageId(7) };
        ComputedIndex { node: text("Gather_2"), position: 5, index: -9, least: -8, most: 7 };
        Input(InputError::Duplicate { name: text("x") });
        SelfTest(SelfTestError::NoGolden);
        UnknownNetwork { name: "vae".to_owned(), available: vec!["text".to_owned(), "unet".to_owned()] };
        NetworkNotNamed { available: vec!["text".to_owned(), "unet".to_owned()] };
        UnknownState { name: text("past"), available: vec![text("h"), text("c")] };
        StateOfSeveral { name: text("past") };
        OtherBundle;
        SharedBudget {
            needed_bytes: 3_000_000,
            budget_bytes: 4_000_000,
            held: vec![(text("depth"), 1_500_000), (text("vit"), 500_000)],
        };
    })
}

fn input_errors() -> String {
    let text_of = str::to_owned;
    let (name, expected) = (|| "ids".to_owned(), || "`x` (F32 [1, 64]), `ids` (I64 [2])".to_owned());
    examples!(InputError {
        Unknown { name: name(), expected: expected() };
        Duplicate { name: name() };
        Missing { name: name(), expected: expected() };
        NotHanded { name: text_of("latent"), sources: vec![text_of("unet.out"), text_of("encoder.z")] };
        Element { name: name(), found: ElementType::F32, expected: ElementType::I64 };
        Shape { name: name(), found: vec![3], expected: vec![2] };
        Length { name: name(), found_bytes: 8, expected_bytes: 16 };
        IntegerRange { name: name(), index: 1, value: 1 << 40 };
        IndexRange { name: name(), position: 1, index: 6, least: -8, most: 5, node: "Gather_1".to_owned() };
        RowIndex {
            name: name(), position: 1, index: 6, rows: 5, table: "embedding".to_owned(), node: "Gather_1".to_owned()
        };
        ComputedRowIndex {
            name: name(), position: 1, value: 3, index: 6, rows: 5, table: "embedding".to_owned(), node: "Gather_1".to_owned()
        };
    })
}

fn other_errors() -> String {
    let output = || "y".to_owned();
    let self_tests = examples!(SelfTestError {
        NoGolden;
        Tolerance { run: 1, output: output(), error: 0.25, tolerance: 1e-4 };
        Value { run: 2, output: output(), element: 3 };
        NotRepeatable { output: output(), byte: 12 };
    });
    let notes = examples!(IoNote {
        DirectRefused { reason: "Invalid argument (os error 22)".to_owned() };
    });
    self_tests + &notes
}

#[cfg(feature = "npz")]
fn archives() -> String {
    use crate::npz::{NameError, NpzError};
    let (path, name) = (|| "inputs.npz".into(), || "ids".to_owned());
    let archives = examples!(NpzError {
        File { action: "open", path: path(), source: ErrorKind::NotFound.into() };
        Archive { path: path(), source: zip::result::ZipError::InvalidArchive("no end of the central directory".into()) };
        Missing { path: path(), port: "`ids` (I64 [2])".to_owned(), names: vec!["idx".to_owned(), "mask".to_owned()] };
        Array { path: path(), name: name(), source: NpyError::Format };
        Output(FileError::Directory { path: "outputs/".into() });
        Name { path: "outputs.npz".into(), name: name(), source: NameError::Nul };
    });
    let names = examples!(NameError {
        TooLong { bytes: 70_000 };
        Nul;
        Repeated;
        Entry;
    });
    archives + &names
}

#[cfg(feature = "http")]
fn answers() -> String {
    use crate::HttpError;
    let (the_start_bytes, the_end_bytes) = (4096, 8192);
    examples!(HttpError {
        Url { url: "ftp://server/model.fmplan".to_owned() };
        Status { status: "200 OK".to_owned() };
        Head { reason: "it has no Content-Length" };
        NoRange;
        Range { start_bytes: the_start_bytes, end_bytes: the_end_bytes, found: "bytes 0-4095/9999".to_owned() };
        Long { start_bytes: the_start_bytes, end_bytes: the_end_bytes };
        Changed;
        Browser { message: "Failed to fetch".to_owned() };
    })
}

#[cfg(feature = "cli")]
fn profiles() -> String {
    use crate::profile::ProfileError;
    let path = || "disk.bin".into();
    examples!(ProfileError {
        Device(Error::NoAdapter);
        File { path: path(), source: ErrorKind::NotFound.into() };
        ShortFile { path: path(), bytes: 100, least: 1 << 20 };
    })
}

#[cfg(all(feature = "cli", feature = "npz", feature = "http"))]
#[test]
fn messages_of_features_are_as_committed() {
    check("feature_errors.txt", &(archives() + &answers() + &profiles()));
}

#[test]
fn messages_are_as_committed() {
    let found = errors() + &input_errors() + &other_errors();
    check("errors.txt", &found);
}

fn check(name: &str, found: &str) {
    messages::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), found);
}
