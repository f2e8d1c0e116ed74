//! Device time of every dispatch, by timestamp queries at the borders of compute passes.
//!
//! With queries every dispatch has a pass of its own; what it computes is the same. Queries and the buffers that they are
//! read through are tracing's own memory. A device without the feature has none of this.

use crate::api::Error;
use crate::device::{Gpu, unmapped};
use crate::time::Wait;
use std::time::Duration;
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Features, MapMode, QuerySet,
    QuerySetDescriptor, QueryType,
};

/// Dispatches of one query set: each has two queries.
const SET_DISPATCHES: u32 = wgpu::QUERY_SET_MAX_QUERIES / 2;

const DURING: &str = "reading timestamps";

pub(crate) struct Timestamps {
    sets: Vec<QuerySet>,
    resolved: Buffer,
    readback: Buffer,
    /// Nanoseconds of one tick.
    period: f64,
}

impl Timestamps {
    /// For runs of up to `dispatches`, if the device can.
    pub(crate) async fn create(gpu: &Gpu, dispatches: u32) -> Result<Option<Self>, Error> {
        if dispatches == 0 || !gpu.device.features().contains(Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let set = |first: u32| {
            let count = 2 * SET_DISPATCHES.min(dispatches - first);
            gpu.device.create_query_set(&QuerySetDescriptor { label: Some("trace"), ty: QueryType::Timestamp, count })
        };
        let size = u64::from(dispatches.next_multiple_of(SET_DISPATCHES)) * 16;
        let buffer = |usage| {
            gpu.device.create_buffer(&BufferDescriptor { label: Some("trace"), size, usage, mapped_at_creation: false })
        };
        let create = || Self {
            sets: (0..dispatches).step_by(SET_DISPATCHES as usize).map(set).collect(),
            resolved: buffer(BufferUsages::QUERY_RESOLVE.union(BufferUsages::COPY_SRC)),
            readback: buffer(BufferUsages::MAP_READ.union(BufferUsages::COPY_DST)),
            period: gpu.queue.get_timestamp_period().into(),
        };
        gpu.checked("creating timestamp queries", create).await.map(Some)
    }

    /// The queries at the borders of a dispatch's pass.
    pub(crate) fn of(&self, dispatch: u32) -> ComputePassTimestampWrites<'_> {
        let first = dispatch % SET_DISPATCHES * 2;
        ComputePassTimestampWrites {
            query_set: &self.sets[(dispatch / SET_DISPATCHES) as usize],
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Encodes the way to the host of the timestamps of a run's dispatches: those of others would never come.
    pub(crate) fn resolve(&self, encoder: &mut CommandEncoder, dispatches: u32) {
        for (index, set) in (0..dispatches.div_ceil(SET_DISPATCHES)).zip(&self.sets) {
            let count = 2 * SET_DISPATCHES.min(dispatches - index * SET_DISPATCHES);
            encoder.resolve_query_set(set, 0..count, &self.resolved, u64::from(index * SET_DISPATCHES) * 16);
        }
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, u64::from(dispatches) * 16);
    }

    /// Begin and end of every dispatch of a run by the device's clock, once what `resolve` encoded is submitted.
    pub(crate) async fn read(
        &self,
        gpu: &Gpu,
        dispatches: u32,
        wait: &Wait,
    ) -> Result<Vec<(u32, Duration, Duration)>, Error> {
        let mut ticket = gpu.map(&self.readback, MapMode::Read);
        let mapped = gpu.wait(&mut ticket, None, DURING, wait).await;
        if let Err(error) = mapped {
            // Ends the mapping, so that the next run can use the buffer.
            self.readback.unmap();
            return Err(error);
        }
        let view = self.readback.get_mapped_range(..u64::from(dispatches) * 16);
        let view = view.map_err(|error| unmapped(DURING, &error))?;
        let ticks = view.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let times: Vec<_> = ticks.map(|ticks| Duration::from_nanos((ticks as f64 * self.period) as u64)).collect();
        drop(view);
        self.readback.unmap();
        Ok((0..).zip(times.as_chunks::<2>().0).map(|(dispatch, [begin, end])| (dispatch, *begin, *end)).collect())
    }
}
