//! Contents of the sections that have a structure of their own: kernels, page checksums and golden values.
//!
//! Kernels and golden values are lists of blobs: a count (u32), a length (u64) for each, then the blobs back to back.
//! Decoding borrows; nothing is allocated that the section's own bytes do not pay for. Raw sections (constants, rows,
//! pages) and the plan are deliberately not here.

use super::error::SectionError;
use super::limits::MAX_BLOBS;
use crate::linked::Linked;
use crate::plan::{Pipeline, Plan, Port};

/// Example inputs with the outputs that the reference gave: raw little-endian bytes in each port's API element type, in
/// port order.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// One value for every input.
    pub inputs: Vec<Vec<u8>>,
    /// One value for every output.
    pub outputs: Vec<Vec<u8>>,
    /// Greatest accepted ‖output − reference‖₂ / ‖reference‖₂.
    pub tolerance_relative_l2: f32,
}

impl Golden {
    /// Checks the number and the sizes of the values against the plan's ports, and the tolerance.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), SectionError> {
        if !(self.tolerance_relative_l2.is_finite() && self.tolerance_relative_l2 >= 0.0) {
            return Err(SectionError::GoldenTolerance { tolerance: self.tolerance_relative_l2 });
        }
        if self.inputs.len() != plan.inputs.len() || self.outputs.len() != plan.outputs.len() {
            return Err(SectionError::GoldenCount {
                inputs: self.inputs.len() as u64,
                outputs: self.outputs.len() as u64,
                plan_inputs: plan.inputs.len() as u64,
                plan_outputs: plan.outputs.len() as u64,
            });
        }
        let inputs = self.inputs.iter().zip(&plan.inputs);
        let outputs = self.outputs.iter().zip(&plan.outputs);
        inputs.chain(outputs).try_for_each(|(value, port)| check_golden_value(value, port))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.tolerance_relative_l2.to_le_bytes());
        bytes.extend((self.inputs.len() as u32).to_le_bytes());
        let values: Vec<&[u8]> = self.inputs.iter().chain(&self.outputs).map(Vec::as_slice).collect();
        encode_blobs(&values, &mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SectionError> {
        let mut rest = bytes;
        let tolerance_relative_l2 = f32::from_le_bytes(take(&mut rest)?);
        let input_count = u32::from_le_bytes(take(&mut rest)?) as usize;
        let values = decode_blobs(rest)?;
        let (inputs, outputs) = values
            .split_at_checked(input_count)
            .ok_or(SectionError::Truncated { needed_bytes: input_count as u64, found_bytes: values.len() as u64 })?;
        let owned = |values: &[&[u8]]| values.iter().map(|value| value.to_vec()).collect();
        Ok(Self { inputs: owned(inputs), outputs: owned(outputs), tolerance_relative_l2 })
    }
}

/// The golden section of several networks: a blob for each, of no bytes where it has no golden values.
pub(crate) fn encode_goldens(goldens: &[Option<Golden>]) -> Vec<u8> {
    let encoded: Vec<_> = goldens.iter().map(|golden| golden.as_ref().map_or_else(Vec::new, Golden::encode)).collect();
    let mut bytes = Vec::new();
    encode_blobs(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut bytes);
    bytes
}

/// The golden values of the network at a position; `None` where it has none.
pub(crate) fn decode_golden_of(section: &[u8], network: u32) -> Result<Option<Golden>, SectionError> {
    let all = decode_blobs(section)?;
    let found_bytes = all.len() as u64;
    let own = all.get(network as usize);
    let own = own.ok_or(SectionError::Truncated { needed_bytes: u64::from(network) + 1, found_bytes })?;
    if own.is_empty() { Ok(None) } else { Golden::decode(own).map(Some) }
}

fn check_golden_value(value: &[u8], port: &Port) -> Result<(), SectionError> {
    let expected_bytes = port.api_bytes().unwrap_or(u64::MAX);
    if value.len() as u64 == expected_bytes {
        return Ok(());
    }
    Err(SectionError::GoldenLength { port: port.name.clone(), found_bytes: value.len() as u64, expected_bytes })
}

/// The kernels section: the source of every pipeline, in order, each followed by its cooperative source where it has one.
pub(crate) fn encode_kernels(pipelines: &[Pipeline]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sources: Vec<&[u8]> = pipelines.iter().flat_map(Pipeline::sources).map(String::as_bytes).collect();
    encode_blobs(&sources, &mut bytes);
    bytes
}

