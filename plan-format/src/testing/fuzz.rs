//! Bodies of the fuzz targets: what has to hold for any bytes at all.
//!
//! Each takes the bytes that a fuzzer made and panics where a promise is broken. `fuzz/` runs them with coverage; ordinary
//! tests run them over their seeds and seeded mutations. A bundle is given as its sections rather than as a file, so
//! that layout and hashes are right and a change reaches the checks behind them.

use crate::codec;
use crate::container::{BundleError, OpenedBundle, SectionKind};
use crate::linked::{Linked, StoredPlan};
use crate::npy;
use crate::plan::{ElementType, MemoryDeclaration, Plan, RowGather, RowTable};
use crate::replay::replay;
use crate::row_indices::IndexSource;
use crate::source::MemorySource;
use crate::testing::device::{run, tables};
use crate::testing::linked::linked_bundle;
use crate::testing::{
    bundle_of, computed_plan, constants, declare, forge, golden, repeating_plan, small_bundle, small_plan,
};
use crate::validate::validate;

/// Largest file that is made of given sections.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most pages, slots, staging buffers and commands of plans that are followed.
const MAX_SIMULATED: u32 = 4096;
/// Runs on the simulated device: the first, and two that may start with what was left.
const RUNS: u32 = 3;
/// The sections that an input of [`bundle`] gives, in order; rows and pages are zeros.
const GIVEN: [SectionKind; 5] =
    [SectionKind::Plan, SectionKind::Kernels, SectionKind::Constants, SectionKind::PageChecksums, SectionKind::Golden];

/// A bundle whose hashes are right: opening it gives a bundle or an error, and so does reading it all.
///
/// An input that starts with 0 is a file, whose hashes are made right. Any other is five sections, each behind its length
/// (u32).
pub fn bundle(input: &[u8]) {
    let Some((form, rest)) = input.split_first() else { return };
    let file = if *form == 0 {
        let mut file = rest.to_vec();
        forge::rehash_all(&mut file);
        file
    } else {
        let Some(file) = assembled(rest) else { return };
        file
    };
    let source = MemorySource::from(file);
    let Ok(OpenedBundle { mut bundle, networks, .. }) = OpenedBundle::open(&source) else { return };
    if networks.is_empty() {
        check_accepted(&bundle.plan);
        bundle.golden = bundle.read_golden(&source).ok().flatten();
    }
    // Either verdict is right: checksums are the input's, and pages that are zeros may not fit them.
    let _: Result<(), BundleError> = bundle.verify_contents(&source, &mut |_, _| {});
}

