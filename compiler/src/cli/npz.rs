//! Golden inputs from an `.npz` file: the arrays named as the model's inputs.
//!
//! Arrays must have the input's element type and shape; it deliberately converts nothing.

use anyhow::{Context as _, bail, ensure};
use flashmem_compiler::graph::Graph;
use flashmem_plan_format::plan::ElementType;
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::Path;

/// Little-endian bytes of every input, in port order.
pub fn inputs(path: &Path, graph: &Graph) -> anyhow::Result<Vec<Vec<u8>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut npz = NpzReader::new(file).with_context(|| path.display().to_string())?;
    let mut all = Vec::new();
    for port in &graph.inputs {
        let shape = &graph.node(port.node).shape;
        let bytes = read(&mut npz, &port.name, port.element, shape)
            .with_context(|| format!("{}: input `{}`", path.display(), port.name))?;
        all.push(bytes);
    }
    Ok(all)
}

fn read(npz: &mut NpzReader<File>, name: &str, element: ElementType, shape: &[usize]) -> anyhow::Result<Vec<u8>> {
    // By position: by name, the array `x` would be found as `x.npy`, too, which another may be called.
    let names = npz.names()?;
    let Some(index) = names.iter().position(|n| n == name) else { bail!("no such array; there are {names:?}") };
    macro_rules! bytes_of {
        ($type:ty) => {{
            let array: ArrayD<$type> = npz.by_index::<OwnedRepr<$type>, IxDyn>(index)?;
            ensure!(array.shape() == shape, "has shape {:?}, expected {shape:?}", array.shape());
            array.iter().flat_map(|v| v.to_le_bytes()).collect()
        }};
    }
    Ok(match element {
        ElementType::F32 => bytes_of!(f32),
        ElementType::I32 => bytes_of!(i32),
        ElementType::I64 => bytes_of!(i64),
        ElementType::U8 => bytes_of!(u8),
        ElementType::I8 => bytes_of!(i8),
        ElementType::Bool => {
            let array: ArrayD<bool> = npz.by_index::<OwnedRepr<bool>, IxDyn>(index)?;
            ensure!(array.shape() == shape, "has shape {:?}, expected {shape:?}", array.shape());
            array.iter().map(|v| u8::from(*v)).collect()
        }
        ElementType::F16 => bail!("half-precision golden inputs are not supported; leave the file out"),
    })
}