/// Puts the sources of the kernels section into pipelines that have none.
pub(crate) fn join_kernels(section: &[u8], pipelines: &mut [Pipeline]) -> Result<(), SectionError> {
    let found = decode_blobs(section)?;
    let expected = pipelines.iter().flat_map(Pipeline::sources).count();
    if found.len() != expected {
        return Err(SectionError::KernelCount { kernels: found.len() as u64, expected: expected as u64 });
    }
    let mut found = found.into_iter();
    for (index, pipeline) in (0_u32..).zip(pipelines) {
        for (source, text) in pipeline.sources_mut().zip(&mut found) {
            join_kernel(index, source, text)?;
        }
    }
    Ok(())
}

fn join_kernel(index: u32, source: &mut String, text: &[u8]) -> Result<(), SectionError> {
    if !source.is_empty() {
        return Err(SectionError::MisplacedSource { pipeline: index });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| SectionError::KernelText { pipeline: index, valid_bytes: error.valid_up_to() as u64 })?;
    text.clone_into(source);
    Ok(())
}

/// As [`join_kernels`], for the pipelines of several networks, which name their sources.
pub(crate) fn join_shared_kernels(section: &[u8], linked: &mut Linked) -> Result<(), SectionError> {
    let found = decode_blobs(section)?;
    let (kernels, expected) = (found.len() as u64, linked.kernel_count());
    if kernels != u64::from(expected) {
        return Err(SectionError::KernelCount { kernels, expected: expected.into() });
    }
    for network in &mut linked.networks {
        let mut kernels = network.kernels.iter();
        for (index, pipeline) in (0_u32..).zip(&mut network.plan.pipelines) {
            for (source, kernel) in pipeline.sources_mut().zip(&mut kernels) {
                join_kernel(index, source, found[*kernel as usize])?;
            }
        }
    }
    Ok(())
}

/// The kernels section of several networks.
pub(crate) fn encode_shared_kernels(linked: &Linked) -> Vec<u8> {
    let mut sources: Vec<&[u8]> = vec![&[]; linked.kernel_count() as usize];
    for network in &linked.networks {
        let all = network.plan.pipelines.iter().flat_map(Pipeline::sources);
        for (source, kernel) in all.zip(&network.kernels) {
            sources[*kernel as usize] = source.as_bytes();
        }
    }
    let mut bytes = Vec::new();
    encode_blobs(&sources, &mut bytes);
    bytes
}

/// The page checksum section: one u32 for every page.
pub(crate) fn encode_checksums(checksums: &[u32]) -> Vec<u8> {
    checksums.iter().flat_map(|checksum| checksum.to_le_bytes()).collect()
}

/// Checksums of a section whose length is a multiple of 4 (a remainder is dropped).
pub(crate) fn decode_checksums(section: &[u8]) -> Vec<u32> {
    section.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn encode_blobs(blobs: &[&[u8]], bytes: &mut Vec<u8>) {
    bytes.extend((blobs.len() as u32).to_le_bytes());
    for blob in blobs {
        bytes.extend((blob.len() as u64).to_le_bytes());
    }
    for blob in blobs {
        bytes.extend_from_slice(blob);
    }
}

/// A list of blobs that takes up all of `bytes`.
fn decode_blobs(bytes: &[u8]) -> Result<Vec<&[u8]>, SectionError> {
    let mut rest = bytes;
    let count = u32::from_le_bytes(take(&mut rest)?);
    if count > MAX_BLOBS {
        return Err(SectionError::TooMany { count: count.into(), limit: MAX_BLOBS });
    }
    let lengths = take_slice(&mut rest, u64::from(count) * 8)?;
    let mut blobs = Vec::with_capacity(count as usize);
    for length in lengths.as_chunks::<8>().0 {
        blobs.push(take_slice(&mut rest, u64::from_le_bytes(*length))?);
    }
    if rest.is_empty() { Ok(blobs) } else { Err(SectionError::TrailingBytes { excess_bytes: rest.len() as u64 }) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], SectionError> {
    let bytes = take_slice(rest, N as u64)?;
    Ok(bytes.try_into().expect("take_slice gives exactly the length that was asked for"))
}

fn take_slice<'a>(rest: &mut &'a [u8], length_bytes: u64) -> Result<&'a [u8], SectionError> {
    let split = usize::try_from(length_bytes).ok().and_then(|length| rest.split_at_checked(length));
    let (taken, left) =
        split.ok_or(SectionError::Truncated { needed_bytes: length_bytes, found_bytes: rest.len() as u64 })?;
    *rest = left;
    Ok(taken)
}