/// The file of five given sections; `None` when they are cut off or imply a large file.
fn assembled(input: &[u8]) -> Option<Vec<u8>> {
    let mut rest = input;
    let mut sections: Vec<(SectionKind, Vec<u8>)> = Vec::with_capacity(GIVEN.len() + 2);
    for kind in GIVEN {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (section, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        sections.push((kind, section.to_vec()));
        rest = after;
    }
    let plan: Option<StoredPlan> = codec::decode(&sections[0].1).ok();
    let implied = |one: fn(&Plan) -> Option<u64>, several: fn(&Linked) -> Option<u64>| {
        let bytes = match &plan {
            None => None,
            Some(StoredPlan::One(plan)) => one(plan),
            Some(StoredPlan::Several(linked)) => several(linked),
        };
        vec![0; bytes.filter(|bytes| *bytes <= MAX_FILE_BYTES).unwrap_or(0) as usize]
    };
    sections.push((SectionKind::Rows, implied(Plan::rows_bytes, Linked::rows_bytes)));
    sections.push((SectionKind::Pages, implied(Plan::pages_bytes, Linked::pages_bytes)));
    Some(forge::assemble(&sections))
}

/// A plan: encoding is the inverse of decoding, checking it ends with a verdict, and a simulated device runs what is
/// accepted without harm.
///
/// The input is an encoded plan behind two bytes: whether requirements and memory are made to fit, and the size of the
/// constants buffer in words.
pub fn plan(input: &[u8]) {
    let Some(([declared, constant_words], encoded)) = input.split_first_chunk::<2>() else { return };
    let Ok(mut plan) = codec::decode::<Plan>(encoded) else { return };
    assert_eq!(codec::encode(&plan).ok().as_deref(), Some(encoded), "a plan has one encoding");
    // What the format's limits allow takes long to follow and says nothing new.
    if plan.page_count.max(plan.slot_count) > MAX_SIMULATED {
        return;
    }
    let constant_bytes = u64::from(*constant_words) * 4;
    if *declared != 0 && MemoryDeclaration::of(&plan, constant_bytes).is_some() {
        declare(&mut plan, constant_bytes);
    }
    let valid = validate(&plan, constant_bytes);
    let replayed = replay(&plan);
    for found in [valid.as_ref().err().map(ToString::to_string), replayed.as_ref().err().map(ToString::to_string)] {
        assert!(found.is_none_or(|text| !text.is_empty()), "every violation is described");
    }
    if valid.is_ok() && replayed.is_ok() {
        check_accepted(&plan);
    }
}

/// An array file: it gives an array whose bytes fill its shape, or an error, and holds no more than it is asked for.
pub fn npy(input: &[u8]) {
    const MOST: u64 = 1 << 16;
    let Ok(array) = npy::read(input, MOST) else { return };
    let elements: u64 = array.shape.iter().product();
    assert!(elements <= MOST && elements * array.element.api_bytes() == array.bytes.len() as u64, "{:?}", array.shape);
    let again = npy::read(npy::encode(array.element, &array.shape, &array.bytes).as_slice(), MOST);
    assert_eq!(again.ok(), Some(array), "what is written is read again");
}

/// Seeds of [`npy()`].
pub fn npy_seeds() -> Vec<Vec<u8>> {
    let fortran =
        b"\x93NUMPY\x01\x00\x3d\x00{'descr': '<i4', 'fortran_order': True, 'shape': (2, 2), }  \n0123456789abcdef";
    let written = [ElementType::F32, ElementType::I64, ElementType::Bool];
    let written = written.map(|element| npy::encode(element, &[2, 3], &vec![1; 6 * element.api_bytes() as usize]));
    written.into_iter().chain([fortran.to_vec()]).collect()
}

/// Checks that a plan which passed all checks runs without harm, and that its dispatches read their own pages.
fn check_accepted(plan: &Plan) {
    assert!(plan.row_tables.iter().map(RowTable::table_bytes).all(|bytes| bytes.is_some()), "row tables fit a file");
    plan.row_gathers.iter().for_each(check_indices);
    let commands = plan.commands.len() + plan.repeat_commands.len();
    if plan.slot_count.max(plan.staging_pages) > MAX_SIMULATED || commands > MAX_SIMULATED as usize {
        return;
    }
    let runs = run(plan, &tables(plan), plan.page_count, RUNS).expect("an accepted plan does no harm");
    for (index, read) in runs.iter().flatten() {
        let dispatch = &plan.dispatches[*index as usize];
        let own = dispatch.weights.iter().flat_map(|weights| weights.first_page.0..);
        let expected: Vec<Option<u32>> = own.take(read.len()).map(Some).collect();
        assert_eq!(*read, expected, "dispatch {index} of an accepted plan reads its pages");
    }
}

/// Computes the first indices of an accepted gather: its operands stay inside their tensors, and every word has a result.
fn check_indices(gather: &RowGather) {
    const MOST: usize = 1024;
    let indices = &gather.indices;
    let mut places: Vec<_> = indices.operands.iter().map(|operand| operand.walk.positions()).collect();
    let mut results = Vec::new();
    for _ in 0..indices.count().expect("counted when checked").min(MOST as u64) {
        let words: Vec<i32> = places
            .iter_mut()
            .zip(&indices.operands)
            .map(|(places, operand)| match (places.next().expect("all walks are as long"), &operand.source) {
                (position, IndexSource::Constant(values)) => values[position as usize],
                (position, IndexSource::Input(_)) => position as i32,
            })
            .collect();
        indices.evaluate(&words, &mut results);
    }
}

/// Seeds of [`bundle`].
pub fn bundle_seeds() -> Vec<Vec<u8>> {
    let others = [repeating_plan(), computed_plan()].map(|plan| bundle_of(&plan, Some(&golden())));
    let files: Vec<_> = [small_bundle()].into_iter().chain(others).collect();
    let linked = [&[0], linked_bundle().as_slice()].concat();
    let given = |file: &Vec<u8>| {
        let mut seed = vec![1];
        for kind in GIVEN {
            let range = forge::section_range(file, kind);
            seed.extend((range.len() as u32).to_le_bytes());
            seed.extend(&file[range]);
        }
        seed
    };
    let whole = |file: &Vec<u8>| [&[0], file.as_slice()].concat();
    files.iter().map(given).chain(files.iter().map(whole)).chain([linked]).collect()
}

/// Seeds of [`plan`].
pub fn plan_seeds() -> Vec<Vec<u8>> {
    let seed = |plan: Plan, declared: u8| {
        let encoded = codec::encode(&plan).expect("test plans can be encoded");
        [&[declared, (constants().len() / 4) as u8], encoded.as_slice()].concat()
    };
    let short = |mut plan: Plan| {
        // A source only has to be there.
        plan.pipelines.iter_mut().for_each(|pipeline| pipeline.source = "s".to_owned());
        declare(&mut plan, constants().len() as u64);
        plan
    };
    let plans = [small_plan(), repeating_plan(), computed_plan()].map(short);
    [seed(plans[0].clone(), 0)].into_iter().chain(plans.map(|plan| seed(plan, 1))).collect()
}
