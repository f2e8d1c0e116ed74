//! What a linked bundle declares: memory and requirements of all its networks together.

use super::turn::Arena;
use super::types::Linked;
use crate::codec;
use crate::implied::{DECODED_PLAN_FACTOR, MAX_READBACK_BYTES, PAGE_CHECKSUM_BYTES};
use crate::implied::{Limit, READ_BUFFERS_BYTES, for_each_use};
use crate::plan::{ALLOCATION_GRANULE_BYTES, Command, MemoryDeclaration, Plan, Requirements, TEXTURE_GRANULE_BYTES};

/// Host bytes of a command of the run that goes on, its entry in the sequence of loads included.
const TURN_COMMAND_BYTES: u64 = (size_of::<Command>() + size_of::<u32>()) as u64;

impl Linked {
    /// What the networks imply, by kind; `memory` itself does not influence it. `None` on overflow.
    pub fn implied_memory(&self) -> Option<MemoryDeclaration> {
        let page_bytes = self.networks.first()?.plan.page.page_bytes();
        let staging_pages = u64::from(self.staging_pages());
        let most = |bytes: fn(&Plan) -> Option<u64>| {
            self.networks
                .iter()
                .map(|network| bytes(&network.plan))
                .try_fold(0, |most, bytes| Some(u64::max(most, bytes?)))
        };
        Some(MemoryDeclaration {
            weight_arena_bytes: page_bytes
                .checked_mul(u64::from(self.slot_count))?
                .checked_next_multiple_of(TEXTURE_GRANULE_BYTES)?,
            staging_bytes: granules(page_bytes)?.checked_mul(staging_pages)?,
            activation_bytes: granules(most(|plan| Some(plan.activation_bytes))?.max(1))?,
            constant_bytes: granules(self.constants_bytes()?)?,
            state_bytes: granules(self.state_buffer_bytes()?)?,
            params_bytes: granules(self.params_offsets_bytes()?.last()?.max(&1).to_owned())?,
            input_staging_bytes: granules(most(Plan::input_upload_bytes)?)?,
            readback_bytes: granules(most(|plan| Some(plan.largest_read_back_bytes()))?.min(MAX_READBACK_BYTES))?,
            host_bytes: self.host_bytes(page_bytes, most(outputs_bytes)?, most(Plan::row_gather_bytes)?)?,
        })
    }

    /// Outputs and rows of the network that needs most, and everything else of all.
    fn host_bytes(&self, page_bytes: u64, outputs: u64, rows: u64) -> Option<u64> {
        let mut most = self.networks.iter().map(|network| {
            let handed = network.hand_overs.iter().map(|hand_over| hand_over.before.len()).max().unwrap_or(0) as u64;
            let lists = network.plan.commands.len().max(network.plan.repeat_commands.len()) as u64;
            handed.checked_mul(2)?.checked_add(lists)?.checked_mul(TURN_COMMAND_BYTES)
        });
        let commands = most.try_fold(0, |most, bytes| Some(u64::max(most, bytes?)))?;
        let read_buffers = READ_BUFFERS_BYTES.min(u64::from(self.staging_pages()).checked_mul(page_bytes)?);
        let decoded = codec::encoded_bytes(self)?.checked_mul(DECODED_PLAN_FACTOR)?;
        let checksums = u64::from(self.page_count) * PAGE_CHECKSUM_BYTES;
        // The arena's contents are noted once, and once more while a run's commands are made.
        let arena = 2 * Arena::bytes(self.slot_count);
        [decoded, checksums, self.constants_bytes()?, rows, read_buffers, commands, arena]
            .iter()
            .try_fold(outputs, |sum, bytes| sum.checked_add(*bytes))
    }

    /// The smallest requirements that cover all networks.
    pub fn implied_requirements(&self) -> Requirements {
        let mut requirements = Requirements::default();
        self.for_each_use(&mut |limit, used| requirements.raise(limit, used));
        requirements
    }

    /// Calls `visit` with every use of a limit.
    pub(super) fn for_each_use(&self, visit: &mut dyn FnMut(Limit, u64)) {
        for network in &self.networks {
            for_each_use(&network.plan, network.constants_bytes, &mut |limit, _, used| visit(limit, used));
        }
        if self.slot_count > 0 {
            visit(Limit::TextureArrayLayers, self.slot_count.into());
        }
        let params = self.params_offsets_bytes().and_then(|offsets| offsets.last().copied());
        for bytes in [params, self.constants_bytes(), self.state_buffer_bytes()] {
            visit(Limit::BufferBytes, bytes.unwrap_or(u64::MAX));
        }
    }
}

/// All outputs and checks of a network at the API.
fn outputs_bytes(plan: &Plan) -> Option<u64> {
    plan.read_back().try_fold(0_u64, |sum, read| sum.checked_add(read.api_bytes()?))
}

/// Rounds up to whole allocation granules.
fn granules(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(ALLOCATION_GRANULE_BYTES)
}
