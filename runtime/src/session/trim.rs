//! Gives the device's memory back between runs, and takes it again.
//!
//! What goes: arena, staging, activations, constants, parameters, input staging, read-back and all bind groups. What stays:
//! the device, pipelines, readers with their buffers, and the plan. Constants and parameters are read from the bundle again,
//! which must not have changed meanwhile.

use super::pipelines::bind_groups;
use super::resources::{HostBuffers, Staging};
use super::{Held, Session, host_bytes};
use crate::error::Error;
use crate::ledger::plan_bytes;
use crate::patience::Patience;
use crate::watch::watched;
use flashmem_plan_format::Bundle;

impl Session {
    /// Gives back all device memory that the session holds, until the next run, which allocates it again and reads
    /// everything that it needs. Pipelines stay. Between the two, [`Session::stats`] shows what is left.
    ///
    /// # Errors
    /// A session that is lost, or that cannot end what an earlier run left at work.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn trim(&mut self) -> Result<(), Error> {
        pollster::block_on(self.trim_in(true))
    }

    /// As a blocking trim, where blocking is not allowed.
    ///
    /// # Errors
    /// As for a blocking trim.
    pub async fn trim_async(&mut self) -> Result<(), Error> {
        self.trim_in(false).await
    }

    async fn trim_in(&mut self, may_block: bool) -> Result<(), Error> {
        let patience = Patience::new(self.parts.options.timeout, may_block, None);
        self.check_lost()?;
        self.settle(&patience).await?;
        self.let_go();
        // The device frees what it no longer uses when it is looked at.
        self.parts.gpu.wait_until_idle("giving memory back", &patience).await?;
        self.ledger.sample(&self.parts.gpu.device, host_bytes(&self.parts));
        Ok(())
    }

    /// Drops everything that a run needs on the device.
    fn let_go(&mut self) {
        self.parts.held = None;
        self.buffers = HostBuffers::default();
        self.ledger.release_all();
        self.repeats = false;
    }

    /// Allocates again what [`Session::trim`] gave back.
    pub(super) async fn take_again(&mut self, patience: &Patience) -> Result<(), Error> {
        if self.parts.held.is_some() {
            return Ok(());
        }
        let taken = self.allocate_again(patience).await;
        if let Err(error) = &taken {
            self.let_go();
            self.lost = error.loses_session().then(|| error.to_string());
        }
        taken
    }

    async fn allocate_again(&mut self, patience: &Patience) -> Result<(), Error> {
        // What a call that was dropped half-way may have noted.
        self.ledger.release_all();
        let Self { parts, buffers, ledger, .. } = self;
        let during = "opening the bundle again";
        let fresh = watched(&parts.source, patience, during, Bundle::open_without_golden).await??;
        if fresh.hash != parts.bundle.hash {
            return Err(Error::BundleChanged);
        }
        let (gpu, plan) = (&parts.gpu, &parts.bundle.plan);
        let mut staging = Staging::allocate(gpu, plan, fresh.plan.params.len(), &fresh.constants, ledger).await?;
        staging.upload(gpu, &fresh.plan.params, &fresh.constants, patience).await?;
        let fresh_bytes = plan_bytes(&fresh.plan) + fresh.constants.len() as u64;
        ledger.sample(&gpu.device, host_bytes(parts) + fresh_bytes);
        // Its memory must not add to that of the large resources.
        drop(fresh);
        let (resources, host_buffers) = staging.complete(gpu, plan, ledger).await?;
        ledger.check(&plan.memory)?;
        let bind_groups = bind_groups(gpu, parts.pipelines.layouts(), plan, &resources).await?;
        ledger.sample(&gpu.device, host_bytes(parts));
        *buffers = host_buffers;
        parts.held = Some(Held { resources, bind_groups });
        Ok(())
    }
}
