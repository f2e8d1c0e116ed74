//! A source whose n-th read misbehaves, and what a session must say about it.
//!
//! The expected error follows from where in the file the read was, so that it is known for every read of opening and of a
//! run, in whatever order threads come to it.

use flashmem_plan_format::container::{Bundle, BundleError, OpenedBundle, SectionKind};
use flashmem_plan_format::plan::PageId;
use flashmem_runtime::{Error, MemorySource, ReadAt};
use std::io;
use std::sync::{Arc, Condvar, Mutex};

/// How a read misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// The device reports an error.
    Error,
    /// The file ends early.
    Short,
    /// A bit in the middle is wrong.
    Flip,
    /// The source panics.
    Panic,
    /// The read does not end before [`Injector::release`].
    Stall,
}

#[derive(Default)]
struct State {
    reads: u32,
    armed: Option<(u32, Misdeed)>,
    /// Offset and length of the read that misbehaved.
    hit: Option<(u64, u64)>,
    stalling: bool,
}

pub struct Injector {
    bytes: Vec<u8>,
    bundle: Bundle,
    state: Mutex<State>,
    released: Condvar,
}

impl Injector {
    pub fn new(bytes: &[u8]) -> Arc<Self> {
        let bundle = OpenedBundle::open(&MemorySource(bytes.into())).unwrap().bundle;
        Arc::new(Self { bytes: bytes.to_vec(), bundle, state: Mutex::default(), released: Condvar::new() })
    }

    /// The `index`-th read from now on misbehaves, once.
    pub fn arm(&self, index: u32, misdeed: Misdeed) {
        let mut state = self.state.lock().unwrap();
        let at = state.reads + index;
        *state =
            State { armed: Some((at, misdeed)), stalling: misdeed == Misdeed::Stall, reads: state.reads, hit: None };
    }

    /// Ends a stalled read, and misbehaves no more.
    pub fn release(&self) {
        let mut state = self.state.lock().unwrap();
        state.armed = None;
        state.stalling = false;
        self.released.notify_all();
    }

    /// Reads so far.
    pub fn reads(&self) -> u32 {
        self.state.lock().unwrap().reads
    }

    /// Whether the armed read came.
    pub fn was_hit(&self) -> bool {
        self.state.lock().unwrap().hit.is_some()
    }

    /// Whether the read that misbehaved was of a page.
    pub fn hit_a_page(&self) -> bool {
        let hit = self.state.lock().unwrap().hit;
        hit.is_some_and(|(offset, _)| offset >= self.bundle.page_offset_bytes(PageId(0)))
    }

    /// Whether this is the right error for the read that misbehaved.
    pub fn expects(&self, misdeed: Misdeed, error: &Error) -> bool {
        let (offset, length) = self.state.lock().unwrap().hit.expect("nothing misbehaved");
        let middle = offset + length / 2;
        let section = self
            .bundle
            .sections()
            .iter()
            .find(|section| (section.offset_bytes..section.offset_bytes + section.length_bytes).contains(&middle));
        match (section.map(|section| section.kind), misdeed) {
            (Some(SectionKind::Pages), _) => self.expects_page(offset, misdeed, error),
            (Some(SectionKind::Rows), Misdeed::Flip) => {
                matches!(error, Error::Bundle(BundleError::RowChecksum { table, offset_bytes, .. })
                    if (*offset_bytes..*offset_bytes + self.row_stride_bytes(*table)).contains(&middle))
            }
            (Some(SectionKind::Rows), Misdeed::Error | Misdeed::Short) => {
                matches!(error, Error::RowRead { offset_bytes, source, .. }
                    if *offset_bytes == offset && source.kind() == misdeed.kind())
            }
            (_, Misdeed::Error | Misdeed::Short) => {
                matches!(error, Error::Bundle(BundleError::Read { offset_bytes, length_bytes, source })
                    if (*offset_bytes, *length_bytes) == (offset, length) && source.kind() == misdeed.kind())
            }
            (Some(kind), Misdeed::Flip) => {
                matches!(error, Error::Bundle(BundleError::SectionHash { section, offset_bytes })
                    if *section == kind && *offset_bytes == offset)
            }
            // Header, section table or padding: every field has its own error.
            (None, Misdeed::Flip) => matches!(error, Error::Bundle(_)),
            (_, Misdeed::Panic) => matches!(error, Error::SourcePanic { .. }),
            (_, Misdeed::Stall) => matches!(error, Error::ReadTimeout { offset_bytes, .. } if *offset_bytes == offset),
        }
    }

    /// Several rows may come with one read; the damaged one is named.
    fn row_stride_bytes(&self, table: u32) -> u64 {
        self.bundle.plan.row_tables[table as usize].row_stride_bytes()
    }

    fn expects_page(&self, offset: u64, misdeed: Misdeed, error: &Error) -> bool {
        let page_bytes = self.bundle.plan.page.page_bytes();
        let index = (offset - self.bundle.page_offset_bytes(PageId(0))) / page_bytes;
        let hit = PageId(index as u32);
        let start = self.bundle.page_offset_bytes(hit);
        match misdeed {
            Misdeed::Flip => {
                matches!(error, Error::Bundle(BundleError::PageChecksum { page, offset_bytes, .. })
                    if (*page, *offset_bytes) == (hit, start))
            }
            Misdeed::Error | Misdeed::Short => {
                matches!(error, Error::PageRead { page, offset_bytes, source }
                    if (*page, *offset_bytes) == (hit, offset) && source.kind() == misdeed.kind())
            }
            Misdeed::Panic => {
                matches!(error, Error::PageRead { page, offset_bytes, .. } if (*page, *offset_bytes) == (hit, start))
            }
            Misdeed::Stall => matches!(error, Error::ReadTimeout { offset_bytes, .. } if *offset_bytes == start),
        }
    }
}

impl Misdeed {
    fn kind(self) -> io::ErrorKind {
        match self {
            Self::Short => io::ErrorKind::UnexpectedEof,
            Self::Error | Self::Flip | Self::Panic | Self::Stall => io::ErrorKind::ConnectionReset,
        }
    }
}

impl ReadAt for Injector {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = offset_bytes as usize;
        buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
        let mut state = self.state.lock().unwrap();
        let misdeed = state.armed.filter(|(at, _)| *at == state.reads).map(|(_, misdeed)| misdeed);
        state.reads += 1;
        let Some(misdeed) = misdeed else { return Ok(()) };
        state.hit = Some((offset_bytes, buffer.len() as u64));
        match misdeed {
            Misdeed::Error | Misdeed::Short => Err(misdeed.kind().into()),
            Misdeed::Flip => {
                buffer[buffer.len() / 2] ^= 1;
                Ok(())
            }
            Misdeed::Panic => {
                drop(state);
                // Without the noise of the default hook.
                std::panic::resume_unwind(Box::new("a source that panics"));
            }
            Misdeed::Stall => {
                while state.stalling {
                    state = self.released.wait(state).unwrap();
                }
                Ok(())
            }
        }
    }
}
