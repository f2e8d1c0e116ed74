//! Allocates everything that a session holds on the device, and fills constants and parameters.
//!
//! Staging comes first, so that pages are read into it while the rest is made. Filling goes through a mapped buffer of the
//! session in pieces, since the queue's own writes would allocate staging that no plan declares. Constants are uploaded
//! before the large resources exist, so that their host copy never adds to these.

use crate::api::Error;
use crate::device::{Gpu, Kind, Ledger, MapTicket, unmapped};
use crate::pages::PageSource;
use crate::time::Wait;
use flashmem_plan_format::implied::MAX_READBACK_BYTES;
use flashmem_plan_format::plan::PageId;
use flashmem_plan_format::plan::{ALLOCATION_GRANULE_BYTES, PAGE_WIDTH_TEXELS, Plan, RowGather};
use std::sync::Arc;
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, Extent3d, MapMode, SubmissionIndex, Texture,
    TextureDescriptor, TextureDimension, TextureFormat, TextureUsages, TextureView, TextureViewDescriptor,
    TextureViewDimension,
};

/// What dispatches and copies use.
pub(crate) struct Resources {
    pub(crate) arena: Option<Arena>,
    pub(crate) activations: Buffer,
    pub(crate) constants: Option<Buffer>,
    /// What lives from run to run.
    pub(crate) states: Option<Buffer>,
    pub(crate) params: Buffer,
}

/// The weight arena: one layer a slot.
pub(crate) struct Arena {
    pub(crate) texture: Texture,
    pub(crate) view: TextureView,
}

/// What the host maps.
#[derive(Default)]
pub(crate) struct HostBuffers {
    pub(crate) ring: Vec<WriteBuffer>,
    pub(crate) input: Option<WriteBuffer>,
    /// What lies in `input`.
    pub(crate) rows: HeldRows,
    pub(crate) readback: Vec<ReadBuffer>,
}

/// Which rows the input staging buffer has from earlier runs, for every element of every gather's indices. A buffer that is
/// mapped again for writing has what was written to it (WebGPU, `GPUMapMode.WRITE`), and inputs and rows have fixed places in it.
#[derive(Default)]
pub(crate) struct HeldRows {
    pub(crate) by_gather: Vec<Vec<u32>>,
}

/// No row: a table has at most `u32::MAX` rows, counted from 0.
pub(crate) const NO_ROW: u32 = u32::MAX;

impl HeldRows {
    /// Of a buffer that nothing was written to.
    pub(crate) fn none(plan: &Plan) -> Self {
        let rows = |gather: &RowGather| gather.indices.count().expect("a validated plan's sizes do not overflow");
        Self { by_gather: plan.row_gathers.iter().map(|gather| vec![NO_ROW; rows(gather) as usize]).collect() }
    }
}

/// A buffer that the host writes and copies read. Between runs it is mapped, or read ahead into.
pub(crate) struct WriteBuffer {
    pub(crate) buffer: Buffer,
    pub(crate) state: WriteState,
}

/// Who has a [`WriteBuffer`].
pub(crate) enum WriteState {
    /// The host.
    Mapped,
    /// The page source, which reads a page into it or will.
    Reading,
    /// An encoder that is not submitted.
    Encoded,
    /// The device, which will map it when it is done.
    InFlight { ticket: MapTicket, submission: Option<SubmissionIndex> },
}

/// A buffer that copies write and the host reads. Between runs it is not mapped.
pub(crate) struct ReadBuffer {
    pub(crate) buffer: Buffer,
    /// Whether it is mapped, or was asked to be.
    pub(crate) mapped: bool,
}

impl ReadBuffer {
    /// Gives it back to the device, if it is not the device's.
    pub(crate) fn unmap(&mut self) {
        if std::mem::take(&mut self.mapped) {
            self.buffer.unmap();
        }
    }
}

/// Begins a sequence of loads and gives the page source all staging buffers, unless it has them already.
pub(crate) fn start_reading(pages: &PageSource, loads: &Arc<[PageId]>, ring: &mut [WriteBuffer]) -> Result<(), Error> {
    if ring.iter().all(|staging| matches!(staging.state, WriteState::Reading)) {
        return Ok(());
    }
    pages.begin(loads);
    (0..).zip(ring).try_for_each(|(ring_index, staging)| staging.give(ring_index, pages))
}

impl WriteBuffer {
    /// Gives the buffer, which must be mapped, to the page source as number `ring_index` of the ring.
    pub(crate) fn give(&mut self, ring_index: u32, pages: &PageSource) -> Result<(), Error> {
        let view = self.buffer.get_mapped_range_mut(..).map_err(|error| unmapped("reading pages", &error))?;
        self.state = WriteState::Reading;
        pages.give(ring_index, view);
        Ok(())
    }

