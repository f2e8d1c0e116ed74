//! Every message of the compiler's errors behind import, with its causes as programs print it, against `tests/golden/errors.txt`.

use crate::blessed;
use crate::bundle::{AssembleError, BundleError, GoldenError};
use crate::compile::CompileError;
use crate::emit::{EmitError, Mistake, ParamError, ParamMistake, Place, UnrollError};
use crate::entries::EntriesError;
use crate::graph::ShapeError;
use crate::graph::constant::Dtype;
use crate::import::{Flaw, ImportError};
use crate::kernels::params::Kind;
use crate::kernels::{Hook, Kernel};
use crate::link::LinkError;
use crate::lower::LowerError;
use crate::optimize::OptimizeError;
use crate::pack::PackError;
use crate::precision::PrecisionError;
use crate::profile::{ExceededLimit, ProfileError};
use crate::schedule::{ProblemError, ScheduleError};
use crate::search::{BudgetError, SolveError};
use crate::stages::StageError;
use crate::{graph, lower, schedule};
use flashmem_plan_format::container::BundleError as FormatError;
use flashmem_plan_format::files::FileError;
use flashmem_plan_format::linked::Unconnectable;
use flashmem_plan_format::plan::{Buffer, PageId, SlotId};
use flashmem_plan_format::testing::messages::chain;
use flashmem_plan_format::{PlanViolation, ReplayViolation, Violations, WriteError, examples};
use std::io::ErrorKind;

fn text(text: &str) -> String {
    text.to_owned()
}

fn node() -> String {
    text("/layer/MatMul")
}

fn unfit() -> ShapeError {
    ShapeError::Shape { op: "MatMul", operand: 1, shape: vec![4, 4], reason: "its k is not the other operand's" }
}

fn unrolled() -> UnrollError {
    UnrollError { place: Place { file: "matmul", line: 7 }, mistake: Mistake::LoopForm }
}

fn unnamed() -> ParamError {
    ParamError { kernel: Kernel::Copy, name: text("count"), mistake: ParamMistake::Missing }
}

fn graphs() -> String {
    use graph::verify::Violation;
    let shapes = examples!(ShapeError {
        OperandCount { op: "MatMul", expected: "2", found: 3 };
        Shape { op: "MatMul", operand: 1, shape: vec![4, 4], reason: "its k is not the other operand's" };
        Dtype { op: "MatMul", operand: 1, expected: Dtype::F32, found: Dtype::I32 };
        ShapeIsAParameter { op: "Reshape" };
    });
    let violations = examples!(Violation {
        OperandPositions { node: node() };
        Operands { node: node(), error: unfit() };
        Claim { node: node(), claimed: (vec![2, 3], Dtype::F32), inferred: (vec![2, 4], Dtype::I32) };
        Unreachable { node: node(), op: "Reshape", from: vec![2, 3], to: vec![7] };
        Epilogue { node: node(), operand: 1 };
        Cycle { node: node() };
    });
    let passes = examples!(OptimizeError {
        Shape { node: node(), error: unfit() };
        Violations { pass: "fuse", violations: vec![Violation::Cycle { node: node() }, Violation::Epilogue { node: node(), operand: 1 }] };
    });
    shapes + &violations + &passes
}

fn lowering() -> String {
    use lower::verify::Violation;
    let (the_step, the_tensor) = (4, 7);
    let errors = examples!(LowerError {
        TensorTooLarge { node: node(), size_bytes: 1 << 30, limit_bytes: 1 << 27 };
        NoKernel { node: node(), op: "MatMul", reason: "it has more than 2^31 elements" };
        TooManyRounds { node: node(), kernel: "matmul", rounds: 100_000, limit: 65_000 };
        PanelTooLarge { node: node(), pages: 100, limit: 64 };
    });
    let violations = examples!(Violation {
        Length { what: "inputs", found: 1, expected: 2 };
        Unknown { tensor: the_tensor };
        Outside { tensor: the_tensor, buffer: Buffer::Activations, offset_bytes: 4096, size_bytes: 512, buffer_bytes: 4352 };
        Size { tensor: the_tensor, elements: 4, size_bytes: 12 };
        Port { name: text("logits") };
        Gather { gather: 0 };
        Bindings { step: the_step, node: node() };
        WritesConstant { step: the_step, node: node(), tensor: the_tensor };
        View { step: the_step, node: node(), tensor: the_tensor, first: -1, last: 12, elements: 12 };
        Writes { tensor: the_tensor, expected: 1, found: 2 };
        Weight { name: text("weight"), texel_offset: 64 };
        WeightRange { step: the_step, node: node(), texels: 64..128 };
        HostOverlap { tensor: the_tensor, victim: 3 };
        NotWritten { step: the_step, node: node(), tensor: the_tensor, holder: Some(3) };
        Overwritten { step: the_step, node: node(), tensor: the_tensor, victim: 3, needed_by: Some(6) };
        StatePlace { state: 0 };
        StateUse { step: the_step, node: node(), state: 0 };
        ResultLost { name: text("logits"), holder: None };
    });
    errors + &violations
}

