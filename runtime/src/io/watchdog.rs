//! Work that reads, on a thread of its own, so that a read which never ends can be given up.
//!
//! Only reads are timed: work between them takes what it takes. Work that was given up keeps what it owns until its read
//! ends. Where there are no threads the work is done in place, and cannot be given up.

use super::fetch::fetching;
use super::metered::MeteredSource;
use crate::api::Error;
use crate::time::Wait;
use flashmem_plan_format::source::ReadAt;
use std::sync::Arc;

/// Does `work` on a source whose reads are watched, or fetched where they are not blocking; then it may be repeated.
///
/// # Errors
/// [`Error::ReadTimeout`] when one read takes longer than is allowed.
pub(crate) async fn watched<T: Send + 'static>(
    source: &Arc<MeteredSource>,
    wait: &Wait,
    during: &str,
    work: impl Fn(&dyn ReadAt) -> T + Send + 'static,
) -> Result<T, Error> {
    if source.is_fetched() {
        return fetching(source, wait, during, work).await;
    }
    #[cfg(not(target_arch = "wasm32"))]
    return threads::watched(source, wait, during, work).await;
    #[cfg(target_arch = "wasm32")]
    {
        let _ = (wait, during);
        Ok(work(source))
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod threads {
    use crate::api::Error;
    use crate::io::metered::MeteredSource;
    use crate::lock::lock;
    use crate::time::Wait;
    use flashmem_plan_format::source::ReadAt;
    use std::io;
    use std::ops::Range;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    /// Does `work` on another thread, and gives it up when one read takes too long.
    pub(super) async fn watched<T: Send + 'static>(
        source: &Arc<MeteredSource>,
        wait: &Wait,
        during: &str,
        work: impl Fn(&dyn ReadAt) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let watched = Arc::new(WatchedSource { inner: Arc::clone(source), current: Mutex::new(None) });
        let (sender, receiver) = channel();
        let shared = Arc::clone(&watched);
        let thread = std::thread::Builder::new().name("flashmem-opener".to_owned());
        // The receiver is gone when the work was given up.
        let spawned = thread.spawn(move || drop(sender.send(work(&*shared))));
        spawned.map_err(|source| Error::Threads { source })?;
        let mut sleep = Duration::ZERO;
        loop {
            if let Some(done) = receive(&receiver, wait.piece(sleep), during)? {
                return Ok(done);
            }
            wait.check(during)?;
            sleep = watched.left(wait.timeout, during)?;
            wait.pause().await;
        }
    }

    fn receive<T>(receiver: &Receiver<T>, sleep: Duration, during: &str) -> Result<Option<T>, Error> {
        match receiver.recv_timeout(sleep) {
            Ok(done) => Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            // The work cannot end without a result but by a panic of the app's own source.
            Err(RecvTimeoutError::Disconnected) => Err(Error::SourcePanic { during: during.to_owned() }),
        }
    }

    struct WatchedSource {
        inner: Arc<MeteredSource>,
        /// Offset of the read in progress, and when it started.
        current: Mutex<Option<(u64, Instant)>>,
    }

    impl WatchedSource {
        /// How long the read in progress may still take.
        fn left(&self, timeout: Duration, during: &str) -> Result<Duration, Error> {
            let Some((offset_bytes, started)) = *lock(&self.current) else {
                return Ok(timeout);
            };
            let left = timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
            left.ok_or_else(|| Error::ReadTimeout { during: during.to_owned(), offset_bytes, waited: timeout })
        }
    }

    impl ReadAt for WatchedSource {
        fn size_bytes(&self) -> u64 {
            self.inner.size_bytes()
        }

        fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
            *lock(&self.current) = Some((offset_bytes, Instant::now()));
            let result = self.inner.read_at(offset_bytes, buffer);
            *lock(&self.current) = None;
            result
        }

        fn will_read(&self, range: Range<u64>) {
            self.inner.will_read(range);
        }

        fn was_read(&self, range: Range<u64>) {
            self.inner.was_read(range);
        }
    }
}
