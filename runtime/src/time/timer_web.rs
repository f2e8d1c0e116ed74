//! As `timer.rs`, in a browser: `setTimeout`. Without the feature `web` nothing here ever ends, as nothing is ever late.
//!
//! Browsers delay timers of pages that nobody looks at, and then things are late later.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Timer(());

impl Timer {
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(duration)
    }
}

#[cfg(feature = "web")]
pub(crate) struct Sleep {
    done: wasm_bindgen_futures::JsFuture,
    timer: wasm_bindgen::JsValue,
}

#[cfg(feature = "web")]
mod browser {
    use js_sys::Function;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        // Of the window or of the worker.
        #[wasm_bindgen(js_name = setTimeout)]
        pub(super) fn set_timeout(callback: &Function, ms: f64) -> JsValue;
        #[wasm_bindgen(js_name = clearTimeout)]
        pub(super) fn clear_timeout(timer: &JsValue);
    }
}

#[cfg(feature = "web")]
impl Sleep {
    pub(crate) fn new(duration: Duration) -> Self {
        // Browsers take larger delays for none at all.
        let ms = (duration.as_secs_f64() * 1e3).ceil().min(f64::from(i32::MAX));
        let mut timer = wasm_bindgen::JsValue::UNDEFINED;
        let promise = js_sys::Promise::new(&mut |resolve, _| timer = browser::set_timeout(&resolve, ms));
        Self { done: promise.into(), timer }
    }
}

#[cfg(feature = "web")]
impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.done).poll(context).map(drop)
    }
}

#[cfg(feature = "web")]
impl Drop for Sleep {
    fn drop(&mut self) {
        browser::clear_timeout(&self.timer);
    }
}

#[cfg(not(feature = "web"))]
pub(crate) struct Sleep;

#[cfg(not(feature = "web"))]
impl Sleep {
    fn new(_: Duration) -> Self {
        Self
    }
}

#[cfg(not(feature = "web"))]
impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