fn scheduling() -> String {
    use schedule::verify::Violation;
    let (the_command, the_step, the_page) = (7, 4, 5);
    let problems = examples!(ProblemError {
        Rate { rate: "disk_bytes_per_us", value: 0.0 };
        Zero { field: "slot_cap" };
        ExecuteTime { step: the_step, execute_us: f64::NAN };
        PageUse { page: the_page, first_step: 9, last_step: 3 };
        UnusedPage { page: the_page };
        TooMany { what: "steps", count: 3_000_000_000 };
    });
    let errors = examples!(ScheduleError {
        Infeasible { smallest_slots: 4, slot_cap: 3 };
        Problem(ProblemError::UnusedPage { page: the_page });
    });
    let violations = examples!(Violation {
        Length { table: "step_start_us", entries: 3, steps: 4 };
        LoadOrder { command: the_command, page: the_page, expected: 3 };
        Overwrite { command: the_command, page: the_page, live: 2, slot: 1 };
        SlotRange { command: the_command, slot: 9, slots: 4 };
        Cap { what: "slot count", slots: 9, limit: 8 };
        Ring { command: the_command, load: 6 };
        DropAbsent { command: the_command, page: the_page };
        DropEarly { command: the_command, page: the_page };
        DispatchOrder { command: the_command, step: the_step, expected: 3 };
        NotResident { command: the_command, step: the_step, page: the_page, expected: Some(1), actual: None };
        UploadCount { step: the_step, actual: 2, scheduled: 3 };
        Missing { what: "pages are never loaded", count: 3 };
        TooEarly { step: the_step, start_us: 10.0, earliest_us: 12.5, reason: "the disk" };
        Finish { finish_us: 99.0, end_us: 100.0 };
    });
    problems + &errors + &violations
}

fn kernels() -> String {
    let unrolling = examples!(Mistake {
        MisplacedMark { behind: "for" };
        Unbalanced;
        UnknownConstant { name: "TILE" };
        LoopForm;
        OpenBound { bound: "end", expression: text("params.k") };
        TooManyRounds { rounds: 4096 };
        Jump { statement: text("break") };
        RotationForm;
        Declaration;
        ComputedIndex { name: text("sums"), index: text("i + j") };
        IndexOutOfRange { name: text("sums"), size: 4, index: 4 };
        NameClash { name: text("sums_0") };
    });
    let params = examples!(ParamMistake {
        Missing;
        Unknown;
        Twice;
        Words { claimed: 2, found: 4 };
        Kind { claimed: Kind::Float, found: Kind::Integer };
        Code { code: "MODE_SUM", claimed: 2, found: None };
        TooLarge;
    });
    let errors = examples!(EmitError {
        Unsupported { kernel: Kernel::Copy, function: text("Erf"), dtype: Dtype::Bool };
        Expression { kernel: Kernel::Copy, hook: Hook::None, reason: "it takes none" };
        Unroll { kernel: Kernel::Copy, mistake: unrolled() };
        Wgsl { kernel: Kernel::Copy, place: Place { file: "copy", line: 1 }, message: text("error: unknown identifier") };
        Claim { kernel: Kernel::Copy, what: "workgroup size", claimed: text("[64, 1, 1]"), found: text("[32, 1, 1]") };
    });
    let assembling = examples!(AssembleError {
        Params { node: node(), mistake: unnamed() };
        MemoryOverflow;
    });
    unrolling + &params + &errors + &assembling
}

fn searching() -> String {
    let stages = examples!(StageError {
        Lower(LowerError::PanelTooLarge { node: node(), pages: 100, limit: 64 });
        LoweringInvalid(vec![lower::verify::Violation::StatePlace { state: 0 }, lower::verify::Violation::Unknown { tensor: 7 }]);
        Schedule(ScheduleError::Problem(ProblemError::UnusedPage { page: 5 }));
        ScheduleInvalid(vec![schedule::verify::Violation::Missing { what: "pages are never loaded", count: 3 }]);
        Emit(EmitError::Unroll { kernel: Kernel::Copy, mistake: unrolled() });
        Assemble(AssembleError::Params { node: node(), mistake: unnamed() });
    });
    let budgets = examples!(BudgetError {
        TooSmall { budget_bytes: 1_000_000, smallest_bytes: 2_000_000 };
        Layers { profile: text("desktop"), needed: 12, available: 8 };
        KeepAll { needed_bytes: 2_000_000, budget_bytes: 1_000_000 };
        Stage(StageError::Assemble(AssembleError::MemoryOverflow));
    });
    let precision = examples!(PrecisionError {
        TooFewBytes { limit_bytes: 1_000_000, smallest_bytes: 2_000_000 };
        OtherWeights;
        Lower(LowerError::PanelTooLarge { node: node(), pages: 100, limit: 64 });
    });
    let solving = examples!(SolveError {
        Optimize(OptimizeError::Shape { node: node(), error: unfit() });
        Malformed { stage: "import", violations: vec![graph::verify::Violation::Cycle { node: node() }] };
        Precision(PrecisionError::OtherWeights);
        Budget(BudgetError::TooSmall { budget_bytes: 1_000_000, smallest_bytes: 2_000_000 });
        Siblings;
    });
    stages + &budgets + &precision + &solving
}

