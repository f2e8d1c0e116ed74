//! NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated.
//!
//! Only arrays that the model takes are read; the others are named in one note. What is written, NumPy reads.

use super::{describe, npy};
use anyhow::Context as _;
use flashmem_runtime::{PortInfo, Tensor};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Reads the arrays named as `ports`.
pub fn read(path: &Path, ports: &[PortInfo]) -> anyhow::Result<Vec<(String, Tensor)>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).with_context(|| format!("{shown} is no .npz file"))?;
    let names: Vec<String> = archive.file_names().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    let mut extra: Vec<_> = names.iter().filter(|name| ports.iter().all(|port| port.name != **name)).collect();
    extra.sort();
    if !extra.is_empty() {
        eprintln!("note: {shown} has arrays that the model does not take: {extra:?}");
    }
    let mut tensors = Vec::with_capacity(ports.len());
    for port in ports {
        let position = names.iter().position(|name| *name == port.name);
        let position =
            position.with_context(|| format!("{shown} has no array for input {}; it has {names:?}", describe(port)))?;
        let mut bytes = Vec::new();
        let entry = archive.by_index(position).with_context(|| format!("cannot read `{}` of {shown}", port.name))?;
        entry
            .take(1 << 32)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read `{}` of {shown}", port.name))?;
        let tensor = npy::decode(&bytes).with_context(|| format!("cannot use `{}` of {shown}", port.name))?;
        tensors.push((port.name.clone(), tensor));
    }
    Ok(tensors)
}

/// Writes all tensors, uncompressed.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(context)?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    for (name, tensor) in tensors {
        let bytes = npy::encode(tensor);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).with_context(context)?;
        archive.write_all(&bytes).with_context(context)?;
    }
    let mut file = archive.finish().with_context(context)?;
    file.flush().with_context(context)
}
