//! What opening made, for the replay to use: the device's resources and pipelines, and the ways that pages and rows come in.
//!
//! [`Loaded`] is what commands need, [`Input`] what reading needs; a run changes neither, but for the buffers that the host maps
//! ([`HostBuffers`]). `resources.rs` allocates, `networks.rs` has what
//! networks that take turns have of their own, `pipelines.rs` creates pipelines and bind groups, `pipeline_cache.rs` keeps what
//! drivers learned. Nothing here decides when anything is used.

mod commands;
mod networks;
#[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "a browser keeps its own cache"))]
pub(crate) mod pipeline_cache;
mod pipelines;
mod resources;

pub(crate) use commands::{CommandList, loads};
pub(crate) use networks::Networks;
pub(crate) use pipelines::{KnownPipelines, Layouts, Pipelines, bind_groups};
pub(crate) use resources::{
    HeldRows, HostBuffers, NO_ROW, ReadBuffer, Resources, Staging, WriteBuffer, WriteState, start_reading,
    temporary_buffer,
};

use crate::device::Gpu;
use crate::io::MeteredSource;
use crate::pages::PageSource;
use crate::time::Timeline;
use crate::trace::Trace;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{PageId, Plan};
use std::sync::Arc;
use wgpu::BindGroup;

/// What commands need.
///
/// Fields are dropped in order: first what has threads, then what these use.
pub(crate) struct Loaded {
    pub(crate) pipelines: Pipelines,
    /// `None` after a trim.
    pub(crate) device_state: Option<DeviceState>,
    pub(crate) gpu: Gpu,
    /// The network that runs, or ran last. Without constants, parameters and kernel sources, which the device has, and without
    /// checksums, which the pages' source has.
    pub(crate) bundle: Arc<Bundle>,
    /// What memory was allocated for: the same bundle, or what several networks share.
    pub(crate) whole: Arc<Bundle>,
    /// Several networks, and what the arena holds of them.
    pub(crate) networks: Networks,
    /// Pages of a first run in order of loading.
    pub(crate) loads: Arc<[PageId]>,
    /// Pages of a later run in order of loading.
    pub(crate) repeat_loads: Arc<[PageId]>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) trace: Option<Arc<Trace>>,
}

/// What reading needs: pages, and rows that inputs select.
///
/// Fields are dropped in order: first what has threads, then what these use.
pub(crate) struct Input {
    pub(crate) pages: PageSource,
    pub(crate) source: Arc<MeteredSource>,
    /// The same as that of [`Loaded`].
    pub(crate) bundle: Arc<Bundle>,
    /// Rows that are on their way together, where the source answers later.
    pub(crate) rows_at_a_time: u32,
}

/// What a session can give back between runs.
pub(crate) struct DeviceState {
    /// By network and dispatch.
    pub(crate) bind_groups: Vec<Vec<BindGroup>>,
    pub(crate) resources: Resources,
}

impl Loaded {
    /// The bind group of a dispatch of the network that runs.
    pub(crate) fn bind_group(&self, dispatch: u32) -> &BindGroup {
        &self.device_state().bind_groups[self.networks.current()][dispatch as usize]
    }

    /// What dispatches and copies use.
    pub(crate) fn device_state(&self) -> &DeviceState {
        self.device_state.as_ref().expect("every run takes again what was given back")
    }

    /// Makes one of several networks the one that runs.
    pub(crate) fn select(&mut self, position: usize) {
        self.bundle = self.networks.select(position);
    }

    /// The plans that runs follow: that of the only network, or of each of several.
    pub(crate) fn plans(&self) -> Vec<&Plan> {
        plans(&self.whole, &self.networks)
    }

    /// The commands of a run that finds the arena as a completed run leaves it, or of one that does not.
    pub(crate) fn commands(&self, repeats: bool) -> CommandList<'_> {
        let plan = &self.bundle.plan;
        if repeats && !plan.repeat_commands.is_empty() {
            CommandList { commands: &plan.repeat_commands, loads: &self.repeat_loads }
        } else {
            CommandList { commands: &plan.commands, loads: &self.loads }
        }
    }
}

/// The plans that runs follow: that of the only network, or of each of several.
pub(crate) fn plans<'a>(whole: &'a Bundle, networks: &'a Networks) -> Vec<&'a Plan> {
    if networks.list.is_empty() {
        return vec![&whole.plan];
    }
    networks.list.iter().map(|network| &network.bundle.plan).collect()
}
