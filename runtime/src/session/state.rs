//! What lives from run to run: it is brought to its next value when a run has ended well, and can be set back.
//!
//! A state that dispatches change where it lies has its next value then already. Any other is copied now, so that a run that fails,
//! is cancelled or is dropped leaves it as it was. Nothing here is waited for: whatever comes next is behind it in the queue.
//! `state_values.rs` reads and sets them.

use super::run::Session;
use crate::api::{Error, PortInfo};
use flashmem_plan_format::plan::BufferSlice;
use wgpu::CommandEncoderDescriptor;

impl Session {
    /// What lives from run to run, in the device's memory: the name of the model's input, with type and shape.
    pub fn states(&self) -> Vec<PortInfo> {
        self.loaded.whole.plan.states.iter().map(PortInfo::of_state).collect()
    }

    /// Sets everything that lives from run to run back to zeros, as it was when the session was opened.
    ///
    /// # Errors
    /// A session or a device that is lost.
    pub fn reset_state(&mut self) -> Result<(), Error> {
        self.check_lost()?;
        let during = "setting states back";
        let Some((states, state_bytes)) = self.state_buffer() else { return Ok(()) };
        let gpu = &self.loaded.gpu;
        gpu.check(during)?;
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(during) });
        // Behind them lies what networks hand to each other, which is no state.
        encoder.clear_buffer(states, 0, Some(state_bytes));
        gpu.queue.submit([encoder.finish()]);
        gpu.check(during)
    }

    /// Brings every state to its next value, and outputs to where others find them (by position, with these places), after a run that
    /// has ended well.
    pub(super) fn commit(&self, handed: &[(usize, BufferSlice)]) -> Result<(), Error> {
        let during = "keeping what the next runs find";
        let (gpu, resources) = (&self.loaded.gpu, &self.loaded.device_state().resources);
        let plan = &self.loaded.bundle.plan;
        let replaced = || {
            let states = plan.states.iter().filter_map(|state| Some((state.slice, state.next?)));
            states.chain(handed.iter().filter_map(|(output, place)| Some((*place, plan.outputs[*output].slice?))))
        };
        if replaced().next().is_none() {
            return Ok(());
        }
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(during) });
        for (state, next) in replaced() {
            let (from, to) = (resources.buffer(next), resources.buffer(state));
            encoder.copy_buffer_to_buffer(from, next.offset_bytes, to, state.offset_bytes, state.size_bytes);
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check(during)
    }
}