fn devices() -> String {
    let origin = || text("phone.toml");
    examples!(ProfileError {
        Unknown { name: text("toaster") };
        Read { path: "phone.toml".into(), source: ErrorKind::PermissionDenied.into() };
        Parse { origin: origin(), source: toml::from_str::<u32>("=").expect_err("it is no TOML") };
        Range { origin: origin(), field: "disk_bytes_per_second", value: 0.0, range: "above 0" };
        Name { origin: origin() };
        Curve { origin: origin(), field: "capacity.elemental", index: 1, point: [5.0, -1.0] };
    })
}

fn bundles() -> String {
    let invalid = || Violations { list: vec![PlanViolation::MemoryOverflow], omitted: 0 };
    let not_replayable = Violations { list: vec![ReplayViolation::SlotNeverUsed { slot: SlotId(3) }], omitted: 0 };
    let overflow = || PackError::F16Overflow { weight: text("weight"), element: 12, value: 1e6 };
    let pack = examples!(PackError {
        F16Overflow { weight: text("weight"), element: 12, value: 1e6 };
    });
    let written = examples!(BundleError {
        Pack(overflow());
        Write(WriteError::PagesMissing { written: 3, page_count: 4 });
    });
    let golden = examples!(GoldenError {
        Reference(ImportError::Flawed(vec![Flaw::OutputNeverMade { value: text("y") }]));
        NotFinite { output: text("logits") };
    });
    let compiled = examples!(CompileError {
        Import(ImportError::Flawed(vec![Flaw::OutputNeverMade { value: text("y") }]));
        Solve(SolveError::Precision(PrecisionError::OtherWeights));
        Invalid(invalid());
        Replay(not_replayable);
        Limit { profile: text("desktop"), exceeded: ExceededLimit { limit: "max_buffer_size", needed: 8192, available: 4096 } };
        Golden(GoldenError::NotFinite { output: text("logits") });
        Bundle(BundleError::Pack(overflow()));
        Output(FileError::Directory { path: "bundles/".into() });
    });
    let read = || FormatError::Read { offset_bytes: 64, length_bytes: 128, source: ErrorKind::UnexpectedEof.into() };
    let network = || text("unet");
    let linked = examples!(LinkError {
        Open { path: "unet.fmplan".into(), source: ErrorKind::NotFound.into() };
        Read { path: "unet.fmplan".into(), source: read() };
        PageSizes { sizes: vec![(network(), 1 << 20), (text("vae"), 1 << 22)] };
        TooSmall { budget_bytes: 1_000_000, smallest_bytes: 2_000_000 };
        Layers { needed: 12, available: 8 };
        Schedule { network: network(), source: ScheduleError::Infeasible { smallest_slots: 4, slot_cap: 3 } };
        ScheduleInvalid {
            network: network(), violations: vec![schedule::verify::Violation::Missing { what: "pages are never loaded", count: 3 }]
        };
        UnknownPort { network: network(), kind: "output", name: text("latent"), available: vec![text("noise"), text("time")] };
        Unconnectable { from: text("unet.noise"), to: text("vae.latent"), source: Unconnectable::ReadByHost };
        ConnectedTwice { from: text("unet.noise"), to: text("vae.latent") };
        MemoryOverflow;
        Write(WriteError::PageBytes { page: PageId(3), found_bytes: 100, expected_bytes: 65_536 });
    });
    let entries = examples!(EntriesError {
        Compile { entry: text("short"), source: Box::new(CompileError::Invalid(invalid())) };
        Read { entry: text("short"), source: ErrorKind::UnexpectedEof.into() };
        Bundle { entry: text("short"), source: read() };
        Link(LinkError::MemoryOverflow);
    });
    [pack, written, golden, compiled, linked, entries].concat()
}

#[test]
fn messages_are_as_committed() {
    let places = format!("ParamError\n    {}\nUnrollError\n    {}\n", chain(&unnamed()), chain(&unrolled()));
    let stages = [graphs(), lowering(), scheduling(), kernels(), places, searching(), devices(), bundles()];
    blessed::check("errors.txt", &stages.concat());
}
