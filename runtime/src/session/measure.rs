//! What only measurements need: a device without a session, and a run without dispatches.

use super::run::Session;
use crate::api::Error;
use crate::device::{CooperativeBytes, Gpu, adapter};
use crate::replay;
use crate::time::Wait;
use flashmem_plan_format::plan::Requirements;

/// A device that holds nothing, to compare a session's memory and start with.
pub struct EmptyDevice {
    _gpu: Gpu,
}

impl EmptyDevice {
    /// Opens the device that a session would use.
    ///
    /// # Errors
    /// No adapter, or none of the requested name; a driver that gives no device.
    pub fn open(adapter: Option<&str>) -> Result<Self, Error> {
        let chosen = pollster::block_on(adapter::choose(adapter))?;
        let (requirements, features) = (Requirements::default(), wgpu::Features::empty());
        let gpu = pollster::block_on(adapter::open(chosen, &requirements, features, CooperativeBytes::default()))?;
        Ok(Self { _gpu: gpu })
    }
}

impl Session {
    /// Reads, checks and uploads every page of a first run, dispatches nothing, and waits until the device is done.
    /// The time of it is not among those of the runs; the next run finds the arena empty.
    ///
    /// # Errors
    /// As for a run, but for inputs.
    pub fn run_reads_only(&mut self) -> Result<(), Error> {
        pollster::block_on(self.reads_only())
    }

    async fn reads_only(&mut self) -> Result<(), Error> {
        let wait = Wait::blocking(self.options.timeout);
        self.check_lost()?;
        self.prepare(&wait).await?;
        let result = replay::run_reads_only(&self.loaded, &self.input, &mut self.buffers, &wait).await;
        self.conclude(result, &wait).await.map(drop)
    }
}
