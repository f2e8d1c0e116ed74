//! Every message of the runtime's errors, with its causes as programs print it, against `tests/golden/errors.txt`.
//!
//! `BLESS=1` rewrites the file; the diff shows the English. A variant without an example does not compile.

use super::error::{Error, InputError, SelfTestError};
use super::options::IoNote;
use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::plan::{ElementType, PageId};
use std::io::ErrorKind;
use std::time::Duration;

/// Examples of every variant of an enum, each with its name; the match fails to compile when one is missing.
macro_rules! examples {
    ($enum:ident { $($variant:ident $({ $($field:ident: $value:expr),* $(,)? })? $(($inner:expr))?;)* }) => {{
        fn all_are_here(error: &$enum) {
            match error {
                $($enum::$variant { .. } => {})*
            }
        }
        let examples = [$((
            concat!(stringify!($enum), "::", stringify!($variant)),
            $enum::$variant $({ $($field: $value),* })? $(($inner))?,
        )),*];
        examples.map(|(name, error)| {
            all_are_here(&error);
            format!("{name}\n    {}\n", chain(&error).replace('\n', "\n    "))
        }).concat()
    }};
}

/// As `{:#}` of `anyhow` prints it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

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

#[test]
fn messages_are_as_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/errors.txt");
    let found = errors() + &input_errors() + &other_errors();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    for (found, committed) in found.lines().zip(committed.lines()) {
        assert_eq!(found, committed, "BLESS=1 rewrites the file");
    }
    assert_eq!(found.len(), committed.len(), "BLESS=1 rewrites the file");
}
