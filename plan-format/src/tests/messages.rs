//! Every message of this crate's errors, with its causes as programs print it, against `tests/golden/errors.txt`.

use crate::byte_size::SizeError;
use crate::codec::CodecError;
use crate::container::{BundleError, SectionError, SectionKind, WriteError};
use crate::examples;
use crate::files::{FileError, Special};
use crate::implied::Limit;
use crate::linked::{LinkViolation, Unconnectable};
use crate::npy::NpyError;
use crate::plan::{Buffer, ElementType, PageId, SlotId};
use crate::replay::{At, Pass, ReplayViolation};
use crate::row_indices::BrokenIndices;
use crate::testing::messages;
use crate::validate::{Place, PlanViolation};
use crate::violations::Violations;
use std::io::ErrorKind;
use std::path::Path;

fn text(text: &str) -> String {
    text.to_owned()
}

fn only<V>(violation: V) -> Violations<V> {
    Violations { list: vec![violation], omitted: 0 }
}

fn invalid() -> Violations<PlanViolation> {
    Violations { list: vec![PlanViolation::MemoryOverflow, PlanViolation::SolverGap { gap: -1.0 }], omitted: 7 }
}

fn not_replayable() -> Violations<ReplayViolation> {
    only(ReplayViolation::SlotNeverUsed { slot: SlotId(3) })
}

fn small_errors() -> String {
    let sizes = examples!(SizeError {
        Malformed { text: text("3 pages") };
        Fraction { text: text("1.5") };
        TooLarge { text: text("1e30GiB") };
    });
    let codec = examples!(CodecError {
        Encode("a sequence of unknown length".into());
        Decode("unexpected end".into());
        TrailingBytes { used_bytes: 100, given_bytes: 104 };
        TooLarge { encoded_bytes: 1 << 40 };
    });
    let arrays = examples!(NpyError {
        Format;
        Header("descr");
        Type(text("<c16"));
        Length { found_bytes: 8, expected_bytes: 16 };
        TooLarge { shape: vec![65_536, 65_536], most: 1 << 31 };
        LongHeader { found_bytes: 1 << 20 };
        Read(ErrorKind::UnexpectedEof.into());
    });
    let indices = examples!(BrokenIndices {
        Operands { operands: 0 };
        Constant { operand: 1, elements: 1 << 30 };
        Tables { tables: 99 };
        Table { table: 2, elements: 0 };
        Shape { operand: 1 };
        Instructions { instructions: 1000 };
        Value { instruction: 4 };
    });
    let connections = examples!(Unconnectable {
        Element { found: ElementType::F32, expected: ElementType::I64 };
        Shape { found: vec![1, 77, 768], expected: vec![77, 768] };
        Converted { element: ElementType::F16 };
        ReadByHost;
        Checked;
    });
    [sizes, codec, arrays, indices, connections].concat()
}

fn files() -> String {
    let denied = || ErrorKind::PermissionDenied.into();
    examples!(FileError {
        OutputIsInput {
            output: text("the output"), path: "b.fmplan".into(), input: text("the model"), input_path: "./b.fmplan".into()
        };
        OutputsCoincide {
            first: text("the output"), first_path: "b.fmplan".into(), second: text("the report"), path: "./b.fmplan".into()
        };
        Directory { path: "bundles/".into() };
        NoFolder { path: "bundles/b.fmplan".into(), folder: "bundles".into() };
        NotAFile { path: "/dev/stdout".into(), kind: Special::StandardStream };
        Unreachable { path: "b.fmplan/c".into(), source: ErrorKind::NotADirectory.into() };
        Protected { path: "b.fmplan".into(), source: denied() };
        Create { path: "b.fmplan".into(), source: denied() };
        Write { path: "b.fmplan".into(), source: ErrorKind::StorageFull.into() };
        Replace { path: "b.fmplan".into(), source: denied() };
    })
}

