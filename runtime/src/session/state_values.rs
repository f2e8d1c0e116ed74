//! Values of states, between runs: read by the host, set by it, or copied from another session of the bundle.
//!
//! They travel through buffers that the plan declares: the one that outputs are read back with, and a staging buffer, in pieces, so
//! that nothing is allocated. Within one device a copy never leaves it.

use super::run::{Condition, Session};
use crate::api::{Error, InputError, Tensor};
use crate::device::{Gpu, unmapped};
use crate::loaded::{HeldRows, ReadBuffer, WriteBuffer, WriteState, temporary_buffer};
use crate::replay::convert;
use crate::time::Wait;
use flashmem_plan_format::plan::State;
use wgpu::{Buffer, CommandEncoderDescriptor, MapMode};

/// Bytes of every element on the device.
const DEVICE_BYTES: u64 = 4;

impl Session {
    /// What a state holds, in the type and shape of [`Session::states`]. A session that was trimmed takes its memory again.
    ///
    /// # Errors
    /// [`Error::UnknownState`], [`Error::StateOfSeveral`], and trouble of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn state(&mut self, name: &str) -> Result<Tensor, Error> {
        pollster::block_on(self.read_named(name, true))
    }

    /// As [`Session::state`], where blocking is not allowed.
    ///
    /// # Errors
    /// As for blocking.
    pub async fn state_async(&mut self, name: &str) -> Result<Tensor, Error> {
        self.read_named(name, false).await
    }

    /// Sets a state: the next run finds this value. A session that was trimmed takes its memory again.
    ///
    /// # Errors
    /// [`Error::UnknownState`], [`Error::StateOfSeveral`], a value of another type or shape ([`InputError`]; the state is then as it was),
    /// and trouble of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn set_state(&mut self, name: &str, value: &Tensor) -> Result<(), Error> {
        pollster::block_on(self.write_named(name, value, true))
    }

    /// As [`Session::set_state`], where blocking is not allowed. Whoever drops the future has set a part of the state.
    ///
    /// # Errors
    /// As for blocking.
    pub async fn set_state_async(&mut self, name: &str, value: &Tensor) -> Result<(), Error> {
        self.write_named(name, value, false).await
    }

    /// Makes all states those of another session of the same bundle, as they are between its runs: both go on from there. Sessions on
    /// one [`Context`](crate::Context) copy on the device, others through the host.
    ///
    /// # Errors
    /// [`Error::OtherBundle`], and trouble of a device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn copy_states_from(&mut self, other: &mut Self) -> Result<(), Error> {
        pollster::block_on(self.copy_in(other, true))
    }

    /// As [`Session::copy_states_from`], where blocking is not allowed.
    ///
    /// # Errors
    /// As for blocking.
    pub async fn copy_states_from_async(&mut self, other: &mut Self) -> Result<(), Error> {
        self.copy_in(other, false).await
    }

    async fn read_named(&mut self, name: &str, may_block: bool) -> Result<Tensor, Error> {
        self.check_lost()?;
        let state = self.find_state(name)?;
        self.read_state(&state, &Wait::new(self.options.timeout, may_block, None)).await
    }

    async fn write_named(&mut self, name: &str, value: &Tensor, may_block: bool) -> Result<(), Error> {
        self.check_lost()?;
        let state = self.find_state(name)?;
        check_value(&state, value)?;
        self.write_state(&state, value, &Wait::new(self.options.timeout, may_block, None)).await
    }

    async fn copy_in(&mut self, other: &mut Self, may_block: bool) -> Result<(), Error> {
        self.check_lost()?;
        other.check_lost()?;
        if self.loaded.whole.hash != other.loaded.whole.hash {
            return Err(Error::OtherBundle);
        }
        let (gpu, during) = (&self.loaded.gpu, "copying states");
        if gpu.is(&other.loaded.gpu) {
            let both = self.state_buffer().zip(other.state_buffer());
            let Some(((to, state_bytes), (from, _))) = both else { return Ok(()) };
            gpu.check(during)?;
            let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(during) });
            encoder.copy_buffer_to_buffer(from, 0, to, 0, state_bytes);
            gpu.queue.submit([encoder.finish()]);
            return gpu.check(during);
        }
        for index in 0..self.loaded.whole.plan.states.len() {
            let state = self.loaded.whole.plan.states[index].clone();
            let wait = |timeout| Wait::new(timeout, may_block, None);
            let value = other.read_state(&state, &wait(other.options.timeout)).await?;
            self.write_state(&state, &value, &wait(self.options.timeout)).await?;
        }
        Ok(())
    }

    /// The only state of this name.
    fn find_state(&self, name: &str) -> Result<State, Error> {
        let states = &self.loaded.whole.plan.states;
        let mut found = states.iter().filter(|state| state.input == name);
        let available = || states.iter().map(|state| state.input.clone()).collect();
        let state =
            found.next().ok_or_else(|| Error::UnknownState { name: name.to_owned(), available: available() })?;
        match found.next() {
            Some(_) => Err(Error::StateOfSeveral { name: name.to_owned() }),
            None => Ok(state.clone()),
        }
    }

    async fn read_state(&mut self, state: &State, wait: &Wait) -> Result<Tensor, Error> {
        let repeats = self.prepare(wait).await?;
        let source = self.loaded.device_state().resources.buffer(state.slice);
        let readback =
            self.buffers.readback.first_mut().expect("a plan with states has something to read them back with");
        let result = read(&self.loaded.gpu, source, readback, state, wait).await;
        self.settled_again(repeats, result)
    }

    async fn write_state(&mut self, state: &State, value: &Tensor, wait: &Wait) -> Result<(), Error> {
        let repeats = self.prepare(wait).await?;
        self.settle(wait).await?;
        self.condition = Condition::Unsettled;
        let (gpu, buffers) = (&self.loaded.gpu, &mut self.buffers);
        let mut temporary = None;
        let carrier = match (buffers.ring.last_mut(), &mut buffers.input) {
            (Some(staging), _) => staging,
            (None, Some(input)) => {
                // It will not have what it had.
                buffers.rows = HeldRows::none(&self.loaded.bundle.plan);
                input
            }
            (None, None) => temporary.insert(temporary_buffer(gpu).await?),
        };
        let target = self.loaded.device_state().resources.buffer(state.slice);
        let result = write(gpu, carrier, target, (state, value), wait).await;
        self.settled_again(repeats, result)
    }

    /// After values have travelled: what runs rely on is as it was, unless that failed.
    fn settled_again<T>(&mut self, repeats: bool, result: Result<T, Error>) -> Result<T, Error> {
        match &result {
            Ok(_) => self.condition = Condition::Settled { repeats },
            Err(error) if error.loses_session() => self.lose(error),
            Err(_) => {}
        }
        result
    }

    /// Where all states lie, and where they end, in a session that has any.
    pub(super) fn state_buffer(&self) -> Option<(&Buffer, u64)> {
        let kept = self.loaded.device_state.as_ref().and_then(|device| device.resources.states.as_ref());
        let state_bytes = self.loaded.whole.plan.state_bytes().filter(|bytes| *bytes > 0)?;
        Some((kept.or(self.states.as_ref())?, state_bytes))
    }
}

