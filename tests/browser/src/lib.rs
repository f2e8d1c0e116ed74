//! The page's side: opens a bundle by range requests, runs it on WebGPU, and gives the bytes of its outputs.
//!
//! It deliberately compares nothing with other devices: the server's side (`main.rs`) does.
#![cfg(target_arch = "wasm32")]

use flashmem_runtime::{AsyncReadAt as _, Options, Outputs, Session, Source, Tensor, WebSource};
use js_sys::{Array, Uint8Array};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
// What the attribute makes of an asynchronous function calls it.
use wasm_bindgen_futures as _;

/// Longest wait for a step of a request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same, where the answer never comes.
const SHORT_TIMEOUT: Duration = Duration::from_millis(500);

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Says what panics say.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
}

/// Runs the bundle at `url` on every set of inputs, which lie one after the other, with `readers` pages on their way.
/// Gives the outputs of all, and the statistics as JSON.
///
/// # Errors
/// Whatever opening or a run says, as text; runs that differ.
#[wasm_bindgen]
pub async fn run(url: String, inputs: Vec<u8>, readers: u32) -> Result<Array, JsValue> {
    let source = WebSource::open(&url, TIMEOUT).await.map_err(text)?;
    let options = Options { reader_threads: readers, ..Options::default() };
    let mut session =
        Session::builder(Source::Async(Arc::new(source))).options(options).open_async().await.map_err(text)?;
    let mut outputs = Vec::new();
    let mut rest = inputs.as_slice();
    let mut first = None;
    while !rest.is_empty() {
        let set = next_set(&session, &mut rest)?;
        let given = session.run_async(&set).await.map_err(text)?;
        outputs.extend(given.tensors.iter().flat_map(|(_, tensor)| &tensor.bytes));
        first.get_or_insert((set, given));
    }
    if let Some((set, given)) = first {
        check_again(&mut session, &set, &given).await?;
    }
    session.self_test_async().await.map_err(text)?;
    let stats = serde_json::to_string(&session.stats()).map_err(text)?;
    Ok(Array::of2(&Uint8Array::from(outputs.as_slice()), &stats.into()))
}

/// The first run's outputs must come again: from pages that stayed, and after the memory was given back.
async fn check_again(session: &mut Session, set: &[(String, Tensor)], given: &Outputs) -> Result<(), JsValue> {
    for trims in [false, true] {
        if trims {
            session.trim_async().await.map_err(text)?;
        }
        if session.run_async(set).await.map_err(text)? != *given {
            return Err(format!("another run gives other outputs (after a trim: {trims})").into());
        }
    }
    Ok(())
}

/// What a source says about the file at `url`, whose server misbehaves.
#[wasm_bindgen]
pub async fn refusal(url: String) -> String {
    let source = match WebSource::open(&url, SHORT_TIMEOUT).await {
        Ok(source) => source,
        Err(error) => return format!("opening: {error}"),
    };
    let mut bytes = [0; 500];
    match source.read_at(100, &mut bytes).await {
        Ok(()) => "nothing is refused".to_owned(),
        Err(error) => format!("reading: {error}"),
    }
}

/// Takes the inputs of one run.
fn next_set(session: &Session, rest: &mut &[u8]) -> Result<Vec<(String, Tensor)>, JsValue> {
    let mut set = Vec::new();
    for port in session.inputs() {
        let elements: u64 = port.shape.iter().product();
        let size_bytes = elements as usize * port.element.api_bytes() as usize;
        let (bytes, after) = rest.split_at_checked(size_bytes).ok_or("the inputs end early")?;
        set.push((port.name, Tensor { element: port.element, shape: port.shape, bytes: bytes.to_vec() }));
        *rest = after;
    }
    Ok(set)
}

/// An error with its causes.
fn text(error: impl Error + 'static) -> JsValue {
    let causes = std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").into()
}
