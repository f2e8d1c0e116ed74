//! A device that several sessions share, with the pipelines that they have in common.
//!
//! A session opened on its own asks for just the limits that its plan needs. A context asks for all that the adapter has,
//! and every plan is checked against these. It deliberately holds no buffers: memory belongs to sessions.

use crate::api::Error;
use crate::device::{Gpu, adapter, limits_for};
use crate::loaded::KnownPipelines;
use flashmem_plan_format::plan::Requirements;
use std::sync::Arc;

/// An open device. Sessions on it may outlive it.
pub struct Context {
    gpu: Gpu,
    pipelines: Arc<KnownPipelines>,
}

impl Context {
    /// Opens the first adapter whose name contains `adapter` (in any case), or hardware before software.
    ///
    /// # Errors
    /// No such adapter, or one that gives no device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(adapter: Option<&str>) -> Result<Self, Error> {
        pollster::block_on(Self::open_async(adapter))
    }

    /// Opens a device where blocking is not allowed.
    ///
    /// # Errors
    /// As for blocking.
    pub async fn open_async(adapter: Option<&str>) -> Result<Self, Error> {
        let chosen = adapter::choose(adapter).await?;
        let gpu = adapter::open_whole(chosen).await?;
        Ok(Self { gpu, pipelines: Arc::default() })
    }

    /// Name of the adapter.
    pub fn adapter(&self) -> &str {
        &self.gpu.info.name
    }

    /// Number of different pipelines that were created.
    pub fn pipelines(&self) -> usize {
        self.pipelines.len()
    }

    /// The device, if it covers `requirements`.
    pub(crate) fn gpu_for(&self, requirements: &Requirements) -> Result<Gpu, Error> {
        limits_for(requirements, &self.gpu.info, &self.gpu.device.limits())?;
        Ok(self.gpu.clone())
    }

    pub(crate) fn known_pipelines(&self) -> Arc<KnownPipelines> {
        Arc::clone(&self.pipelines)
    }
}
