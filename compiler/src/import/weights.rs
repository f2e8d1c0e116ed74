//! Where the bytes of large initialisers come from: the mapped model file, mapped external data, or a moved buffer.
//!
//! Nothing here reads or copies a weight; a [`Constant`] over a mapping costs address space until somebody packs it. Paths
//! of external data are refused when they leave the model's directory. Small tensors with external data are read into the
//! message itself, so that tract never opens a file.

use super::error::ImportError;
use super::protobuf::{FLOAT, FLOAT16, LARGE_BYTES, LargeTensor, integer_bits};
use crate::graph::bytes::SharedBytes;
use crate::graph::constant::{Constant, Storage};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataType};

/// ONNX `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// Whether a tensor's data is in another file.
pub fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL)
}

/// A weight that tract never sees the data of.
#[derive(Debug, Clone)]
pub struct Weight {
    /// ONNX name of the initialiser.
    pub name: String,
    /// Shape, precision and bytes.
    pub constant: Constant,
}

struct Mapped {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

/// Maps a file for reading.
pub fn map_file(path: &Path) -> Result<Arc<Mmap>, std::io::Error> {
    let file = File::open(path)?;
    // SAFETY: the mapping is private and read-only. A process that truncates the file while it is being compiled makes
    // reads fault, as with every mapped input.
    unsafe { Mmap::map(&file) }.map(Arc::new)
}

/// Streams a file through a hasher; the file does not become resident.
pub fn hash_file(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), ImportError> {
    let read_error = |source| ImportError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read_error)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(read_error)?;
        if count == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..count]);
    }
}

fn weight(name: &str, data_type: i32, dims: &[i64], bytes: SharedBytes) -> Result<Weight, ImportError> {
    let storage = if data_type == FLOAT16 { Storage::F16 } else { Storage::F32 };
    let found = (*bytes).as_ref().len() as u64;
    let shape: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let constant = shape.and_then(|shape| Constant::new(shape, storage, bytes));
    let constant = constant.ok_or_else(|| {
        let elements = dims.iter().fold(1_u64, |n, d| n.saturating_mul(d.unsigned_abs()));
        let expected = elements.saturating_mul(storage.element_bytes() as u64);
        ImportError::TensorBytes { tensor: name.to_owned(), shape: dims.to_vec(), expected, found }
    })?;
    Ok(Weight { name: name.to_owned(), constant })
}

/// The weight of an initialiser that lies in the model file.
pub fn from_model_file(map: &Arc<Mmap>, tensor: &LargeTensor) -> Result<Weight, ImportError> {
    let bytes = Arc::new(Mapped { map: Arc::clone(map), range: tensor.data.clone() });
    weight(&tensor.name, tensor.data_type, &tensor.dims, bytes)
}

/// The weight of a large float tensor that was decoded, moving its data; `None` for any other tensor.
pub fn from_decoded(name: &str, tensor: &mut TensorProto) -> Option<Result<Weight, ImportError>> {
    let is_float = matches!(tensor.data_type, FLOAT | FLOAT16);
    let is_plain = tensor.data_location != Some(EXTERNAL);
    (is_float && is_plain && tensor.raw_data.len() >= LARGE_BYTES).then(|| {
        let bytes = Arc::new(std::mem::take(&mut tensor.raw_data));
        weight(name, tensor.data_type, &tensor.dims, bytes)
    })
}