fn plan_violations() -> String {
    let dispatch = || Place::Dispatch { index: 4, node: text("/layer/MatMul") };
    let binding = || Place::Binding { dispatch: 4, node: text("/layer/MatMul"), binding: 2 };
    let pipeline = || Place::Pipeline { index: 1, label: text("matmul") };
    let input = || Place::Input { index: 0, name: text("ids") };
    let output = || Place::Output { index: 0, name: text("logits") };
    let state = || Place::State { index: 1, name: text("past") };
    let table = || Place::RowTable { index: 0, name: text("embedding") };
    let gather = || Place::RowGather { index: 0, node: text("/embedding/Gather") };
    let bound = || Place::IndexBound { index: 0, node: text("/embedding/Gather") };
    examples!(PlanViolation {
        TooMany { table: "dispatches", count: 2_000_000, limit: 1_000_000 };
        WeightCounts { page_count: 4, slot_count: 0, staging_pages: 2 };
        PageGeometry { rows: 48, max_rows: 8192 };
        Index { place: dispatch(), table: "pipelines", index: 9, count: 3 };
        SliceAlignment { place: binding(), offset_bytes: 100 };
        SliceSize { place: binding(), size_bytes: 6 };
        SliceEnd {
            place: binding(), buffer: Buffer::Activations, offset_bytes: 4096, size_bytes: 512, buffer_bytes: 4352
        };
        NotInActivations { place: output() };
        StateOrder { place: state(), buffer: Buffer::States, offset_bytes: 512, expected_bytes: 256 };
        StateBinding { place: binding(), offset_bytes: 512, size_bytes: 256 };
        StateWritten { place: dispatch(), state: 1 };
        StateReadEarly { place: dispatch(), state: 1 };
        OutputWithoutSlice { place: output() };
        Rank { place: input(), rank: 12, limit: 8 };
        Elements { place: input(), shape: vec![0, 4], limit: 1 << 31 };
        TensorBytes { place: input(), found_bytes: 8, expected_bytes: 16 };
        NameEmpty { place: Place::Input { index: 0, name: text("") } };
        NameTooLong { place: input(), bytes: 70_000, limit: 65_531 };
        NameRepeated { place: input() };
        HostWritesOverlap { first: input(), second: gather() };
        RowTableSize { place: table(), rows: 0, row_bytes: 1024, limit_bytes: 1 << 26 };
        RowTableOffset { place: table(), offset_bytes: 64, expected_bytes: Some(0) };
        RowIndices { place: gather(), broken: BrokenIndices::Operands { operands: 0 } };
        IndexElement { place: bound() };
        IndexWalk { place: bound(), elements: 12 };
        IndexRange { place: bound(), least: 3, most: 2 };
        SourceEmpty { place: pipeline() };
        ParamsBytes { place: pipeline(), params_bytes: 6 };
        WorkgroupSize { place: pipeline(), workgroup_size: [64, 0, 1] };
        PipelineOrder { place: pipeline() };
        ParamsAlignment { place: dispatch(), offset_bytes: 100 };
        ParamsEnd { place: dispatch(), offset_bytes: 512, params_bytes: 64, total_bytes: 512 };
        BindingCount { place: dispatch(), found: 2, expected: 3 };
        WorkgroupsZero { place: dispatch(), workgroups: [4, 0, 1] };
        WeightsUse { place: dispatch(), has_weights: true, uses_weights: false };
        PagesOfDispatch { place: dispatch(), page_count: 65, limit: 64 };
        PageRange { place: dispatch(), first_page: 3, page_count: 2, total: 4 };
        SlotTable { place: dispatch(), page_count: 2, slots_offset_bytes: 64, params_bytes: 64 };
        CommandPage { place: Place::Command { index: 7 }, page: 9, page_count: 4 };
        CommandSlot { place: Place::RepeatCommand { index: 7 }, slot: 9, slot_count: 4 };
        Requirement { place: Place::Plan, limit: Limit::StorageBuffers, used: 9, declared: 8 };
        ConstantBytes { constant_bytes: 6 };
        WeightBytes { weight_bytes: 1000, stored_bytes: Some(512) };
        SolverGap { gap: f64::NAN };
        Rate { what: "disk rate", rate: -1.0 };
        Predicted { place: dispatch(), predicted_us: f64::NAN };
        Memory { kind: "staging", declared_bytes: 4096, implied_bytes: 8192 };
        MemoryOverflow;
        Budget { total_bytes: 2_000_000, budget_bytes: 1_000_000 };
    })
}

