//! A bundle with inputs, what this machine's device gives for them, and what the reference gives.

use anyhow::{Context as _, ensure};
use flashmem_runtime::{ElementType, PortInfo, Session, Tensor, npz};
use std::path::Path;

/// Greatest accepted relative error of a browser's outputs, by the L2 norm over all of them: devices round differently, and
/// sums of some thousand products of f32 differ by about this.
const TOLERANCE: f64 = 1e-4;

/// What is run in the browser.
pub struct Case {
    pub name: String,
    pub bundle: Vec<u8>,
    /// Of all runs, one after the other.
    pub inputs: Vec<u8>,
    /// This machine's.
    native: Vec<u8>,
    /// The reference's, from the archive.
    reference: Vec<u8>,
    elements: Vec<ElementType>,
    pub adapter: String,
}

impl Case {
    /// One run of a bundle on the arrays that are named as its inputs; those named as its outputs are the reference.
    pub fn single(bundle: &Path, arrays: &Path) -> anyhow::Result<Self> {
        let mut session = Session::builder(bundle).open()?;
        let set = npz::read(arrays, &session.inputs())?;
        let reference = npz::read(arrays, &session.outputs())?;
        Self::of(bundle, &mut session, vec![set], &concatenated(&reference))
    }

    /// A run of the digit classifier on every image of its archive.
    pub fn digits(bundle: &Path, arrays: &Path) -> anyhow::Result<Self> {
        let mut session = Session::builder(bundle).open()?;
        let port = |name: &str, shape: &[u64]| PortInfo {
            name: name.to_owned(),
            element: ElementType::F32,
            shape: shape.to_vec(),
        };
        let read = npz::read(arrays, &[port("images", &[100, 1, 8, 8]), port("logits", &[100, 10])])?;
        let image = |bytes: &[u8]| {
            let tensor = Tensor { element: ElementType::F32, shape: vec![1, 1, 8, 8], bytes: bytes.to_vec() };
            vec![("image".to_owned(), tensor)]
        };
        let sets = read[0].1.bytes.chunks_exact(256).map(image).collect();
        Self::of(bundle, &mut session, sets, &read[1].1.bytes)
    }

    fn of(
        path: &Path,
        session: &mut Session,
        sets: Vec<Vec<(String, Tensor)>>,
        reference: &[u8],
    ) -> anyhow::Result<Self> {
        let mut native = Vec::new();
        for set in &sets {
            native.extend(concatenated(&session.run(set)?.tensors));
        }
        let name = path.file_stem().context("a bundle has a name")?.to_string_lossy().into_owned();
        ensure!(native.len() == reference.len(), "{name}: the reference has other sizes");
        Ok(Self {
            name,
            bundle: std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            inputs: sets.iter().flat_map(|set| concatenated(set)).collect(),
            native,
            reference: reference.to_vec(),
            elements: session.outputs().iter().map(|port| port.element).collect(),
            adapter: session.stats().adapter,
        })
    }

    /// Compares what the browser gave; says how near it is.
    pub fn compare(&self, given: &[u8]) -> anyhow::Result<String> {
        let name = &self.name;
        ensure!(given.len() == self.native.len(), "{name}: the browser gave {} bytes", given.len());
        ensure!(
            self.elements.iter().all(|element| *element == ElementType::F32),
            "{name}: only outputs of f32 are compared"
        );
        let (native, reference) = (relative_error(given, &self.native), relative_error(given, &self.reference));
        let differing = floats(given).zip(floats(&self.native)).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        let all = given.len() / 4;
        ensure!(native <= TOLERANCE, "{name}: the outputs differ from this machine's by {native:.2e}");
        ensure!(reference <= TOLERANCE, "{name}: the outputs differ from the reference's by {reference:.2e}");
        Ok(format!(
            "{differing} of {all} outputs differ in a bit from {}'s, relative error {native:.1e}; {reference:.1e} from \
             the reference",
            self.adapter
        ))
    }
}

fn concatenated(tensors: &[(String, Tensor)]) -> Vec<u8> {
    tensors.iter().flat_map(|(_, tensor)| tensor.bytes.iter().copied()).collect()
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// `|a - b| / |b|`. Not a number is as wrong as can be.
fn relative_error(a: &[u8], b: &[u8]) -> f64 {
    let square = |value: f64| value * value;
    let difference: f64 = floats(a).zip(floats(b)).map(|(a, b)| square(f64::from(a) - f64::from(b))).sum();
    let size: f64 = floats(b).map(|b| square(b.into())).sum();
    let error = (difference / size).sqrt();
    if error.is_nan() { f64::INFINITY } else { error }
}
