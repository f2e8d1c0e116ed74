//! All pages of a program in order, made by several threads.
//!
//! Thread t makes pages t, t + threads, … and hands each over before it makes the next but one; the caller takes them in
//! order. So the bytes and the first error are those of one thread, and memory is a few pages a thread. It deliberately
//! writes nothing: the caller does.

use super::{PackError, Packer};
use crate::lower::program::Program;
use crate::narrow::count32;
use std::sync::mpsc::sync_channel;

/// Pages that a thread may have ready beside the one it is making.
const READY_PAGES: usize = 1;

/// Gives every page of the stream to `take`, in order, until one of both fails.
///
/// # Errors
/// Those of packing, and those of `take`.
pub fn pages<E: From<PackError>>(
    program: &Program,
    threads: u32,
    mut take: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let count = count32(program.pages());
    let threads = threads.clamp(1, count.max(1));
    std::thread::scope(|scope| {
        let receivers: Vec<_> = (0..threads)
            .map(|thread| {
                let (sender, receiver) = sync_channel(READY_PAGES);
                scope.spawn(move || {
                    let mut packer = Packer::new(program);
                    for index in (thread..count).step_by(threads as usize) {
                        let page = packer.page(index);
                        let failed = page.is_err();
                        // The receiver is gone when an earlier page or the caller failed.
                        if sender.send(page).is_err() || failed {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for index in 0..count {
            let page = receivers[(index % threads) as usize].recv();
            take(page.expect("a thread sends all of its pages or an error, which ends the loop")?)?;
        }
        Ok(())
    })
}
