//! A bundle on a web server, in a browser: range requests with `fetch`, in pages and in workers.
//!
//! Every answer is checked as `http.rs` checks it, and its body is streamed, so that no answer is ever held as a whole. Every
//! wait has a limit, after which the request is aborted; so is the request of a read that is dropped. The browser's cache is
//! passed by: it would keep a second copy of the file, and answer requests for one address one after another. Keeping
//! bundles on the device is deliberately not here: an app that does so implements [`AsyncReadAt`] on its own store.

use super::answer::{HttpError, Version};
use super::async_source::{AsyncReadAt, PieceFn, ReadFuture};
use crate::time::Sleep;
use js_sys::{Promise, Reflect, Uint8Array};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

#[wasm_bindgen]
extern "C" {
    // Of the window or of the worker.
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &RequestInit) -> Promise;
}

/// A file on a web server.
#[derive(Debug)]
pub struct WebSource {
    url: String,
    timeout: Duration,
    version: Version,
}

impl WebSource {
    /// Asks for the size of the file at `url`, which may be relative to the page. No step of this or of any later read waits
    /// longer than `timeout`. Servers of another origin must allow it, and that Content-Range and ETag are seen.
    ///
    /// # Errors
    /// A server that cannot be reached, does not answer in time, or does not serve ranges.
    pub async fn open(url: &str, timeout: Duration) -> io::Result<Self> {
        let mut source = Self { url: url.to_owned(), timeout, version: Version::default() };
        let request = Request::new(timeout)?;
        let answer = source.ask(&request, 0, 1).await?;
        source.version = Version::of(header(&answer, "content-range"), header(&answer, "etag"))?;
        Ok(source)
    }

    /// Asks for bytes, and gives an answer that has a part of a file.
    async fn ask(&self, request: &Request, start_bytes: u64, end_bytes: u64) -> io::Result<Response> {
        let headers = Headers::new().map_err(failed)?;
        headers.set("Range", &format!("bytes={start_bytes}-{}", end_bytes - 1)).map_err(failed)?;
        let init = RequestInit::new();
        init.set_headers_headers(&headers);
        init.set_cache(RequestCache::NoStore);
        init.set_signal(Some(&request.controller.signal()));
        let answer: Response = request.wait(global_fetch(&self.url, &init)).await?.unchecked_into();
        if answer.status() != 206 {
            let status = format!("{} {}", answer.status(), answer.status_text());
            return Err(HttpError::Status { status: status.trim_end().to_owned() }.into());
        }
        Ok(answer)
    }

    /// Gives the bytes to `chunk` as they come, in order and completely.
    async fn receive(&self, start_bytes: u64, length: u64, chunk: &mut dyn FnMut(&Uint8Array)) -> io::Result<()> {
        super::range::check_range(self.version.size_bytes, start_bytes, usize::try_from(length).unwrap_or(usize::MAX))?;
        if length == 0 {
            return Ok(());
        }
        let end_bytes = start_bytes + length;
        let request = Request::new(self.timeout)?;
        let answer = self.ask(&request, start_bytes, end_bytes).await?;
        let (range, tag) = (header(&answer, "content-range"), header(&answer, "etag"));
        self.version.check(start_bytes, end_bytes, range, tag)?;
        let body = answer.body().ok_or(io::ErrorKind::UnexpectedEof)?;
        let body: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let mut left = length;
        loop {
            let read = request.wait(body.read()).await?;
            if Reflect::get(&read, &"done".into()).map_err(failed)?.is_truthy() {
                break;
            }
            let bytes: Uint8Array = Reflect::get(&read, &"value".into()).map_err(failed)?.unchecked_into();
            let fits = left.checked_sub(bytes.length().into());
            left = fits.ok_or(HttpError::Long { start_bytes, end_bytes })?;
            chunk(&bytes);
        }
        if left > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl AsyncReadAt for WebSource {
    fn size_bytes(&self) -> u64 {
        self.version.size_bytes
    }

    fn read_at<'a>(&'a self, offset_bytes: u64, buffer: &'a mut [u8]) -> ReadFuture<'a> {
        Box::pin(async move {
            let (length, mut done) = (buffer.len() as u64, 0);
            let mut copy = |bytes: &Uint8Array| {
                let end = done + bytes.length() as usize;
                bytes.copy_to(&mut buffer[done..end]);
                done = end;
            };
            self.receive(offset_bytes, length, &mut copy).await
        })
    }

    fn read_pieces<'a>(
        &'a self,
        offset_bytes: u64,
        length_bytes: u64,
        buffer: &'a mut [u8],
        piece: PieceFn<'a>,
    ) -> ReadFuture<'a> {
        Box::pin(async move {
            if buffer.is_empty() && length_bytes > 0 {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            let mut cut = |bytes: &Uint8Array| {
                for start in (0..bytes.length()).step_by(most as usize) {
                    let part = bytes.subarray(start, start.saturating_add(most).min(bytes.length()));
                    let target = &mut buffer[..part.length() as usize];
                    part.copy_to(target);
                    piece(target);
                }
            };
            self.receive(offset_bytes, length_bytes, &mut cut).await
        })
    }
}

/// A request that is aborted when it is dropped, as after a step that takes too long.
struct Request {
    controller: AbortController,
    timeout: Duration,
}

impl Request {
    fn new(timeout: Duration) -> io::Result<Self> {
        Ok(Self { controller: AbortController::new().map_err(failed)?, timeout })
    }

    /// Waits for a step.
    async fn wait(&self, step: Promise) -> io::Result<JsValue> {
        let (mut step, mut limit) = (JsFuture::from(step), Sleep::new(self.timeout));
        std::future::poll_fn(|context| match Pin::new(&mut step).poll(context) {
            Poll::Ready(result) => Poll::Ready(result.map_err(failed)),
            Poll::Pending => Pin::new(&mut limit).poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        })
        .await
    }
}

impl Drop for Request {
    /// It ends what is still on its way, and is nothing to a request that is done.
    fn drop(&mut self) {
        self.controller.abort();
    }
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).ok().flatten()
}

/// What the browser says.
fn failed(error: JsValue) -> io::Error {
    let said = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    let message = said.unwrap_or_else(|| format!("{error:?}"));
    io::Error::new(io::ErrorKind::NotConnected, HttpError::Browser { message })
}
