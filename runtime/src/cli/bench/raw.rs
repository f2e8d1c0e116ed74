//! The raw rate of a file: the bytes that a plan reads, read in large pieces by some threads, and thrown away.

use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{Command, PageId};
use flashmem_plan_format::source::{FileSource, ReadAt as _};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Threads that are tried.
pub(super) const THREADS: [u32; 4] = [1, 2, 4, 8];

/// Bytes of one read.
const REQUEST_BYTES: u64 = 1 << 20;

/// What a first run reads: the ranges of its pages, joined where they touch.
pub(super) fn plan_ranges(path: &Path) -> anyhow::Result<Vec<Range<u64>>> {
    let bundle = Bundle::open_without_golden(&FileSource::open(path)?)?;
    let page_bytes = bundle.plan.page.page_bytes();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for page in bundle.plan.commands.iter().filter_map(loaded) {
        let start = bundle.page_offset_bytes(page);
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end += page_bytes,
            Some(_) | None => ranges.push(start..start + page_bytes),
        }
    }
    Ok(ranges)
}

const fn loaded(command: &Command) -> Option<PageId> {
    match command {
        Command::Load { page, .. } => Some(*page),
        Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
    }
}

/// Reads the ranges with some threads, each with its own opening of the file; returns the time in milliseconds.
pub(super) fn read(path: &Path, ranges: &[Range<u64>], threads: u32) -> io::Result<f64> {
    let requests: Vec<Range<u64>> = ranges.iter().cloned().flat_map(cut).collect();
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        let file = FileSource::open(path)?;
        let mut buffer = vec![0; REQUEST_BYTES as usize];
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            file.read_at(request.start, &mut buffer[..(request.end - request.start) as usize])?;
        }
        Ok(())
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        readers.into_iter().try_for_each(|reader| reader.join().expect("a reader does not panic"))
    })?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(REQUEST_BYTES as usize).map(move |start| start..end.min(start + REQUEST_BYTES))
}
