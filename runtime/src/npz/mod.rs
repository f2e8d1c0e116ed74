//! NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated.
//!
//! Only arrays that the caller asks for are read; `names` lists what there is. What is written, NumPy reads.

pub mod npy;

use crate::{PortInfo, Tensor};
use npy::NpyError;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Largest array that is read, in bytes.
const MAX_ARRAY_BYTES: u64 = 1 << 32;

/// An archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// The file cannot be opened, created or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a zip archive, or a damaged one.
    #[error("{} is no sound .npz file: {source}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// No array for a port.
    #[error("{} has no array for input {port}; it has {names:?}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The port, described.
        port: String,
        /// What there is.
        names: Vec<String>,
    },
    /// An array that cannot be used.
    #[error("cannot use `{name}` of {}: {source}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// Why.
        source: NpyError,
    },
}

type Archive = ZipArchive<BufReader<File>>;

fn open(path: &Path) -> Result<Archive, NpzError> {
    let file = File::open(path).map_err(|source| NpzError::File { action: "open", path: path.to_owned(), source })?;
    ZipArchive::new(BufReader::new(file)).map_err(|source| NpzError::Archive { path: path.to_owned(), source })
}

fn names_of(archive: &Archive) -> Vec<String> {
    archive.file_names().map(|name| name.trim_end_matches(".npy").to_owned()).collect()
}

/// Names of all arrays.
///
/// # Errors
/// When the file is no archive.
pub fn names(path: &Path) -> Result<Vec<String>, NpzError> {
    Ok(names_of(&open(path)?))
}

/// Reads the arrays named as `ports`, in their order. Element types and shapes are the file's; a run checks them.
///
/// # Errors
/// See [`NpzError`].
pub fn read(path: &Path, ports: &[PortInfo]) -> Result<Vec<(String, Tensor)>, NpzError> {
    let mut archive = open(path)?;
    let names = names_of(&archive);
    let mut tensors = Vec::with_capacity(ports.len());
    for port in ports {
        let Some(position) = names.iter().position(|name| *name == port.name) else {
            return Err(NpzError::Missing { path: path.to_owned(), port: port.to_string(), names });
        };
        let mut bytes = Vec::new();
        let entry = archive.by_index(position).map_err(|source| NpzError::Archive { path: path.to_owned(), source })?;
        entry.take(MAX_ARRAY_BYTES).read_to_end(&mut bytes).map_err(|source| NpzError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let tensor = npy::decode(&bytes).map_err(|source| NpzError::Array {
            path: path.to_owned(),
            name: port.name.clone(),
            source,
        })?;
        tensors.push((port.name.clone(), tensor));
    }
    Ok(tensors)
}

/// Writes all tensors, uncompressed.
///
/// # Errors
/// See [`NpzError`].
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), NpzError> {
    let failed = |source| NpzError::File { action: "write", path: path.to_owned(), source };
    let zip_failed = |source| NpzError::Archive { path: path.to_owned(), source };
    let mut archive = ZipWriter::new(BufWriter::new(File::create(path).map_err(failed)?));
    for (name, tensor) in tensors {
        let bytes = npy::encode(tensor);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).map_err(zip_failed)?;
        archive.write_all(&bytes).map_err(failed)?;
    }
    archive.finish().map_err(zip_failed)?.flush().map_err(failed)
}
