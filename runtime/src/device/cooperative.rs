//! Whether an adapter multiplies matrices as the cooperative sources of a plan's pipelines do.
//!
//! wgpu counts cooperative matrices among its experimental features: they are asked for only when a plan has such sources, and only of
//! adapters that have all that these rely on.

use flashmem_plan_format::plan::Plan;
use wgpu::{Adapter, AdapterInfo, CooperativeScalarType, ExperimentalFeatures, Features, Limits};

/// What the sources enable.
const FEATURES: Features = Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(Features::SHADER_F16);

/// Rows, columns and terms of a matrix; lanes of a subgroup.
const SIDE: u32 = 16;
const LANES: u32 = 32;

/// Invocations of a workgroup.
const INVOCATIONS: u32 = 256;

/// Workgroup memory of a device for cooperative sources; 0 where it takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CooperativeBytes(pub(crate) u32);

impl CooperativeBytes {
    /// What the cooperative sources of a plan need.
    pub(crate) fn of(plan: &Plan) -> Self {
        let sources = plan.pipelines.iter().filter_map(|pipeline| pipeline.cooperative.as_ref());
        Self(sources.map(|source| source.workgroup_bytes).max().unwrap_or(0))
    }

    /// As many if the adapter has them, and multiplies matrices of the sources' shape; else 0.
    pub(crate) fn granted(self, adapter: &Adapter, info: &AdapterInfo) -> Self {
        let has_shape = adapter.cooperative_matrix_properties().iter().any(|shape| {
            [shape.m_size, shape.n_size, shape.k_size] == [SIDE; 3]
                && shape.ab_type == CooperativeScalarType::F16
                && shape.cr_type == CooperativeScalarType::F32
        });
        let has_lanes = [info.subgroup_min_size, info.subgroup_max_size] == [LANES; 2];
        let limits = adapter.limits();
        let invocations = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let has_room = limits.max_compute_workgroup_storage_size >= self.0 && invocations >= INVOCATIONS;
        let granted = has_shape && has_lanes && has_room && adapter.features().contains(FEATURES);
        if granted { self } else { Self::default() }
    }

    /// Limits to ask for.
    pub(crate) fn raise(self, limits: &mut Limits) {
        if self.0 > 0 {
            let raise = |limit: &mut u32, needed: u32| *limit = needed.max(*limit);
            raise(&mut limits.max_compute_workgroup_storage_size, self.0);
            raise(&mut limits.max_compute_invocations_per_workgroup, INVOCATIONS);
            raise(&mut limits.max_compute_workgroup_size_x, INVOCATIONS);
        }
    }

    /// Features to ask for.
    pub(crate) fn features(self) -> Features {
        if self.0 > 0 { FEATURES } else { Features::empty() }
    }

    /// What wgpu wants to hear before it gives them.
    pub(crate) fn experimental(self) -> ExperimentalFeatures {
        if self.0 == 0 {
            return ExperimentalFeatures::disabled();
        }
        // SAFETY: there is nothing to uphold but the knowledge that wgpu's experimental features may have faults. Sources that
        // use them come from bundles that were compiled for mixed precision.
        unsafe { ExperimentalFeatures::enabled() }
    }
}
