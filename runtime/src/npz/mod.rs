//! NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated.
//!
//! Only arrays that the caller asks for are read; `names` lists what there is. What is written, NumPy reads under the same
//! names: those that NumPy would read as another one are refused. The array `x` is the entry `x.npy`.

use crate::{PortInfo, Tensor};
#[cfg(not(target_arch = "wasm32"))]
use flashmem_plan_format::files::{self, Destination, FileError, OutputFile};
use flashmem_plan_format::npy::{self, Array, NpyError};
use flashmem_plan_format::validate::MAX_PORT_NAME_BYTES;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;
#[cfg(not(target_arch = "wasm32"))]
use {
    std::io::Write as _,
    zip::write::SimpleFileOptions,
    zip::{CompressionMethod, ZipWriter},
};

/// Elements that an array of another shape than its port's may have, so that a run can say what does not fit.
const FEW_ELEMENTS: u64 = 1 << 20;

/// Ends the name of the entry of every array.
const SUFFIX: &str = ".npy";

/// Characters of a name that a message shows.
const SHOWN_NAME_CHARACTERS: usize = 96;

/// An archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// The file cannot be opened, created or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a zip archive, or a damaged one.
    #[error("{} is no sound .npz file", path.display())]
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
    #[error("cannot use `{name}` of {}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// Why.
        source: NpyError,
    },
    /// An archive that cannot be written where it was to go.
    #[cfg(not(target_arch = "wasm32"))]
    #[error(transparent)]
    Output(#[from] FileError),
    /// An array that no archive can hold under its name.
    #[error("cannot write {}: no array can be called `{name}`", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The name, or its beginning.
        name: String,
        /// Why.
        source: NameError,
    },
}

/// Why an array cannot have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than the name of an entry can be.
    #[error("it has {bytes} bytes, more than the limit of {MAX_PORT_NAME_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// With a character that ends names when NumPy reads them.
    #[error("it has a NUL character, which ends names for NumPy")]
    Nul,
    /// Two arrays of one name.
    #[error("there are two arrays of this name")]
    Repeated,
    /// As the entry of another array is called.
    #[error("it is how NumPy finds the array of this name without `.npy`, which there is as well")]
    Entry,
}

type Archive = ZipArchive<BufReader<File>>;

fn open(path: &Path) -> Result<Archive, NpzError> {
    let file = File::open(path).map_err(|source| NpzError::File { action: "open", path: path.to_owned(), source })?;
    ZipArchive::new(BufReader::new(file)).map_err(|source| NpzError::Archive { path: path.to_owned(), source })
}

fn names_of(archive: &Archive) -> Vec<String> {
    archive.file_names().map(|name| name.strip_suffix(SUFFIX).unwrap_or(name).to_owned()).collect()
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
        let entry = archive.by_index(position).map_err(|source| NpzError::Archive { path: path.to_owned(), source })?;
        let own = port.shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
        let most = own.unwrap_or(0).max(FEW_ELEMENTS);
        let Array { element, shape, bytes } = npy::read(entry, most).map_err(|source| NpzError::Array {
            path: path.to_owned(),
            name: port.name.clone(),
            source,
        })?;
        tensors.push((port.name.clone(), Tensor { element, shape, bytes }));
    }
    Ok(tensors)
}

/// Checks that arrays of these names can be written to one archive, and read again under the same names.
///
/// # Errors
/// [`NpzError::Name`].
pub fn check_names<'n>(path: &Path, names: impl Iterator<Item = &'n str>) -> Result<(), NpzError> {
    let names: Vec<&str> = names.collect();
    let mut seen = BTreeSet::new();
    let wrong = names.iter().find_map(|name| {
        let stem = name.strip_suffix(SUFFIX);
        let error = match name {
            name if name.len() > MAX_PORT_NAME_BYTES => NameError::TooLong { bytes: name.len() },
            name if name.contains('\0') => NameError::Nul,
            name if !seen.insert(*name) => NameError::Repeated,
            _ if stem.is_some_and(|stem| names.contains(&stem)) => NameError::Entry,
            _ => return None,
        };
        Some((name, error))
    });
    wrong.map_or(Ok(()), |(name, source)| {
        let name = name.chars().take(SHOWN_NAME_CHARACTERS).collect();
        Err(NpzError::Name { path: path.to_owned(), name, source })
    })
}

