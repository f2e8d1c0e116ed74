//! How bundles are opened: where they are, how their files are read, and what is said of one that cannot be opened.

use flashmem_runtime::{IoMode, Options, Session, Source};
use std::path::Path;

/// Opens a file, or a bundle on a web server.
pub fn open(path: &Path, options: Options) -> anyhow::Result<Session> {
    let source = source(path)?;
    Ok(Session::builder(source).options(options).open()?)
}

fn source(path: &Path) -> anyhow::Result<Source> {
    #[cfg(feature = "http")]
    if let Some(url) = path.to_str().filter(|text| text.starts_with("http://")) {
        let source = flashmem_runtime::HttpSource::open(url, HTTP_TIMEOUT)?;
        return Ok(Source::Blocking(std::sync::Arc::new(source)));
    }
    Ok(path.into())
}

/// Says which bundle cannot be opened, unless the error does.
pub fn cannot_open(bundle: &Path, error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(flashmem_runtime::Error::OpenFile { .. }) => error,
        Some(_) | None => error.context(format!("cannot open {}", bundle.display())),
    }
}

/// Longest wait for a server at every step.
#[cfg(feature = "http")]
const HTTP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// The mode of that name.
pub fn parse_io_mode(text: &str) -> Result<IoMode, String> {
    let names: Vec<_> = IoMode::ALL.map(IoMode::name).into();
    let found = IoMode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| format!("`{text}` is none of {}", names.join(", ")))
}