fn replay_violations() -> String {
    let the_command = At { pass: Pass::First, index: 7 };
    let again = At { pass: Pass::Later, index: 7 };
    let (the_page, the_slot) = (PageId(5), SlotId(1));
    examples!(ReplayViolation {
        NoSuchPage { command: the_command, page: the_page };
        NoSuchSlot { command: the_command, page: the_page, slot: the_slot };
        NoSuchDispatch { command: again, dispatch: 3 };
        LoadRepeated { command: the_command, page: the_page };
        LoadLate { command: again, page: the_page, previous: PageId(0) };
        LoadOrder { command: the_command, page: the_page, previous: PageId(6) };
        SlotOccupied { command: the_command, page: the_page, slot: the_slot, occupant: PageId(2) };
        RingOverrun { command: the_command, page: the_page, load: 5, earlier_load: 1 };
        DropNotResident { command: the_command, page: the_page };
        ReadNotResident { command: the_command, dispatch: 3, page: the_page };
        SlotTable { command: the_command, dispatch: 3, page: the_page, named: SlotId(0), actual: the_slot };
        NoSlotTableEntry { command: the_command, dispatch: 3, page: the_page };
        DispatchRepeated { command: the_command, dispatch: 3 };
        DispatchOrder { command: the_command, dispatch: 3, previous: 4 };
        NeverLoaded { pass: Pass::First, page: the_page };
        NeverDispatched { pass: Pass::Later, dispatch: 3 };
        NeverSubmitted { command: the_command };
        LoadUnused { pass: Pass::Later, page: the_page };
        EndState { page: the_page, start: Some(the_slot), end: None };
        SlotNeverUsed { slot: the_slot };
        Peak { peak_pages: 5, slot_count: 4 };
    })
}

fn link_violations() -> String {
    let turn = || text("network 1 after network 0");
    examples!(LinkViolation {
        NetworkCount { count: 0, limit: 64 };
        Name { network: 1, limit: 255 };
        PageRows { network: 1, rows: 8, expected: 16 };
        StagingPages { network: 1, staging_pages: 2, expected: 4 };
        TooMany { table: "pages", count: 2_000_000, limit: 1_000_000 };
        PageCount { network: 1, page_count: 4, ranged: 3 };
        PageRange { network: 1, first: 2, end: 6, page_count: 4 };
        PageUnused { page: PageId(3) };
        TableLength { network: 1, table: "kept slots", found: 2, expected: 3 };
        KeptSlot { network: 1, slot: SlotId(3), kept_slots: 2 };
        KeptPages { network: 1, found: 2, expected: 3 };
        KeptSlotUnused { slot: SlotId(3) };
        SlotCount { slot_count: 8, expected: 9 };
        Overlap { network: 1, what: "constants", offset_bytes: 256 };
        StateShape { network: 1, state: 0, offset_bytes: 256 };
        RowTable { network: 1, table: 0, stored: 2 };
        RowTableOrder { table: 2, offset_bytes: 64, expected_bytes: 128 };
        KernelUnused { kernel: 5 };
        HandOver { network: 1, index: 0 };
        Connection { connection: 2 };
        Unconnectable { connection: 2, reason: Unconnectable::ReadByHost };
        ConnectionPlace { connection: 2, offset_bytes: 256 };
        Requirement { limit: "max_buffer_size", used: 8192, declared: 4096 };
        Memory { kind: "staging", declared_bytes: 4096, implied_bytes: 8192 };
        Overflow;
        Budget { total_bytes: 2_000_000, budget_bytes: 1_000_000 };
        Residency { turn: turn(), dispatch: 3, page: PageId(5), slot: SlotId(1) };
        RingOverrun { turn: turn(), load: 4 };
        NeverSubmitted { turn: turn() };
        LoadSlot { turn: turn(), page: PageId(5), slot: SlotId(1) };
    })
}

