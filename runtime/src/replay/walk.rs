//! Walks the commands of a plan: loads become copies, dispatches become compute passes, submits become submissions.
//!
//! A staging buffer is mapped when its page is read, unmapped when its copy is encoded, and asked back when that copy is
//! submitted. While the walk waits for a page it lets the device give back what it is done with.

use crate::api::{Error, Mark, RunRequest, Span};
use crate::loaded::{CommandList, Loaded, WriteBuffer, WriteState, start_reading};
use crate::pages::PageSource;
use crate::time::{POLL_INTERVAL, Stopwatch, Wait};
use flashmem_plan_format::plan::{Command, PAGE_ROW_BYTES, PAGE_WIDTH_TEXELS, PageId, SlotId};
use std::time::Duration;
use wgpu::{
    CommandEncoder, CommandEncoderDescriptor, ComputePass, ComputePassDescriptor, Extent3d, MapMode, Origin3d,
    TexelCopyBufferInfo, TexelCopyBufferLayout, TexelCopyTextureInfo, TextureAspect,
};

/// Longest sleep when only readers are at work.
const READ_INTERVAL: Duration = Duration::from_millis(50);

const DURING: &str = "replaying the plan";

pub(crate) struct Walk<'a> {
    loaded: &'a Loaded,
    pages: &'a PageSource,
    list: CommandList<'a>,
    ring: &'a mut [WriteBuffer],
    wait: &'a Wait,
    encoder: CommandEncoder,
    /// The open compute pass of `encoder`, if any.
    pass: Option<OpenPass>,
    next_load: u32,
    traced: Traced,
}

/// What only tracing needs to know.
struct Traced {
    /// Dispatches since the last submission.
    dispatches: Vec<u32>,
    resident_pages: u64,
    /// Of several networks: slots that hold a page, which a load replaces.
    held: Option<Vec<bool>>,
}

impl Traced {
    /// A command list for runs after a completed one starts with what that left, and one of several networks with what the arena holds.
    fn start(loaded: &Loaded, list: CommandList<'_>) -> Self {
        let held = loaded.trace.as_ref().and_then(|_| loaded.networks.held_slots());
        if let Some(held) = held {
            let resident_pages = held.iter().filter(|held| **held).count() as u64;
            return Self { dispatches: Vec::new(), resident_pages, held: Some(held) };
        }
        let first = &loaded.bundle.plan.commands;
        let is_first = std::ptr::eq(list.commands, first.as_slice());
        let change = |command: &Command| match command {
            Command::Load { .. } => 1_i64,
            Command::Drop { .. } => -1,
            Command::Dispatch { .. } | Command::Submit => 0,
        };
        let resident_pages = if is_first || loaded.trace.is_none() { 0 } else { first.iter().map(change).sum() };
        Self { dispatches: Vec::new(), resident_pages: u64::try_from(resident_pages).unwrap_or(0), held: None }
    }
}

struct OpenPass {
    pass: ComputePass<'static>,
    pipeline: Option<u32>,
}

impl<'a> Walk<'a> {
    /// Gives all staging buffers to the page source, which starts reading, unless it has them already.
    pub(crate) fn start(
        loaded: &'a Loaded,
        pages: &'a PageSource,
        list: CommandList<'a>,
        ring: &'a mut [WriteBuffer],
        wait: &'a Wait,
    ) -> Result<Self, Error> {
        start_reading(pages, list.loads, ring)?;
        let (encoder, traced) = (new_encoder(loaded), Traced::start(loaded, list));
        Ok(Self { loaded, pages, list, ring, wait, encoder, pass: None, next_load: 0, traced })
    }

    /// For copies that come before the first command.
    pub(crate) fn encoder(&mut self) -> &mut CommandEncoder {
        &mut self.encoder
    }

