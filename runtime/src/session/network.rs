//! Runs of a bundle that holds several networks, which take turns in one arena.
//!
//! Any order is right: a run leaves out the loads of pages that are there, whoever brought them. Which network comes next can be
//! announced, so that the run before loads for it when it no longer needs all slots. A run that fails leaves nothing to rely on, so
//! that the next run of every network reads everything again.

use super::run::{Condition, Session};
use crate::api::{Error, NetworkInfo, Outputs, RunRequest};
use crate::loaded::HeldRows;
use crate::replay;
use crate::time::{Stopwatch, Wait};
use std::sync::Arc;

impl Session {
    /// The networks of a bundle that was linked of several, in order; nothing of a bundle of one.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        (0..self.loaded.networks.list.len()).map(|position| self.loaded.networks.info(position)).collect()
    }

    /// One of several networks.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`].
    pub fn network(&self, name: &str) -> Result<NetworkInfo, Error> {
        Ok(self.loaded.networks.info(self.loaded.networks.position(name)?))
    }

    /// Says which network will run after the next run, so that this can load for it in its last steps. Only a hint: any network
    /// may run then, and gives the same. It counts for one run.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`].
    pub fn next(&mut self, name: &str) -> Result<(), Error> {
        self.announced = Some(self.loaded.networks.position(name)?);
        Ok(())
    }

    /// Runs one of several networks once; otherwise as [`Session::run`].
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`], and as for a run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_network<'a>(&mut self, name: &str, request: impl Into<RunRequest<'a>>) -> Result<Outputs, Error> {
        pollster::block_on(self.run_one(name, request.into(), true))
    }

    /// As a blocking run of one of several networks, without sleeping in the thread that polls it.
    ///
    /// # Errors
    /// As for a blocking run.
    pub async fn run_network_async<'a>(
        &mut self,
        name: &str,
        request: impl Into<RunRequest<'a>>,
    ) -> Result<Outputs, Error> {
        self.run_one(name, request.into(), false).await
    }

    async fn run_one(&mut self, name: &str, mut request: RunRequest<'_>, may_block: bool) -> Result<Outputs, Error> {
        let wait = Wait::new(self.options.timeout, may_block, request.cancel.take());
        self.check_lost()?;
        let position = self.loaded.networks.position(name)?;
        let bundle = Arc::clone(&self.loaded.networks.list[position].bundle);
        let tensors = replay::bind_inputs(&bundle.plan, &request.inputs)?;
        replay::check_inputs(&bundle.plan, &tensors)?;
        if !self.prepare(&wait).await? {
            self.loaded.networks.forget();
        }
        self.select(position);
        let running = Stopwatch::start();
        let commands = self.loaded.networks.commands(self.announced.take());
        let (list, buffers) = (commands.list(), &mut self.buffers);
        let result = replay::run((&self.loaded, &self.input), list, buffers, &tensors, &wait, &mut request).await;
        let outputs = self.after_run(running, result, &wait).await?;
        self.loaded.networks.follow(&commands);
        replay::check_outputs(&bundle.plan, &outputs)?;
        self.commit_states()?;
        Ok(outputs)
    }

    /// Makes a network the one that runs. Rows that another one has put into the input staging buffer are none of its.
    fn select(&mut self, position: usize) {
        debug_assert_eq!(self.condition, Condition::Unsettled);
        self.loaded.select(position);
        if !Arc::ptr_eq(&self.input.bundle, &self.loaded.bundle) {
            self.input.bundle = Arc::clone(&self.loaded.bundle);
            self.buffers.rows = HeldRows::none(&self.loaded.bundle.plan);
        }
    }
}
