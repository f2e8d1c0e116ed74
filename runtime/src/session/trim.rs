//! Returns the device's memory back between runs, and takes it again.
//!
//! What goes: arena, staging, activations, constants, parameters, input staging, read-back and all bind groups. What stays:
//! the device, what lives from run to run, pipelines, readers with their buffers, and the plan.
//! Constants and parameters are read from the bundle again,
//! which must not have changed meanwhile.

use super::opening::bind_all;
use super::run::{Condition, Session, declared_peak_bytes, host_bytes};
use crate::api::Error;
use crate::device::{Kind, plan_bytes};
use crate::io::watched;
use crate::loaded::{DeviceState, HeldRows, HostBuffers, Staging};
use crate::time::Wait;
use flashmem_plan_format::OpenedBundle;

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
        let wait = Wait::new(self.options.timeout, may_block, None);
        self.check_lost()?;
        if self.condition != Condition::Trimmed {
            // Noted first: who drops this future half-way has taken buffers from the readers.
            self.condition = Condition::Unsettled;
            self.settle(&wait).await?;
            self.let_go();
        }
        // The device frees what it no longer uses when it is looked at.
        self.loaded.gpu.wait_until_idle("giving memory back", &wait).await?;
        self.ledger.sample(&self.loaded.gpu.device, host_bytes(&self.loaded, &self.input));
        self.give_back_reserved()
    }

    /// Keeps of a shared budget what a trimmed session holds: states and host memory.
    fn give_back_reserved(&self) -> Result<(), Error> {
        let Some(reservation) = &self.reservation else { return Ok(()) };
        let memory = self.loaded.whole.plan.memory;
        reservation.resize(memory.host_bytes + memory.state_bytes)
    }

    /// Drops everything that a run needs on the device.
    fn let_go(&mut self) {
        let kept = self.loaded.device_state.take().and_then(|device| device.resources.states);
        self.states = kept.or(self.states.take());
        self.buffers = HostBuffers::default();
        self.ledger.release_all();
        if let Some(states) = &self.states {
            self.ledger.record(Kind::States, states.size());
        }
        self.condition = Condition::Trimmed;
    }

    /// Allocates again what [`Session::trim`] gave back.
    pub(super) async fn take_again(&mut self, wait: &Wait) -> Result<(), Error> {
        if let Some(reservation) = &self.reservation {
            reservation.resize(declared_peak_bytes(&self.loaded.whole))?;
        }
        let taken = self.allocate_again(wait).await;
        match &taken {
            Ok(()) => self.condition = Condition::Settled { repeats: false },
            Err(error) => {
                self.let_go();
                // Less than before always fits.
                let _ = self.give_back_reserved();
                if error.loses_session() {
                    self.lose(error);
                }
            }
        }
        taken
    }

    async fn allocate_again(&mut self, wait: &Wait) -> Result<(), Error> {
        if self.reservation.is_some() {
            self.loaded.gpu.wait_until_idle("freeing what other sessions held", wait).await?;
        }
        // What a call that was dropped half-way may have noted.
        self.ledger.release_all();
        let Self { loaded, input, buffers, ledger, states, .. } = self;
        let during = "opening the bundle again";
        let OpenedBundle { bundle: fresh, networks, .. } =
            watched(&input.source, wait, during, OpenedBundle::open).await??;
        if fresh.hash != loaded.whole.hash {
            return Err(Error::BundleChanged);
        }
        let (gpu, plan, plans) = (&loaded.gpu, &loaded.whole.plan, loaded.plans());
        let (for_plans, state_bytes) = ((plan, plans.as_slice()), loaded.networks.state_buffer_bytes(plan));
        let mut staging = Staging::allocate(gpu, for_plans, fresh.plan.params.len(), &fresh.constants, ledger).await?;
        staging.upload(gpu, &fresh.plan.params, &fresh.constants, wait).await?;
        let of_networks: u64 = networks.iter().map(|network| plan_bytes(&network.bundle.plan)).sum();
        let fresh_bytes = plan_bytes(&fresh.plan) + of_networks + fresh.constants.len() as u64;
        ledger.sample(&gpu.device, host_bytes(loaded, input) + fresh_bytes);
        // Its memory must not add to that of the large resources.
        drop((fresh, networks));
        let (resources, host_buffers) = staging.complete(gpu, for_plans, (states.clone(), state_bytes), ledger).await?;
        ledger.check(&plan.memory)?;
        let bind_groups = bind_all(gpu, loaded.pipelines.layouts(), for_plans, &resources).await?;
        ledger.sample(&gpu.device, host_bytes(loaded, input));
        *buffers = HostBuffers { rows: HeldRows::none(&loaded.bundle.plan), ..host_buffers };
        loaded.device_state = Some(DeviceState { resources, bind_groups });
        Ok(())
    }
}