fn bundles() -> String {
    let eof = || ErrorKind::UnexpectedEof.into();
    let the_section = SectionKind::Kernels;
    let network = || text("unet");
    let read = examples!(BundleError {
        Read { offset_bytes: 64, length_bytes: 128, source: eof() };
        TooShort { file_bytes: 10, needed_bytes: 64 };
        Magic { found: *b"PK\x03\x04\x14\0\0\0" };
        Version { found: 2, supported: 9 };
        FileSize { declared_bytes: 8192, file_bytes: 4096 };
        SectionCount { found: 99, fewest: 6, most: 7 };
        HeaderHash { end_bytes: 512 };
        SectionKind { index: 1, offset_bytes: 128, found: 7, expected: 2 };
        Reserved { offset_bytes: 12 };
        SectionTooLarge { section: the_section, length_bytes: 1 << 40, limit_bytes: 1 << 28 };
        LengthOverflow;
        SectionOffset { section: the_section, declared_bytes: 1024, expected_bytes: 1032 };
        FileEnd { end_bytes: 8192, file_bytes: 8200 };
        Padding { offset_bytes: 1030 };
        OutOfMemory { section: the_section, length_bytes: 1 << 28 };
        SectionHash { section: the_section, offset_bytes: 1024 };
        Section { section: the_section, offset_bytes: 1024, source: SectionError::Codec(CodecError::Decode("bad tag".into())) };
        SectionLength { section: the_section, found_bytes: 100, expected_bytes: 200 };
        Invalid(invalid());
        Replay(not_replayable());
        NetworkInvalid { network: network(), source: invalid() };
        NetworkReplay { network: network(), source: not_replayable() };
        Linked(only(LinkViolation::Overflow));
        SeveralNetworks { names: vec![network(), text("vae")] };
        NoSuchPage { page: PageId(9), page_count: 4 };
        PageLength { page: PageId(3), found_bytes: 100, expected_bytes: 65_536 };
        PageChecksum { page: PageId(3), offset_bytes: 4096, stored: 0x1234_abcd, computed: 0x0f };
        NoSuchRow { table: 0, row: 99 };
        RowLength { table: 0, row: 12, found_bytes: 100, expected_bytes: 1028 };
        RowChecksum { table: 0, row: 12, offset_bytes: 4096, stored: 0x1234_abcd, computed: 0x0f };
    });
    let sections = examples!(SectionError {
        Codec(CodecError::TrailingBytes { used_bytes: 100, given_bytes: 104 });
        Truncated { needed_bytes: 8, found_bytes: 4 };
        TrailingBytes { excess_bytes: 3 };
        TooMany { count: 2_000_000, limit: 1_000_000 };
        KernelCount { kernels: 3, expected: 4 };
        MisplacedSource { pipeline: 2 };
        KernelText { pipeline: 2, valid_bytes: 17 };
        GoldenCount { inputs: 1, outputs: 1, plan_inputs: 2, plan_outputs: 1 };
        GoldenLength { port: text("logits"), found_bytes: 8, expected_bytes: 16 };
        GoldenTolerance { tolerance: f32::NAN };
        GoldenNetworks { found: 2, expected: 3 };
    });
    let written = examples!(WriteError {
        File(FileError::Directory { path: "bundles/".into() });
        Write(ErrorKind::StorageFull.into());
        Invalid(invalid());
        Replay(not_replayable());
        Constants { constant_bytes: 100, expected_bytes: 256 };
        Linked(Box::new(BundleError::Linked(only(LinkViolation::Overflow))));
        Section { section: the_section, source: SectionError::MisplacedSource { pipeline: 2 } };
        SectionTooLarge { section: the_section, length_bytes: 1 << 40, limit_bytes: 1 << 28 };
        LengthOverflow;
        RowBytes { table: 0, found_bytes: 100, row_bytes: 1024, rows_left: 3 };
        TooManyRows;
        RowsMissing { table: 0, rows_left: 3 };
        PageBytes { page: PageId(3), found_bytes: 100, expected_bytes: 65_536 };
        TooManyPages { page_count: 4 };
        PagesMissing { written: 3, page_count: 4 };
    });
    read + &sections + &written
}

#[test]
fn messages_are_as_committed() {
    let found =
        [small_errors(), files(), plan_violations(), replay_violations(), link_violations(), bundles()].concat();
    messages::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/errors.txt"), &found);
}