    /// Brings the buffer back to the host, wherever it is but with the page source.
    pub(crate) async fn settle(&mut self, gpu: &Gpu, wait: &Wait) -> Result<(), Error> {
        let during = "getting a staging buffer back";
        if matches!(self.state, WriteState::Encoded) {
            // Noted first: who drops this future must not ask a second time.
            self.state = WriteState::InFlight { ticket: gpu.map(&self.buffer, MapMode::Write), submission: None };
        }
        if let WriteState::InFlight { ticket, submission } = &mut self.state {
            gpu.wait(ticket, submission.as_ref(), during, wait).await?;
            self.state = WriteState::Mapped;
        }
        Ok(())
    }
}

impl HostBuffers {
    /// Brings every buffer back to its state between runs: from the page source, too.
    pub(crate) async fn settle(&mut self, gpu: &Gpu, pages: &PageSource, wait: &Wait) -> Result<(), Error> {
        pages.recall(wait).await?;
        for staging in self.ring.iter_mut().filter(|staging| matches!(staging.state, WriteState::Reading)) {
            staging.state = WriteState::Mapped;
        }
        for buffer in self.ring.iter_mut().chain(&mut self.input) {
            buffer.settle(gpu, wait).await?;
        }
        for readback in &mut self.readback {
            readback.unmap();
        }
        Ok(())
    }
}

/// What is allocated first: staging, so that reading can start, and what the plan's constants go to.
pub(crate) struct Staging {
    pub(crate) ring: Vec<WriteBuffer>,
    input: Option<WriteBuffer>,
    params: Buffer,
    constants: Option<Buffer>,
}

impl Staging {
    /// For runs of `plans` in memory of `plan`, whose parameters, of `params_bytes`, and constants are uploaded later.
    pub(crate) async fn allocate(
        gpu: &Gpu,
        (plan, plans): (&Plan, &[&Plan]),
        params_bytes: usize,
        constants: &[u8],
        ledger: &mut Ledger,
    ) -> Result<Self, Error> {
        let mut new = Allocator { gpu, ledger };
        let mut ring = Vec::new();
        for _ in 0..plan.staging_pages {
            ring.extend(new.write_buffer(Kind::Staging, plan.page.page_bytes()).await?);
        }
        let bytes = |plan: &&Plan| plan.input_upload_bytes().expect("a validated plan's sizes do not overflow");
        let input_bytes = plans.iter().map(bytes).max().unwrap_or(0);
        let input = new.write_buffer(Kind::InputStaging, input_bytes).await?;
        let constants =
            new.buffer(Kind::Constants, constants.len() as u64, BINDING.union(BufferUsages::STORAGE)).await?;
        let params_bytes = params_bytes.max(1) as u64;
        let params = new.buffer(Kind::Params, params_bytes, BINDING.union(BufferUsages::UNIFORM)).await?;
        Ok(Self { ring, input, params: params.expect("its size is not zero"), constants })
    }

    /// Uploads parameters and constants through the last buffer of the ring, which must not be with the page source.
    pub(crate) async fn upload(
        &mut self,
        gpu: &Gpu,
        params: &[u8],
        constants: &[u8],
        wait: &Wait,
    ) -> Result<(), Error> {
        let mut temporary = None;
        if self.ring.is_empty() && self.input.is_none() {
            temporary = Some(temporary_buffer(gpu).await?);
        }
        let carrier = self.ring.last_mut().or(self.input.as_mut()).or(temporary.as_mut()).expect("one of them exists");
        upload(gpu, carrier, &self.params, params, wait).await?;
        match &self.constants {
            Some(buffer) => upload(gpu, carrier, buffer, constants, wait).await,
            None => Ok(()),
        }
    }

    /// Allocates everything else, but for states that are there already, in a buffer of `state_bytes`.
    pub(crate) async fn complete(
        self,
        gpu: &Gpu,
        (plan, plans): (&Plan, &[&Plan]),
        (states, state_bytes): (Option<Buffer>, u64),
        ledger: &mut Ledger,
    ) -> Result<(Resources, HostBuffers), Error> {
        let mut new = Allocator { gpu, ledger };
        let states = match states {
            Some(kept) => {
                new.ledger.record(Kind::States, kept.size());
                Some(kept)
            }
            // A new buffer holds zeros.
            None => {
                new.buffer(
                    Kind::States,
                    state_bytes,
                    BINDING.union(BufferUsages::STORAGE).union(BufferUsages::COPY_SRC),
                )
                .await?
            }
        };
        let activation_bytes = plan.activation_bytes.max(4);
        let usages = BINDING.union(BufferUsages::STORAGE).union(BufferUsages::COPY_SRC);
        let activations = new.buffer(Kind::Activations, activation_bytes, usages).await?.expect("its size is not zero");
        let arena = new.arena(plan).await?;
        let mut readback = Vec::new();
        for size_bytes in readback_bytes(plans) {
            let buffer = new.buffer(Kind::Readback, size_bytes, READ).await?;
            readback.extend(buffer.map(|buffer| ReadBuffer { buffer, mapped: false }));
        }
        let resources = Resources { arena, activations, constants: self.constants, states, params: self.params };
        Ok((resources, HostBuffers { ring: self.ring, input: self.input, rows: HeldRows::none(plan), readback }))
    }
}

