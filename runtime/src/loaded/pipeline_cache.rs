//! What a driver learned when it created pipelines, kept in a directory of the app, for drivers that keep nothing themselves.
//!
//! There is a file for every device, written whole and renamed. A file that is damaged, foreign or too long is ignored and
//! replaced; wgpu and the driver check besides that it is theirs. Without a cache everything works as before, so nothing
//! here is an error: the state is in the statistics. The directory must not be one that others can write.

use crate::device::Gpu;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use wgpu::{Features, PipelineCache, PipelineCacheDescriptor};

/// First bytes of a file; then come the CRC-32C of the data (4 bytes, little endian) and the data.
const MAGIC: &[u8; 8] = b"FMPCACH1";

/// Longest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// What became of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheState {
    /// The device or its backend has none.
    Unsupported,
    /// There was no valid file; one is written when all pipelines are created.
    Empty,
    /// A file was loaded.
    Loaded,
}

impl CacheState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Empty => "empty",
            Self::Loaded => "loaded",
        }
    }
}

/// A cache that pipelines are created with.
pub(crate) struct DiskCache {
    path: PathBuf,
    cache: PipelineCache,
    /// Checksum of what was loaded.
    loaded: Option<u32>,
}

/// The cache for a device in a directory, and its state.
pub(crate) fn open(gpu: &Gpu, directory: &Path) -> (Option<DiskCache>, CacheState) {
    let key = wgpu::util::pipeline_cache_key(&gpu.info);
    let key = key.filter(|_| gpu.device.features().contains(Features::PIPELINE_CACHE));
    let Some(key) = key else { return (None, CacheState::Unsupported) };
    let path = directory.join(format!("{key}.bin"));
    let data = load(&path);
    let descriptor = PipelineCacheDescriptor { label: Some("pipelines"), data: data.as_deref(), fallback: true };
    // SAFETY: the data are what a cache of this kind of device gave, by name of the file and by checksum, or nothing; wgpu
    // compares its header with the device and starts empty when they differ.
    let cache = unsafe { gpu.device.create_pipeline_cache(&descriptor) };
    let state = if data.is_some() { CacheState::Loaded } else { CacheState::Empty };
    let loaded = data.as_deref().map(crc32c::crc32c);
    (Some(DiskCache { path, cache, loaded }), state)
}

impl DiskCache {
    /// What pipelines are created with.
    pub(super) const fn pipelines(&self) -> &PipelineCache {
        &self.cache
    }

    /// Writes what the driver learned, unless nothing is new. Whatever goes wrong, the next start finds an older cache or
    /// none.
    pub(super) fn save(&self) {
        let data = self.cache.get_data().unwrap_or_default();
        let checksum = crc32c::crc32c(&data);
        if data.is_empty() || self.loaded == Some(checksum) {
            return;
        }
        let bytes = [&MAGIC[..], &checksum.to_le_bytes(), &data].concat();
        let _ = self.path.parent().map(std::fs::create_dir_all);
        write_file(&self.path, &bytes);
    }
}

/// Sessions of several processes may write at once: each has a file of its own until it is whole.
#[cfg(not(target_arch = "wasm32"))]
fn write_file(path: &Path, bytes: &[u8]) {
    let _ = flashmem_plan_format::files::write(path, bytes);
}

/// There are no files.
#[cfg(target_arch = "wasm32")]
fn write_file(_path: &Path, _bytes: &[u8]) {}

/// The data of a file, if it is whole.
fn load(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (checksum, data) = rest.split_first_chunk::<4>()?;
    (crc32c::crc32c(data) == u32::from_le_bytes(*checksum)).then(|| data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySource, Options, Session, Source};
    use std::sync::Arc;

    fn run_in(directory: &Path) -> &'static str {
        let options = Options { cache_dir: Some(directory.to_owned()), ..Options::default() };
        let bundle = flashmem_plan_format::testing::small_bundle();
        let mut session = Session::builder(Source::Blocking(Arc::new(MemorySource::from(bundle))))
            .options(options.clone())
            .open()
            .unwrap();
        session.self_test().unwrap();
        session.stats().pipeline_cache.unwrap()
    }

    #[test]
    fn a_second_session_finds_what_the_first_left() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("not yet there");
        let first = run_in(&inside);
        if first == "unsupported" {
            assert!(!inside.exists());
            return;
        }
        assert_eq!((first, run_in(&inside)), ("empty", "loaded"));
        let files: Vec<_> = std::fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let mut bytes = std::fs::read(&files[0]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&files[0], bytes).unwrap();
        assert_eq!((run_in(&inside), run_in(&inside)), ("empty", "loaded"));
    }

    #[test]
    fn other_files_are_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        assert_eq!(load(&path), None);
        for bytes in [&b""[..], b"FMPCACH", b"FMPCACH1\0\0", b"FMPCACH1\0\0\0\0x", b"FMPCACH2\0\0\0\0"] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(load(&path), None, "{bytes:?}");
        }
        std::fs::write(&path, [&b"FMPCACH1"[..], &crc32c::crc32c(b"xy").to_le_bytes(), b"xy"].concat()).unwrap();
        assert_eq!(load(&path), Some(b"xy".to_vec()));
    }
}
