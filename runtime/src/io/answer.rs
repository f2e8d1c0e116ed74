//! What a server's answer to a range request must say, whoever sent the request.
//!
//! It takes the headers as text and knows neither connections nor browsers.

use std::io;

/// Why a server's answer is no part of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum HttpError {
    /// Not a plain address.
    #[error("`{url}` is no address of the form http://host[:port]/path")]
    Url { url: String },
    /// Another status than 206.
    #[error("the server answers `{status}` to a range request; 206 is needed")]
    Status { status: String },
    /// A head that cannot be understood, or is too long.
    #[error("the server's answer has no valid head: {reason}")]
    Head { reason: &'static str },
    /// No range at all. In a browser, servers of another origin must allow that it is seen.
    #[error("the server's answer has no Content-Range, or the browser may not see it (Access-Control-Expose-Headers)")]
    NoRange,
    /// Another range than the one asked for.
    #[error("the server sends `{found}`, and bytes {start_bytes} to {end_bytes} were asked for")]
    Range { start_bytes: u64, end_bytes: u64, found: String },
    /// More bytes than the range has.
    #[error("the server sends more than bytes {start_bytes} to {end_bytes}")]
    Long { start_bytes: u64, end_bytes: u64 },
    /// The file is not the one that was opened.
    #[error("the file changed on the server while it was read")]
    Changed,
    /// The browser got no answer, or not all of it.
    #[error("the browser cannot fetch the file: {message}")]
    Browser { message: String },
}

impl From<HttpError> for io::Error {
    fn from(error: HttpError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The file that was opened, by what servers send with every range of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    pub(super) size_bytes: u64,
    tag: Option<String>,
}

impl Version {
    /// By the headers Content-Range and ETag of an answer to a request for the first byte.
    pub(super) fn of(range: Option<String>, tag: Option<String>) -> Result<Self, HttpError> {
        let found = range.ok_or(HttpError::NoRange)?;
        let size = found.strip_prefix("bytes 0-0/").and_then(|size| size.parse().ok());
        let size_bytes = size.ok_or(HttpError::Range { start_bytes: 0, end_bytes: 1, found })?;
        Ok(Self { size_bytes, tag })
    }

    /// Whether an answer with these headers has the bytes from `start_bytes` to `end_bytes` of this file.
    pub(super) fn check(
        &self,
        start_bytes: u64,
        end_bytes: u64,
        range: Option<String>,
        tag: Option<String>,
    ) -> Result<(), HttpError> {
        let found = range.ok_or(HttpError::NoRange)?;
        if tag != self.tag || !found.ends_with(&format!("/{}", self.size_bytes)) {
            return Err(HttpError::Changed);
        }
        if found != format!("bytes {start_bytes}-{}/{}", end_bytes - 1, self.size_bytes) {
            return Err(HttpError::Range { start_bytes, end_bytes, found });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_and_other_ranges_are_told_apart() {
        let text = |text: &str| Some(text.to_owned());
        let version = Version::of(text("bytes 0-0/900"), text("\"1\"")).unwrap();
        assert_eq!(version.size_bytes, 900);
        let check = |range, tag| version.check(100, 200, range, tag);
        assert_eq!(check(text("bytes 100-199/900"), text("\"1\"")), Ok(()));
        assert_eq!(check(text("bytes 100-199/900"), text("\"2\"")), Err(HttpError::Changed));
        assert_eq!(check(text("bytes 100-199/900"), None), Err(HttpError::Changed));
        assert_eq!(check(text("bytes 100-199/901"), text("\"1\"")), Err(HttpError::Changed));
        assert_eq!(check(None, text("\"1\"")), Err(HttpError::NoRange));
        assert!(matches!(check(text("bytes 100-198/900"), text("\"1\"")), Err(HttpError::Range { .. })));
        assert!(matches!(Version::of(text("bytes 0-1/900"), None), Err(HttpError::Range { .. })));
        assert_eq!(Version::of(None, None).unwrap_err(), HttpError::NoRange);
    }
}