    /// What is encoded and not submitted.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn finish_untimed(mut self) -> CommandEncoder {
        self.pass = None;
        self.encoder
    }

    /// What is encoded and not submitted, and the way of timestamps to the host.
    pub(crate) fn finish(mut self) -> CommandEncoder {
        self.pass = None;
        if let Some(timestamps) = self.loaded.trace.as_ref().and_then(|trace| trace.timestamps()) {
            timestamps.resolve(&mut self.encoder, self.loaded.bundle.plan.dispatches.len() as u32);
        }
        self.encoder
    }

    /// Replays all commands.
    pub(crate) async fn commands(&mut self, request: &mut RunRequest<'_>) -> Result<(), Error> {
        let pages_total = self.list.loads.len() as u32;
        request.report(0, pages_total);
        for (position, command) in (0_u32..).zip(self.list.commands) {
            self.wait.check(DURING)?;
            match *command {
                Command::Load { page, slot } => {
                    self.load(position, page, slot).await?;
                    request.report(self.next_load, pages_total);
                }
                Command::Drop { .. } => self.trace_residency(-1),
                Command::Dispatch { index } => self.dispatch(index).await?,
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
        let geometry = self.loaded.bundle.plan.page;
        let layout = TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(PAGE_ROW_BYTES),
            rows_per_image: Some(geometry.rows),
        };
        let arena =
            self.loaded.device_state().resources.arena.as_ref().expect("a validated plan that loads pages has slots");
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
        if let Some(trace) = &self.loaded.trace {
            trace.upload(ring_index as u32, page, slot);
        }
        let held = self.traced.held.as_mut().and_then(|held| held.get_mut(slot.0 as usize));
        let is_replaced = held.is_some_and(|held| std::mem::replace(held, true));
        self.trace_residency(i64::from(!is_replaced));
        Ok(())
    }

    fn trace_residency(&mut self, change: i64) {
        if let Some(trace) = &self.loaded.trace {
            self.traced.resident_pages = self.traced.resident_pages.saturating_add_signed(change);
            trace.resident(self.traced.resident_pages * self.loaded.bundle.plan.page.page_bytes());
        }
    }

    async fn dispatch(&mut self, index: u32) -> Result<(), Error> {
        let loaded = self.loaded;
        let dispatch = &loaded.bundle.plan.dispatches[index as usize];
        let pipeline = loaded.pipelines.get(dispatch.pipeline, self.wait).await?;
        let mut descriptor = ComputePassDescriptor::default();
        if let Some(trace) = &loaded.trace {
            self.traced.dispatches.push(index);
            if let Some(timestamps) = trace.timestamps() {
                self.pass = None;
                descriptor.timestamp_writes = Some(timestamps.of(index));
            }
        }
        let open = self.pass.get_or_insert_with(|| {
            let pass = self.encoder.begin_compute_pass(&descriptor);
            OpenPass { pass: pass.forget_lifetime(), pipeline: None }
        });
        if open.pipeline != Some(dispatch.pipeline) {
            open.pass.set_pipeline(pipeline);
            open.pipeline = Some(dispatch.pipeline);
        }
        open.pass.set_bind_group(0, loaded.bind_group(index), &[]);
        let [x, y, z] = dispatch.workgroups;
        open.pass.dispatch_workgroups(x, y, z);
        loaded.timeline.mark(Mark::FirstDispatch);
        Ok(())
    }

    fn submit(&mut self) -> Result<(), Error> {
        self.pass = None;
        let encoder = std::mem::replace(&mut self.encoder, new_encoder(self.loaded));
        let gpu = &self.loaded.gpu;
        let commands = encoder.finish();
        let (submitting, start) = (Stopwatch::start(), self.loaded.trace.as_ref().map(|trace| trace.now()));
        let submission = gpu.queue.submit([commands]);
        self.loaded.timeline.add(Span::Submit, submitting.elapsed());
        if let (Some(trace), Some(start)) = (&self.loaded.trace, start) {
            trace.submitted(&gpu.queue, start, std::mem::take(&mut self.traced.dispatches));
        }
        for staging in &mut *self.ring {
            if matches!(staging.state, WriteState::Encoded) {
                let ticket = gpu.map(&staging.buffer, MapMode::Write);
                staging.state = WriteState::InFlight { ticket, submission: Some(submission.clone()) };
            }
        }
        gpu.check(DURING)?;
        self.collect()
    }

    /// Waits until the next load's page is in its staging buffer.
    async fn wait_for_page(&mut self, command: u32, page: PageId) -> Result<(), Error> {
        let waiting = Stopwatch::start();
        let timeout = self.wait.timeout;
        let mut sleep = Duration::ZERO;
        loop {
            self.collect()?;
            let take = self.pages.take(self.next_load, sleep);
            if let Some(arrived) = self.wait.limited(DURING, take, || self.page_is_late(page)).await? {
                self.loaded.timeline.add(Span::PageWait, waiting.elapsed());
                return arrived.map(drop);
            }
            self.wait.check(DURING)?;
            let left = timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
            let left = left.ok_or_else(|| self.page_is_late(page))?;
            sleep = self.wait.piece(self.wait_for_staging(command, page).await?.min(left));
            self.wait.pause().await;
        }
    }

    /// Waits until the next load's staging buffer is with the page source, and gives how long its page may then be waited for.
    async fn wait_for_staging(&mut self, command: u32, page: PageId) -> Result<Duration, Error> {
        let (ring_index, is_device_busy) = (self.ring_index(), self.is_device_busy());
        let gpu = &self.loaded.gpu;
        match &mut self.ring[ring_index].state {
            WriteState::Encoded => Err(Error::RingStalled { command, page }),
            WriteState::InFlight { ticket, submission } => {
                // One submission rather than all, so that later work keeps the device busy.
                let returned = gpu.wait(ticket, submission.as_ref(), DURING, self.wait);
                self.pages.beside(returned).await?;
                Ok(Duration::ZERO)
            }
            WriteState::Reading | WriteState::Mapped if is_device_busy => {
                gpu.poll(DURING)?;
                Ok(POLL_INTERVAL)
            }
            WriteState::Reading | WriteState::Mapped => Ok(READ_INTERVAL),
        }
    }

    fn page_is_late(&self, page: PageId) -> Error {
        Error::ReadTimeout {
            during: format!("waiting for page {}", page.0),
            offset_bytes: self.loaded.bundle.page_offset_bytes(page),
            waited: self.wait.timeout,
        }
    }

    /// Gives every staging buffer that came back to the page source.
    fn collect(&mut self) -> Result<(), Error> {
        for (ring_index, staging) in (0_u32..).zip(&mut *self.ring) {
            if matches!(&staging.state, WriteState::InFlight { ticket, .. } if ticket.is_done()) {
                staging.state = WriteState::Mapped;
                if let Some(trace) = &self.loaded.trace {
                    trace.returned(ring_index);
                }
                staging.give(ring_index, self.pages)?;
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

fn new_encoder(loaded: &Loaded) -> CommandEncoder {
    loaded.gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some("replay") })
}
