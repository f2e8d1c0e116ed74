//! Walks the commands of a plan: loads become copies, dispatches become compute passes, submits become submissions.
//!
//! A staging buffer is mapped when its page is read, unmapped when its copy is encoded, and asked back when that copy is
//! submitted. While the walk waits for a page it lets the device give back what it is done with.

use super::feed::start_reading;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::session::{Parts, WriteBuffer, WriteState};
use crate::timeline::{Mark, Span};
use flashmem_plan_format::plan::{Command, PAGE_WIDTH_TEXELS, PageId, SlotId};
use std::sync::Arc;
use std::time::Duration;
use wgpu::{
    CommandEncoder, CommandEncoderDescriptor, ComputePass, ComputePassDescriptor, Extent3d, MapMode, Origin3d,
    TexelCopyBufferInfo, TexelCopyBufferLayout, TexelCopyTextureInfo, TextureAspect,
};

/// Longest sleep between looks at a busy device. A look costs microseconds; a page takes a disk about a millisecond.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Longest sleep when only readers are at work.
const READ_INTERVAL: Duration = Duration::from_millis(50);

const DURING: &str = "replaying the plan";

pub(crate) struct Walk<'a> {
    parts: &'a Parts,
    ring: &'a mut [WriteBuffer],
    encoder: CommandEncoder,
    /// The open compute pass of `encoder`, if any.
    pass: Option<OpenPass>,
    next_load: u32,
}

struct OpenPass {
    pass: ComputePass<'static>,
    pipeline: Option<u32>,
}

impl<'a> Walk<'a> {
    /// Gives all staging buffers to the feed, which starts reading, unless it has them already.
    pub(crate) fn start(parts: &'a Parts, loads: &Arc<[PageId]>, ring: &'a mut [WriteBuffer]) -> Result<Self, Error> {
        start_reading(&parts.feed, loads, ring)?;
        Ok(Self { parts, ring, encoder: new_encoder(parts), pass: None, next_load: 0 })
    }

    /// For copies that come before the first command.
    pub(crate) fn encoder(&mut self) -> &mut CommandEncoder {
        &mut self.encoder
    }

    /// What is encoded and not submitted.
    pub(crate) fn finish(mut self) -> CommandEncoder {
        self.pass = None;
        self.encoder
    }

    /// Replays all commands.
    pub(crate) async fn commands(&mut self, commands: &[Command]) -> Result<(), Error> {
        for (position, command) in (0_u32..).zip(commands) {
            match *command {
                Command::Load { page, slot } => self.load(position, page, slot).await?,
                Command::Drop { .. } => {}
                Command::Dispatch { index } => self.dispatch(index)?,
                Command::Submit => self.submit()?,
            }
        }
        Ok(())
    }

