//! The body of the fuzz target that reads models: what has to hold for any bytes at all.
//!
//! `fuzz/` runs it with coverage, an ordinary test over seeds and seeded mutations. It deliberately writes no bundle.

use crate::compile::{CompileOptions, plan, prepare};
use crate::options::Keep;
use crate::profile::DeviceProfile;
use crate::schedule::Strategy;
use flashmem_plan_format::plan::Encoding;
use std::path::{Path, PathBuf};

/// Largest model that is a seed.
const MAX_SEED_BYTES: usize = 2048;
/// Most bytes of the tensors of a model that is planned: large ones say nothing new and take long.
const MAX_PLANNED_BYTES: u64 = 1 << 24;

/// A model: importing and planning it gives a plan or a message. The file is made beside others of this process.
pub fn onnx(bytes: &[u8], folder: &Path) {
    let path: PathBuf = folder.join(format!("{}.onnx", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    let usual = CompileOptions::new(DeviceProfile::default(), Encoding::F32);
    let options = CompileOptions { strategy: Strategy::Greedy, keep: Keep::None, ..usual };
    let prepared = prepare(&path, &options, &mut |_| ());
    let planned = prepared.and_then(|prepared| {
        if prepared.tensor_bytes() > MAX_PLANNED_BYTES { Ok(()) } else { plan(&prepared, &options).map(drop) }
    });
    if let Err(error) = planned {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains("panicked") && !text.contains("malformed graph"), "{text}");
    }
}

/// Seeds of [`onnx`]: the small models of the repository.
pub fn onnx_seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/ops");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    let models = paths.iter().filter_map(|path| std::fs::read(path).ok());
    models.filter(|bytes| bytes.len() <= MAX_SEED_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use flashmem_plan_format::testing::mutate::each_mutation;

    #[test]
    fn mutated_models_are_refused_or_planned() {
        let seeds = super::onnx_seeds();
        assert!(seeds.len() > 100, "{} models are small", seeds.len());
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Every fifth model: its neighbours are of the same operator.
        let seeds: Vec<Vec<u8>> = seeds.into_iter().step_by(5).collect();
        each_mutation(&seeds, 3, 600, &mut |bytes| super::onnx(bytes, folder.path()));
    }
}
