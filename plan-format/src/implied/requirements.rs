//! What a plan uses of a device's limits: one list of uses, from which the compiler derives [`Requirements::of`] and
//! `validate` checks the declared ones.
//!
//! It deliberately knows no device: comparing requirements with an adapter's limits is the runtime's.

use super::memory::MAX_READBACK_BYTES;
use crate::plan::{PAGE_WIDTH_TEXELS, Plan, Requirements};

/// A device limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `max_texture_array_layers`.
    TextureArrayLayers,
    /// `max_texture_dimension_2d`.
    TextureSide,
    /// `max_buffer_size`.
    BufferBytes,
    /// `max_storage_buffer_binding_size`.
    StorageBindingBytes,
    /// `max_uniform_buffer_binding_size`.
    UniformBindingBytes,
    /// `max_storage_buffers_per_shader_stage`.
    StorageBuffers,
    /// `max_compute_workgroup_storage_size`.
    WorkgroupBytes,
    /// `max_compute_invocations_per_workgroup`.
    WorkgroupInvocations,
    /// `max_compute_workgroup_size_x`.
    WorkgroupSizeX,
    /// `max_compute_workgroup_size_y`.
    WorkgroupSizeY,
    /// `max_compute_workgroup_size_z`.
    WorkgroupSizeZ,
    /// `max_compute_workgroups_per_dimension`.
    WorkgroupsPerDimension,
    /// Rounds of an invocation's loops, which WebGPU does not limit.
    LoopRounds,
}

impl Limit {
    /// The limit's name, in WebGPU implementations where it is one of theirs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TextureArrayLayers => "max_texture_array_layers",
            Self::TextureSide => "max_texture_dimension_2d",
            Self::BufferBytes => "max_buffer_size",
            Self::StorageBindingBytes => "max_storage_buffer_binding_size",
            Self::UniformBindingBytes => "max_uniform_buffer_binding_size",
            Self::StorageBuffers => "max_storage_buffers_per_shader_stage",
            Self::WorkgroupBytes => "max_compute_workgroup_storage_size",
            Self::WorkgroupInvocations => "max_compute_invocations_per_workgroup",
            Self::WorkgroupSizeX => "max_compute_workgroup_size_x",
            Self::WorkgroupSizeY => "max_compute_workgroup_size_y",
            Self::WorkgroupSizeZ => "max_compute_workgroup_size_z",
            Self::WorkgroupsPerDimension => "max_compute_workgroups_per_dimension",
            Self::LoopRounds => "loop rounds of an invocation",
        }
    }
}

/// What needs a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// A resource of the whole plan.
    Plan,
    /// A pipeline, by position.
    Pipeline(u32),
    /// A dispatch, by position.
    Dispatch(u32),
}

impl Requirements {
    /// The smallest requirements that cover the plan. Values that do not fit a field become its maximum.
    pub fn of(plan: &Plan, constant_bytes: u64) -> Self {
        let mut requirements = Self::default();
        for_each_use(plan, constant_bytes, &mut |limit, _, used| requirements.raise(limit, used));
        requirements
    }

    /// The declared value of one limit.
    pub fn get(&self, limit: Limit) -> u64 {
        match limit {
            Limit::TextureArrayLayers => self.texture_array_layers.into(),
            Limit::TextureSide => self.texture_side.into(),
            Limit::BufferBytes => self.buffer_bytes,
            Limit::StorageBindingBytes => self.storage_binding_bytes,
            Limit::UniformBindingBytes => self.uniform_binding_bytes.into(),
            Limit::StorageBuffers => self.storage_buffers.into(),
            Limit::WorkgroupBytes => self.workgroup_bytes.into(),
            Limit::WorkgroupInvocations => self.workgroup_invocations.into(),
            Limit::WorkgroupSizeX => self.workgroup_size[0].into(),
            Limit::WorkgroupSizeY => self.workgroup_size[1].into(),
            Limit::WorkgroupSizeZ => self.workgroup_size[2].into(),
            Limit::WorkgroupsPerDimension => self.workgroups_per_dimension.into(),
            Limit::LoopRounds => self.loop_rounds.into(),
        }
    }