/// Writes all tensors, uncompressed, whole or not at all.
///
/// # Errors
/// See [`NpzError`].
#[cfg(not(target_arch = "wasm32"))]
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), NpzError> {
    check_names(path, tensors.iter().map(|(name, _)| name.as_str()))?;
    if let Destination::File(_) = Destination::of(path)? {
        let file = archive(path, tensors, OutputFile::create(path)?)?;
        return Ok(file.commit()?);
    }
    // What is no file cannot be written in any order, as archives are.
    let bytes = archive(path, tensors, io::Cursor::new(Vec::new()))?.into_inner();
    Ok(files::write(path, &bytes)?)
}

#[cfg(not(target_arch = "wasm32"))]
fn archive<W: io::Write + io::Seek>(path: &Path, tensors: &[(String, Tensor)], out: W) -> Result<W, NpzError> {
    let failed = |source: io::Error| match source.downcast() {
        Ok(error) => NpzError::Output(error),
        Err(source) => NpzError::File { action: "write", path: path.to_owned(), source },
    };
    let zip_failed = |error| {
        if let ZipError::Io(source) = error {
            failed(source)
        } else {
            NpzError::Archive { path: path.to_owned(), source: error }
        }
    };
    let mut archive = ZipWriter::new(FailsOnce { writer: out, has_failed: false });
    for (name, tensor) in tensors {
        let bytes = npy::encode(tensor.element, &tensor.shape, &tensor.bytes);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}{SUFFIX}"), options).map_err(zip_failed)?;
        archive.write_all(&bytes).map_err(failed)?;
    }
    Ok(archive.finish().map_err(zip_failed)?.writer)
}

/// A writer that takes everything after its first error, and loses it: an archive that is dropped tries to write its end, and says
/// on standard error where it cannot.
#[cfg(not(target_arch = "wasm32"))]
struct FailsOnce<W> {
    writer: W,
    has_failed: bool,
}

#[cfg(not(target_arch = "wasm32"))]
impl<W> FailsOnce<W> {
    fn attempt<T>(&mut self, pretended: T, action: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.has_failed {
            return Ok(pretended);
        }
        let result = action(&mut self.writer);
        self.has_failed = result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<W: io::Write> io::Write for FailsOnce<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(bytes.len(), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), W::flush)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<W: io::Seek> io::Seek for FailsOnce<W> {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.attempt(0, |writer| writer.seek(position))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::ElementType;

    fn tensors(names: &[&str]) -> Vec<(String, Tensor)> {
        let of = |(index, name): (usize, &&str)| ((*name).to_owned(), Tensor::from_i32(&[1], &[index as i32]));
        names.iter().enumerate().map(of).collect()
    }

    fn port(name: &str) -> PortInfo {
        PortInfo { name: name.to_owned(), element: ElementType::I32, shape: vec![1] }
    }

    #[test]
    fn names_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let longest = "n".repeat(MAX_PORT_NAME_BYTES);
        let names = ["x", "y.npy", "y.npy.npy.npy", "/a/../b", "a\\b", "ß 中", "", &longest];
        let written = tensors(&names);
        write(&path, &written).unwrap();
        assert_eq!(read(&path, &names.map(port)).unwrap(), written);
        let mut found = super::names(&path).unwrap();
        let mut names = names.map(str::to_owned);
        found.sort();
        names.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn names_that_would_be_read_as_others_are_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let longer = "n".repeat(70_000);
        for (names, expected) in [
            (&["a", &longer][..], NameError::TooLong { bytes: 70_000 }),
            (&["x\0a", "x\0b"], NameError::Nul),
            (&["x", "y", "x"], NameError::Repeated),
            (&["x.npy", "x"], NameError::Entry),
            (&["x", "x.npy"], NameError::Entry),
            (&["", ".npy"], NameError::Entry),
        ] {
            let error = write(&path, &tensors(names)).unwrap_err();
            assert!(matches!(&error, NpzError::Name { source, .. } if *source == expected), "{names:.20?}: {error}");
            assert!(error.to_string().len() < 400, "{error}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn the_array_of_another_name_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        write(&path, &tensors(&["x"])).unwrap();
        assert!(matches!(read(&path, &[port("x.npy")]), Err(NpzError::Missing { .. })));
    }
}
