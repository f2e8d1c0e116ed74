//! A file that is not whole yet, beside the file whose place it is to take.
//!
//! Its name is made up, so that several writers of one target do not meet. Its writer holds a lock on it for as long as it lives,
//! however it ends: whoever makes a partial file in the same folder removes those that nobody holds. A process that is asked to
//! end removes its own (`interrupt`). Where a file system knows no locks, what a killed process leaves stays.

use super::destination::folder_of;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{Builder, NamedTempFile, PersistError};

/// Ends the name of every partial file. Files that end so, and nobody holds, are removed.
const SUFFIX: &str = ".flashmem-partial";

/// Bytes of the target's name in the name of its partial file, at most: names have an end.
const MAX_NAME_BYTES: usize = 80;

/// Names that are tried while others take them for left-overs.
const ATTEMPTS: u32 = 16;

/// The partial files of this process.
static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // The set is whole between any two of its operations.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the partial files of this process. While the result lives no other can be made, and none takes its target's place.
#[cfg(all(feature = "signals", unix))]
pub(super) fn remove_all() -> impl Drop {
    let mut live = live();
    for path in std::mem::take(&mut *live) {
        // There is nobody left to inform.
        let _ = fs::remove_file(path);
    }
    live
}

/// A partial file; removed when it is dropped.
#[derive(Debug)]
pub struct PartialFile {
    /// `None` once it has taken its target's place.
    file: Option<NamedTempFile>,
}

impl PartialFile {
    /// Makes one in the folder of `target`, with the permissions that a new file gets.
    ///
    /// # Errors
    /// Those of the system.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let folder = folder_of(target);
        remove_left_overs(&folder);
        for _ in 0..ATTEMPTS {
            let mut live = live();
            let file = named(target, &folder)?;
            if claim(file.as_file())? {
                live.insert(file.path().to_owned());
                return Ok(Self { file: Some(file) });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The file.
    pub fn file(&self) -> &File {
        self.named().as_file()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.named().path()
    }

    fn named(&self) -> &NamedTempFile {
        self.file.as_ref().expect("it is taken out only by value")
    }

    /// Puts it in the place of `target`, which must be in the same folder.
    ///
    /// # Errors
    /// Those of the system; the target is then as it was, and this file is gone.
    pub fn persist(mut self, target: &Path) -> io::Result<()> {
        let mut live = live();
        let file = self.file.take().expect("it is taken out only here and when it is dropped");
        live.remove(file.path());
        file.persist(target).map(drop).map_err(|PersistError { error, .. }| error)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let mut live = live();
            live.remove(file.path());
            // It removes itself; when it cannot, the next writer in the folder does.
            drop(file);
        }
    }
}

fn named(target: &Path, folder: &Path) -> io::Result<NamedTempFile> {
    let mut name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    let prefix = format!(".{name}.");
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(8);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The system takes away what the process's mask denies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Takes the lock of a new file; `false` if another process took it for a left-over first.
fn claim(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => is_linked(file),
        Err(TryLockError::WouldBlock) => Ok(false),
        // A file system without locks: nobody can take it for a left-over either.
        Err(TryLockError::Error(_)) => Ok(true),
    }
}

#[cfg(unix)]
fn is_linked(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.nlink() > 0)
}

#[cfg(not(unix))]
fn is_linked(_file: &File) -> io::Result<bool> {
    // Open files cannot be removed.
    Ok(true)
}

/// Removes partial files in a folder that no process holds. Whatever cannot be looked at stays.
fn remove_left_overs(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_ours = name.starts_with(b".") && name.ends_with(SUFFIX.as_bytes());
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_abandoned(&entry.path());
        }
    }
}

/// Removes a file that nobody holds.
fn remove_abandoned(path: &Path) {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Whatever has taken the name meanwhile, it is neither followed nor waited for.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let Ok(file) = options.open(path) else { return };
    if file.try_lock().is_ok() {
        // While the lock is held, a writer that has just made the file sees that it is lost, and makes another one.
        let _ = fs::remove_file(path);
    }
}
