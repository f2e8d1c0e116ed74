//! How sources that answer later are read by code that knows only blocking sources.
//!
//! Pages are fetched ahead of the replay (`pages/ahead.rs`). Everything else (heads, constants, rows) is read by code that
//! knows only blocking sources: it is run on what was fetched so far, and again with every range that it misses.

use super::metered::MeteredSource;
use crate::api::Error;
use crate::lock::lock;
use crate::time::Wait;
use flashmem_plan_format::source::ReadAt;
use std::io;
use std::sync::Mutex;
use std::task::Poll;

/// Does `work` on a source whose bytes are fetched. It is repeated until it misses nothing.
pub(crate) async fn fetching<T>(
    source: &MeteredSource,
    wait: &Wait,
    during: &str,
    work: impl Fn(&dyn ReadAt) -> T,
) -> Result<T, Error> {
    fetching_first(source, wait, during, (Vec::new(), 1), work).await
}

/// As [`fetching`], with ranges (start and length) that are known to be needed, and how many of them are on their way
/// together.
pub(crate) async fn fetching_first<T>(
    source: &MeteredSource,
    wait: &Wait,
    during: &str,
    (needed, at_a_time): (Vec<(u64, usize)>, u32),
    work: impl Fn(&dyn ReadAt) -> T,
) -> Result<T, Error> {
    let late = |offset_bytes| Error::ReadTimeout { during: during.to_owned(), offset_bytes, waited: wait.timeout };
    let first_bytes = needed.first().map_or(0, |(offset_bytes, _)| *offset_bytes);
    let ranges = wait.limited(during, fetch_all(source, needed, at_a_time), || late(first_bytes)).await?;
    let known = Known { size_bytes: source.size_bytes(), ranges: Mutex::new(ranges), missed: Mutex::default() };
    loop {
        let result = work(&known);
        let Some(missed) = lock(&known.missed).take() else {
            return Ok(result);
        };
        let range = (missed.0, missed.1.max(known.small_bytes(missed.0)));
        let range = wait.limited(during, fetch_one(source, range), || late(missed.0)).await?;
        lock(&known.ranges).push(range);
    }
}

/// A range: its start, and its bytes or why there are none.
type Fetched = (u64, io::Result<Vec<u8>>);

async fn fetch_one(source: &MeteredSource, (offset_bytes, length): (u64, usize)) -> Fetched {
    let mut bytes = vec![0; length];
    let read = source.fetch(offset_bytes, &mut bytes).await;
    (offset_bytes, read.map(|()| bytes))
}

async fn fetch_all(source: &MeteredSource, needed: Vec<(u64, usize)>, at_a_time: u32) -> Vec<Fetched> {
    let mut waiting = needed.into_iter().map(|range| Box::pin(fetch_one(source, range)));
    let (mut active, mut fetched) = (Vec::new(), Vec::new());
    std::future::poll_fn(|context| {
        loop {
            let free = (at_a_time.max(1) as usize).saturating_sub(active.len());
            active.extend(waiting.by_ref().take(free));
            let before = active.len();
            active.retain_mut(|fetching| match fetching.as_mut().poll(context) {
                Poll::Ready(range) => {
                    fetched.push(range);
                    false
                }
                Poll::Pending => true,
            });
            if active.is_empty() && before == 0 {
                return Poll::Ready(());
            }
            if active.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    fetched
}

/// Least that is fetched at a time of what was not known to be needed: what opening reads stands together at the start of a
/// bundle, so that more of it comes with the same request. It is no more than readers' buffers, which come later.
const MIN_BYTES: u64 = 64 * 1024;

/// What was fetched so far.
struct Known {
    size_bytes: u64,
    ranges: Mutex<Vec<Fetched>>,
    /// Start and length of the first read that found nothing.
    missed: Mutex<Option<(u64, usize)>>,
}

impl Known {
    /// The least that is fetched from `offset_bytes` on.
    fn small_bytes(&self, offset_bytes: u64) -> usize {
        self.size_bytes.saturating_sub(offset_bytes).min(MIN_BYTES) as usize
    }
}

impl ReadAt for Known {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (start_bytes, range) in &mut *lock(&self.ranges) {
            match (range, offset_bytes.checked_sub(*start_bytes)) {
                (Ok(bytes), Some(skipped)) => {
                    let found =
                        usize::try_from(skipped).ok().and_then(|skipped| bytes.get(skipped..)?.get(..buffer.len()));
                    if let Some(found) = found {
                        buffer.copy_from_slice(found);
                        return Ok(());
                    }
                }
                // The failure itself, once; the work ends with it.
                (Err(error), Some(0)) => return Err(std::mem::replace(error, io::ErrorKind::Other.into())),
                (Ok(_) | Err(_), _) => {}
            }
        }
        *lock(&self.missed) = Some((offset_bytes, buffer.len()));
        Err(io::ErrorKind::WouldBlock.into())
    }
}