const BINDING: BufferUsages = BufferUsages::COPY_DST;
const WRITE: BufferUsages = BufferUsages::MAP_WRITE.union(BufferUsages::COPY_SRC);
const READ: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// One buffer for outputs that fit it, or two that share its declared size: what one holds is converted while the other is filled.
fn readback_bytes(plans: &[&Plan]) -> Vec<u64> {
    let most = |bytes: fn(&Plan) -> u64| plans.iter().map(|plan| bytes(plan)).max().unwrap_or(0);
    let whole = most(Plan::largest_read_back_bytes).min(MAX_READBACK_BYTES);
    let half = whole / 2 / ALLOCATION_GRANULE_BYTES * ALLOCATION_GRANULE_BYTES;
    if half > 0 && most(Plan::read_back_bytes) > whole { vec![half; 2] } else { vec![whole] }
}

struct Allocator<'a> {
    gpu: &'a Gpu,
    ledger: &'a mut Ledger,
}

impl Allocator<'_> {
    /// `None` for a buffer of no bytes.
    async fn buffer(&mut self, kind: Kind, size_bytes: u64, usage: BufferUsages) -> Result<Option<Buffer>, Error> {
        if size_bytes == 0 {
            return Ok(None);
        }
        let size = size_bytes.next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let mapped_at_creation = usage.contains(BufferUsages::MAP_WRITE);
        let descriptor = BufferDescriptor { label: Some(kind.label()), size, usage, mapped_at_creation };
        let during = format!("allocating {size} bytes of {}", kind.label());
        let buffer = self.gpu.checked(&during, || self.gpu.device.create_buffer(&descriptor)).await?;
        self.ledger.record(kind, size);
        Ok(Some(buffer))
    }

    async fn write_buffer(&mut self, kind: Kind, size_bytes: u64) -> Result<Option<WriteBuffer>, Error> {
        let buffer = self.buffer(kind, size_bytes, WRITE).await?;
        Ok(buffer.map(|buffer| WriteBuffer { buffer, state: WriteState::Mapped }))
    }

    async fn arena(&mut self, plan: &Plan) -> Result<Option<Arena>, Error> {
        if plan.slot_count == 0 {
            return Ok(None);
        }
        let size =
            Extent3d { width: PAGE_WIDTH_TEXELS, height: plan.page.rows, depth_or_array_layers: plan.slot_count };
        let descriptor = TextureDescriptor {
            label: Some(Kind::WeightArena.label()),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: TextureFormat::Rgba32Uint,
            usage: TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST,
            view_formats: &[],
        };
        let bytes = plan.page.page_bytes() * u64::from(plan.slot_count);
        let during = format!("allocating {bytes} bytes of {}", Kind::WeightArena.label());
        let texture = self.gpu.checked(&during, || self.gpu.device.create_texture(&descriptor)).await?;
        self.ledger.record(Kind::WeightArena, bytes);
        // An arena of one slot is an array, too.
        let dimension = Some(TextureViewDimension::D2Array);
        let descriptor = TextureViewDescriptor { dimension, ..TextureViewDescriptor::default() };
        let view = self.gpu.checked(&during, || texture.create_view(&descriptor)).await?;
        Ok(Some(Arena { texture, view }))
    }
}

/// Carries parameters, constants and states of a plan that stages nothing else; gone before the large resources come, or between runs.
pub(crate) async fn temporary_buffer(gpu: &Gpu) -> Result<WriteBuffer, Error> {
    let size = ALLOCATION_GRANULE_BYTES;
    let descriptor = BufferDescriptor { label: Some("upload"), size, usage: WRITE, mapped_at_creation: true };
    let during = "allocating a temporary upload buffer";
    let buffer = gpu.checked(during, || gpu.device.create_buffer(&descriptor)).await?;
    Ok(WriteBuffer { buffer, state: WriteState::Mapped })
}

/// Copies `bytes` into `target`, a carrier's size at a time. The carrier is mapped before and after.
async fn upload(gpu: &Gpu, carrier: &mut WriteBuffer, target: &Buffer, bytes: &[u8], wait: &Wait) -> Result<(), Error> {
    let during = "uploading constants and parameters";
    let piece_bytes = usize::try_from(carrier.buffer.size()).unwrap_or(usize::MAX);
    let mut offset_bytes = 0;
    for piece in bytes.chunks(piece_bytes) {
        let mut view = carrier.buffer.get_mapped_range_mut(..).map_err(|error| unmapped(during, &error))?;
        view.slice(..piece.len()).copy_from_slice(piece);
        drop(view);
        carrier.buffer.unmap();
        let copied_bytes = (piece.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&carrier.buffer, 0, target, offset_bytes, copied_bytes);
        let submission = gpu.queue.submit([encoder.finish()]);
        let ticket = gpu.map(&carrier.buffer, MapMode::Write);
        carrier.state = WriteState::InFlight { ticket, submission: Some(submission) };
        carrier.settle(gpu, wait).await?;
        offset_bytes += copied_bytes;
    }
    gpu.check(during)
}