/// Puts a weight back as an ordinary initialiser of f32, copying its data.
pub fn into_initialiser(weight: &Weight) -> TensorProto {
    let constant = &weight.constant;
    let raw_data = match constant.dense_bytes().filter(|_| constant.storage == Storage::F32) {
        Some(bytes) => bytes.to_vec(),
        None => constant.to_f32().iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    TensorProto {
        name: weight.name.clone(),
        dims: constant.shape.iter().map(|d| *d as i64).collect(),
        data_type: FLOAT,
        raw_data,
        ..TensorProto::default()
    }
}

/// Data of large initialisers of small integers, by name. The initialisers are in the message, without it and marked as external.
#[derive(Default)]
pub struct MappedIntegers(BTreeMap<String, SharedBytes>);

impl MappedIntegers {
    /// Those of a model file, whose initialisers are marked.
    pub fn of_model(map: &Arc<Mmap>, tensors: &[LargeTensor], graph: &mut GraphProto) -> Self {
        let bytes =
            |t: &LargeTensor| -> SharedBytes { Arc::new(Mapped { map: Arc::clone(map), range: t.data.clone() }) };
        let found: BTreeMap<String, SharedBytes> = tensors.iter().map(|t| (t.name.clone(), bytes(t))).collect();
        for tensor in graph.initializer.iter_mut().filter(|tensor| found.contains_key(&tensor.name)) {
            if tensor.raw_data.is_empty() && !is_external(tensor) {
                tensor.data_location = Some(EXTERNAL);
            }
        }
        Self(found)
    }

    /// The data of an initialiser that has it here.
    pub fn of(&self, tensor: &TensorProto) -> Option<&SharedBytes> {
        self.0.get(&tensor.name).filter(|_| is_external(tensor))
    }

    /// Copies into the message what its initialisers still miss.
    pub fn restore(&self, graph: &mut GraphProto) {
        for tensor in &mut graph.initializer {
            if let Some(bytes) = self.of(tensor) {
                tensor.raw_data = (**bytes).as_ref().to_vec();
                tensor.data_location = None;
            }
        }
    }
}

/// Files of external data, each mapped once.
#[derive(Debug)]
pub struct ExternalFiles {
    directory: PathBuf,
    maps: BTreeMap<PathBuf, Arc<Mmap>>,
}

impl ExternalFiles {
    /// Files next to a model.
    pub fn beside(model: &Path) -> Self {
        let directory = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Self { directory: directory.to_owned(), maps: BTreeMap::new() }
    }

    /// The files that were used, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.maps.keys().map(PathBuf::as_path)
    }

    fn resolve(&self, tensor: &str, location: &str) -> Result<PathBuf, ImportError> {
        let escape = || ImportError::ExternalEscape { tensor: tensor.to_owned(), location: location.to_owned() };
        let inside = Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !inside || location.is_empty() || location.contains('\\') {
            return Err(escape());
        }
        Ok(self.directory.join(location))
    }

    fn locate(&mut self, tensor: &TensorProto) -> Result<Mapped, ImportError> {
        let name = tensor.name.as_str();
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &'static str| match entry(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(ImportError::ExternalEntry { tensor: name.to_owned(), key }),
        };
        let location =
            entry("location").ok_or(ImportError::ExternalEntry { tensor: name.to_owned(), key: "location" })?;
        let path = self.resolve(name, location)?;
        let map = match self.maps.get(&path) {
            Some(map) => Arc::clone(map),
            None => {
                let missing =
                    |source| ImportError::ExternalMissing { tensor: name.to_owned(), path: path.clone(), source };
                let map = map_file(&path).map_err(missing)?;
                self.maps.insert(path.clone(), Arc::clone(&map));
                map
            }
        };
        let file_bytes = map.len() as u64;
        let offset = number("offset")?.unwrap_or(0);
        let end = match number("length")? {
            Some(length) => offset.saturating_add(length),
            // Without a length, as much as the tensor has, as other readers take it; the rest of the file for unknown types.
            None => offset.saturating_add(data_bytes(tensor).unwrap_or(file_bytes.saturating_sub(offset))),
        };
        if end > file_bytes {
            return Err(ImportError::ExternalTooShort { tensor: name.to_owned(), path, offset, end, file_bytes });
        }
        Ok(Mapped { map, range: offset as usize..end as usize })
    }

    /// Gives every tensor of a graph and its subgraphs its data: large float initialisers of the graph itself become
    /// weights, those of small integers stay outside, everything else that is external is read into the message.
    pub fn resolve_graph(
        &mut self,
        graph: &mut GraphProto,
        weights: &mut Vec<Weight>,
        integers: &mut MappedIntegers,
    ) -> Result<(), ImportError> {
        let mut kept = Vec::with_capacity(graph.initializer.len());
        for mut tensor in std::mem::take(&mut graph.initializer) {
            if is_external(&tensor) && integers.of(&tensor).is_none() {
                let data = self.locate(&tensor)?;
                if matches!(tensor.data_type, FLOAT | FLOAT16) && data.range.len() >= LARGE_BYTES {
                    weights.push(weight(&tensor.name, tensor.data_type, &tensor.dims, Arc::new(data))?);
                    continue;
                }
                if integer_bits(tensor.data_type).is_some() && data.range.len() >= LARGE_BYTES {
                    tensor.external_data.clear();
                    integers.0.insert(tensor.name.clone(), Arc::new(data));
                } else {
                    read_into(&mut tensor, &data);
                }
            }
            kept.push(tensor);
        }
        graph.initializer = kept;
        self.resolve_nodes(graph)
    }

    fn resolve_nodes(&mut self, graph: &mut GraphProto) -> Result<(), ImportError> {
        for attribute in graph.node.iter_mut().flat_map(|n| &mut n.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.read_external(tensor)?;
            }
            for subgraph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                for tensor in &mut subgraph.initializer {
                    self.read_external(tensor)?;
                }
                self.resolve_nodes(subgraph)?;
            }
        }
        Ok(())
    }

    fn read_external(&mut self, tensor: &mut TensorProto) -> Result<(), ImportError> {
        if tensor.data_location == Some(EXTERNAL) {
            let data = self.locate(tensor)?;
            read_into(tensor, &data);
        }
        Ok(())
    }
}

/// Bytes of a tensor's data, from its shape and element type; `None` for types that have no fixed size.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
fn data_bytes(tensor: &TensorProto) -> Option<u64> {
    let bits = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Bool | DataType::Uint8 | DataType::Int8 => 8,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 16,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
        DataType::Int64 | DataType::Uint64 | DataType::Double | DataType::Complex64 => 64,
        DataType::Complex128 => 128,
        // Texts, and types that no operator here takes.
        _ => return None,
    };
    let elements = tensor.dims.iter().try_fold(1_u64, |n, dim| n.checked_mul(u64::try_from(*dim).ok()?))?;
    elements.checked_mul(bits / 8)
}

fn read_into(tensor: &mut TensorProto, data: &Mapped) {
    tensor.raw_data = data.as_ref().to_vec();
    tensor.data_location = None;
    tensor.external_data.clear();
}