    pub(crate) fn raise(&mut self, limit: Limit, used: u64) {
        let narrow = u32::try_from(used).unwrap_or(u32::MAX);
        let field = match limit {
            Limit::BufferBytes => return self.buffer_bytes = self.buffer_bytes.max(used),
            Limit::StorageBindingBytes => return self.storage_binding_bytes = self.storage_binding_bytes.max(used),
            Limit::TextureArrayLayers => &mut self.texture_array_layers,
            Limit::TextureSide => &mut self.texture_side,
            Limit::UniformBindingBytes => &mut self.uniform_binding_bytes,
            Limit::StorageBuffers => &mut self.storage_buffers,
            Limit::WorkgroupBytes => &mut self.workgroup_bytes,
            Limit::WorkgroupInvocations => &mut self.workgroup_invocations,
            Limit::WorkgroupSizeX => &mut self.workgroup_size[0],
            Limit::WorkgroupSizeY => &mut self.workgroup_size[1],
            Limit::WorkgroupSizeZ => &mut self.workgroup_size[2],
            Limit::WorkgroupsPerDimension => &mut self.workgroups_per_dimension,
            Limit::LoopRounds => &mut self.loop_rounds,
        };
        *field = narrow.max(*field);
    }
}

/// Calls `visit` with every use of a limit.
pub(crate) fn for_each_use(plan: &Plan, constant_bytes: u64, visit: &mut dyn FnMut(Limit, User, u64)) {
    plan_uses(plan, constant_bytes, visit);
    for (index, pipeline) in (0_u32..).zip(&plan.pipelines) {
        let user = User::Pipeline(index);
        let [x, y, z] = pipeline.workgroup_size.map(u64::from);
        visit(Limit::UniformBindingBytes, user, pipeline.params_bytes.into());
        visit(Limit::StorageBuffers, user, pipeline.storage_bindings.into());
        visit(Limit::WorkgroupBytes, user, pipeline.workgroup_bytes.into());
        visit(Limit::WorkgroupInvocations, user, x.saturating_mul(y).saturating_mul(z));
        visit(Limit::WorkgroupSizeX, user, x);
        visit(Limit::WorkgroupSizeY, user, y);
        visit(Limit::WorkgroupSizeZ, user, z);
    }
    for (index, dispatch) in (0_u32..).zip(&plan.dispatches) {
        let user = User::Dispatch(index);
        let widest = dispatch.workgroups.into_iter().max().unwrap_or(0);
        visit(Limit::WorkgroupsPerDimension, user, widest.into());
        let largest = dispatch.bindings.iter().map(|slice| slice.size_bytes).max().unwrap_or(0);
        visit(Limit::StorageBindingBytes, user, largest);
        visit(Limit::LoopRounds, user, dispatch.loop_rounds.into());
    }
}

/// The arena texture, and every buffer at its size before rounding.
fn plan_uses(plan: &Plan, constant_bytes: u64, visit: &mut dyn FnMut(Limit, User, u64)) {
    if plan.slot_count > 0 {
        visit(Limit::TextureArrayLayers, User::Plan, plan.slot_count.into());
        visit(Limit::TextureSide, User::Plan, plan.page.rows.max(PAGE_WIDTH_TEXELS).into());
    }
    let buffers = [
        if plan.staging_pages > 0 { plan.page.page_bytes() } else { 0 },
        plan.activation_bytes,
        constant_bytes,
        plan.state_bytes().unwrap_or(u64::MAX),
        plan.params.len() as u64,
        plan.input_upload_bytes().unwrap_or(u64::MAX),
        plan.largest_read_back_bytes().min(MAX_READBACK_BYTES),
    ];
    for bytes in buffers {
        visit(Limit::BufferBytes, User::Plan, bytes);
    }
}