/// Refuses a value of another type or shape.
fn check_value(state: &State, value: &Tensor) -> Result<(), InputError> {
    let name = || state.input.clone();
    if value.element != state.element {
        return Err(InputError::Element { name: name(), found: value.element, expected: state.element });
    }
    if value.shape != state.shape {
        return Err(InputError::Shape { name: name(), found: value.shape.clone(), expected: state.shape.clone() });
    }
    let expected_bytes = state.slice.size_bytes / DEVICE_BYTES * state.element.api_bytes();
    let found_bytes = value.bytes.len() as u64;
    if found_bytes != expected_bytes {
        return Err(InputError::Length { name: name(), found_bytes, expected_bytes });
    }
    Ok(())
}

async fn read(
    gpu: &Gpu,
    source: &Buffer,
    readback: &mut ReadBuffer,
    state: &State,
    wait: &Wait,
) -> Result<Tensor, Error> {
    let during = "reading a state";
    gpu.check(during)?;
    let slice = state.slice;
    let mut bytes = Vec::with_capacity((slice.size_bytes / DEVICE_BYTES * state.element.api_bytes()) as usize);
    let mut done_bytes = 0;
    while done_bytes < slice.size_bytes {
        let piece_bytes = readback.buffer.size().min(slice.size_bytes - done_bytes);
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(during) });
        encoder.copy_buffer_to_buffer(source, slice.offset_bytes + done_bytes, &readback.buffer, 0, piece_bytes);
        let submission = gpu.queue.submit([encoder.finish()]);
        // From here on it must be unmapped, even if this is dropped while it waits.
        readback.mapped = true;
        let mut ticket = gpu.map(&readback.buffer, MapMode::Read);
        gpu.wait(&mut ticket, Some(&submission), during, wait).await?;
        let view = readback.buffer.get_mapped_range(..piece_bytes).map_err(|error| unmapped(during, &error))?;
        convert::from_device(state.element, &view, &mut bytes);
        drop(view);
        readback.unmap();
        done_bytes += piece_bytes;
    }
    gpu.check(during)?;
    Ok(Tensor { element: state.element, shape: state.shape.clone(), bytes })
}

/// The carrier is mapped before and after.
async fn write(
    gpu: &Gpu,
    carrier: &mut WriteBuffer,
    target: &Buffer,
    (state, value): (&State, &Tensor),
    wait: &Wait,
) -> Result<(), Error> {
    let during = "setting a state";
    gpu.check(during)?;
    let element_bytes = state.element.api_bytes();
    let pieces = value.bytes.chunks((carrier.buffer.size() / DEVICE_BYTES * element_bytes) as usize);
    let mut offset_bytes = state.slice.offset_bytes;
    for piece in pieces {
        let mut view = carrier.buffer.get_mapped_range_mut(..).map_err(|error| unmapped(during, &error))?;
        let mut position = 0;
        let converted = convert::to_device(state.element, piece, |bytes| {
            view.slice(position..position + bytes.len()).copy_from_slice(bytes);
            position += bytes.len();
        });
        converted.map_err(|convert::OutOfRange { index, value }| InputError::IntegerRange {
            name: state.input.clone(),
            index,
            value,
        })?;
        drop(view);
        carrier.buffer.unmap();
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(during) });
        encoder.copy_buffer_to_buffer(&carrier.buffer, 0, target, offset_bytes, position as u64);
        let submission = gpu.queue.submit([encoder.finish()]);
        let ticket = gpu.map(&carrier.buffer, MapMode::Write);
        carrier.state = WriteState::InFlight { ticket, submission: Some(submission) };
        carrier.settle(gpu, wait).await?;
        offset_bytes += position as u64;
    }
    gpu.check(during)
}