    /// Replays all commands but dispatches.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) async fn loads(&mut self, commands: &[Command]) -> Result<(), Error> {
        for (position, command) in (0_u32..).zip(commands) {
            match *command {
                Command::Load { page, slot } => self.load(position, page, slot).await?,
                Command::Drop { .. } | Command::Dispatch { .. } => {}
                Command::Submit => self.submit()?,
            }
        }
        Ok(())
    }

    async fn load(&mut self, position: u32, page: PageId, slot: SlotId) -> Result<(), Error> {
        self.wait_for_page(position, page).await?;
        self.pass = None;
        let ring_index = self.ring_index();
        let staging = &mut self.ring[ring_index];
        staging.buffer.unmap();
        staging.state = WriteState::Encoded;
        let geometry = self.parts.bundle.plan.page;
        let row_bytes = PAGE_WIDTH_TEXELS * geometry.format.texel_bytes();
        let layout =
            TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row_bytes), rows_per_image: Some(geometry.rows) };
        let arena = self.parts.resources.arena.as_ref().expect("a validated plan that loads pages has slots");
        self.encoder.copy_buffer_to_texture(
            TexelCopyBufferInfo { buffer: &staging.buffer, layout },
            TexelCopyTextureInfo {
                texture: &arena.texture,
                mip_level: 0,
                origin: Origin3d { x: 0, y: 0, z: slot.0 },
                aspect: TextureAspect::All,
            },
            Extent3d { width: PAGE_WIDTH_TEXELS, height: geometry.rows, depth_or_array_layers: 1 },
        );
        self.next_load += 1;
        Ok(())
    }

    fn dispatch(&mut self, index: u32) -> Result<(), Error> {
        let parts = self.parts;
        let dispatch = &parts.bundle.plan.dispatches[index as usize];
        let pipeline = parts.pipelines.get(dispatch.pipeline, parts.options.timeout)?;
        let open = self.pass.get_or_insert_with(|| {
            let pass = self.encoder.begin_compute_pass(&ComputePassDescriptor::default());
            OpenPass { pass: pass.forget_lifetime(), pipeline: None }
        });
        if open.pipeline != Some(dispatch.pipeline) {
            open.pass.set_pipeline(pipeline);
            open.pipeline = Some(dispatch.pipeline);
        }
        open.pass.set_bind_group(0, &parts.bind_groups[index as usize], &[]);
        let [x, y, z] = dispatch.workgroups;
        open.pass.dispatch_workgroups(x, y, z);
        parts.timeline.mark(Mark::FirstDispatch);
        Ok(())
    }

    fn submit(&mut self) -> Result<(), Error> {
        self.pass = None;
        let encoder = std::mem::replace(&mut self.encoder, new_encoder(self.parts));
        let gpu = &self.parts.gpu;
        let submission = gpu.queue.submit([encoder.finish()]);
        for staging in &mut *self.ring {
            if matches!(staging.state, WriteState::Encoded) {
                let ticket = gpu.map(&staging.buffer, MapMode::Write);
                staging.state = WriteState::InFlight { ticket, submission: submission.clone() };
            }
        }
        gpu.check(DURING)?;
        self.collect()
    }

    /// Waits until the next load's page is in its staging buffer.
    async fn wait_for_page(&mut self, command: u32, page: PageId) -> Result<(), Error> {
        let waiting = Stopwatch::start();
        let timeout = self.parts.options.timeout;
        let ring_index = self.ring_index();
        let mut wait = Duration::ZERO;
        loop {
            self.collect()?;
            if let Some(arrived) = self.parts.feed.take(self.next_load, wait) {
                self.parts.timeline.add(Span::PageWait, waiting.elapsed());
                return arrived.map(drop);
            }
            if waiting.elapsed() > timeout {
                return Err(Error::Timeout { during: format!("waiting for page {}", page.0), waited: timeout });
            }
            wait = match &self.ring[ring_index].state {
                WriteState::Encoded => return Err(Error::RingStalled { command, page }),
                WriteState::InFlight { ticket, submission } => {
                    let submission = submission.clone();
                    let mut ticket = ticket.clone();
                    wait_for_staging(self.parts, &mut ticket, submission).await?;
                    Duration::ZERO
                }
                WriteState::Reading | WriteState::Mapped if self.is_device_busy() => {
                    self.parts.gpu.poll(DURING)?;
                    POLL_INTERVAL
                }
                WriteState::Reading | WriteState::Mapped => READ_INTERVAL,
            };
        }
    }

    /// Gives every staging buffer that came back to the feed.
    fn collect(&mut self) -> Result<(), Error> {
        for (ring_index, staging) in (0_u32..).zip(&mut *self.ring) {
            if matches!(&staging.state, WriteState::InFlight { ticket, .. } if ticket.is_done()) {
                staging.state = WriteState::Mapped;
                staging.give(ring_index, &self.parts.feed)?;
            }
        }
        Ok(())
    }

    fn is_device_busy(&self) -> bool {
        self.ring.iter().any(|staging| matches!(staging.state, WriteState::InFlight { .. }))
    }

    fn ring_index(&self) -> usize {
        self.next_load as usize % self.ring.len()
    }
}

/// Waits for one submission rather than for all, so that later work keeps the device busy.
async fn wait_for_staging(
    parts: &Parts,
    ticket: &mut crate::gpu::MapTicket,
    submission: wgpu::SubmissionIndex,
) -> Result<(), Error> {
    let timeout = parts.options.timeout;
    if !cfg!(target_arch = "wasm32") && !ticket.is_done() {
        parts.gpu.poll_for(Some(submission), timeout, DURING)?;
    }
    parts.gpu.wait(ticket, DURING, timeout).await
}

fn new_encoder(parts: &Parts) -> CommandEncoder {
    parts.gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some("replay") })
}
