//! How a session is opened: from a source, on a device, with options.

use super::context::Context;
use super::opening;
use super::run::Session;
use crate::api::{Error, Options};
use crate::io::Source;

/// Opens a session. Without a context the session has a device of its own, with just the limits that its plan needs.
#[must_use = "nothing is opened before `open` or `open_async`"]
pub struct SessionBuilder<'a> {
    source: Source,
    context: Option<&'a Context>,
    options: Options,
}

impl Session {
    /// Opens a bundle from a file, by its path, or from any [`Source`].
    pub fn builder(source: impl Into<Source>) -> SessionBuilder<'static> {
        SessionBuilder { source: source.into(), context: None, options: Options::default() }
    }
}

impl<'a> SessionBuilder<'a> {
    /// Uses a device that other sessions use too; [`Options::adapter`] is ignored then.
    pub fn on<'b>(self, context: &'b Context) -> SessionBuilder<'b> {
        SessionBuilder { context: Some(context), source: self.source, options: self.options }
    }

    /// Instead of the default options.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Opens the session. Pages for the first run are read, and pipelines created, from here on: a run that comes soon finds a
    /// part of its work done, and waits for the rest.
    ///
    /// # Errors
    /// A file that cannot be opened, an invalid bundle, a budget below its declared peak, no adapter, a missing limit, no device
    /// memory. All but the last are found before anything is allocated on the device. A kernel that the device rejects fails
    /// the first run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(self) -> Result<Session, Error> {
        pollster::block_on(self.open_async())
    }

    /// Opens the session where blocking is not allowed: in browsers, and with a source that answers later, nothing blocks.
    /// Elsewhere drivers block while they create devices.
    ///
    /// # Errors
    /// As for a blocking `open`.
    pub async fn open_async(self) -> Result<Session, Error> {
        let Self { source, context, options } = self;
        let (source, file_mode) = source.open(options.io_mode)?;
        opening::open(context, source, file_mode, options).await
    }
}
