//! A decoder that goes on and on: hundreds of steps in one process need no more memory than the first ones.
//!
//! What Rust holds is counted by the allocator, what drivers hold beside it is the process's resident memory. This is a process of its own,
//! with one test, so that nothing else allocates.

use flashmem_compiler::import::{ImportOptions, StateOptions};
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Session, Tensor};
use flashmem_tests::{compile_quietly, models, options, smallest_budget};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};

/// Counts what is held.
struct Counting;

static HELD_BYTES: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Tokens that the cache has room for.
const ROOM: u64 = 128;

/// Steps before memory is looked at first, and between looks. A text that is as long as its cache begins again.
const STEPS: [u64; 3] = [100, 200, 300];

/// What a step may add in the long run: its record, which is kept.
const BYTES_A_STEP: i64 = 64;

/// Resident memory of this process, where the system says it.
fn resident_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<i64>().ok()? * 4096)
}

#[test]
fn hundreds_of_steps_need_no_more_memory() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, bundle) = (models("decoders").join("llama-int4.onnx"), folder.path().join("a.fmplan"));
    let sizes =
        [("batch_size", 1), ("sequence_length", 1), ("past_sequence_length", ROOM), ("total_sequence_length", ROOM)];
    let mut options = options(Encoding::F32);
    options.import = ImportOptions {
        dims: sizes.map(|(name, size)| (name.to_owned(), size)).into(),
        states: StateOptions { recognised: true, pairs: Vec::new() },
        ..ImportOptions::default()
    };
    // Pages are read in every step.
    options.budget_bytes = Some(smallest_budget(&model, &bundle, &options)?);
    compile_quietly(&model, &bundle, &options)?;
    let mut session = Session::builder(&bundle).open()?;
    let (mut position, mut looks) = (0, Vec::new());
    for steps in STEPS {
        for _ in 0..steps {
            let mask: Vec<i64> = (0..ROOM).map(|i| i64::from(i <= position % ROOM)).collect();
            session.run(&[
                ("input_ids", Tensor::from_i64(&[1, 1], &[(position % 80) as i64])),
                ("attention_mask", Tensor::from_i64(&[1, ROOM], &mask)),
            ])?;
            position += 1;
        }
        let memory = session.stats().memory;
        assert!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
        looks.push((HELD_BYTES.load(Ordering::Relaxed), resident_bytes(), memory.measured_peak_bytes));
    }
    for (pair, steps) in looks.windows(2).zip(&STEPS[1..]) {
        let [(held, resident, peak), (held_later, resident_later, peak_later)] = [pair[0], pair[1]];
        assert!(held_later - held <= BYTES_A_STEP * *steps as i64, "{looks:?}");
        assert_eq!(peak, peak_later);
        if let Some((before, after)) = resident.zip(resident_later) {
            assert!(after - before <= 1 << 20, "{looks:?}");
        }
    }
    assert_eq!(session.stats().run_count, STEPS.iter().sum::<u64>());
    Ok(())
}
