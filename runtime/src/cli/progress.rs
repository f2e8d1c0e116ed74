//! A progress bar for runs that take longer than a second, on a terminal only.

use flashmem_runtime::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// A run that is not worth a bar ends before this.
const DELAY: Duration = Duration::from_secs(1);

/// The bar of one run; it is removed when the run is over.
pub struct RunProgress {
    started: Instant,
    bar: Option<ProgressBar>,
}

impl RunProgress {
    pub fn start() -> Self {
        Self { started: Instant::now(), bar: None }
    }

    /// Shows how far the run is, once it takes long enough. Nothing is drawn where standard error is no terminal.
    pub fn update(&mut self, done: Progress) {
        if self.started.elapsed() < DELAY {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} pages");
            let style = style.expect("the template is right");
            ProgressBar::new(done.pages_total.into()).with_style(style)
        });
        bar.set_position(done.pages_done.into());
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
