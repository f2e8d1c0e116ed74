//! Bundles for the tests of the runtime, and sources that misbehave.
//!
//! The product bundle computes `y[p] = x[p] * W[p]`, 64 texels (256 floats) of page `p` a dispatch, for any number of pages.

#![allow(dead_code, reason = "every test file uses a part")]

pub mod inject;

use flashmem_plan_format::BundleWriter;
use flashmem_plan_format::plan::{
    Buffer, BufferSlice, Command, Dispatch, DispatchWeights, ElementType, MemoryDeclaration, NameId, OperatorClass,
    PageGeometry, PageId, Pipeline, Plan, Port, Requirements, SlotId,
};
use flashmem_plan_format::testing;
use flashmem_runtime::{Error, MemorySource, Options, ReadAt, Session, Source, Tensor};
use std::io::{self, Cursor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Floats of one page that a dispatch uses.
pub const PAGE_FLOATS: u32 = 256;

const MULTIPLY: &str = "\
struct Params { page_count: u32, page_shift: u32, unused: vec2<u32>, slots: array<vec4<u32>, 16> }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var weights: texture_2d_array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let slot = params.slots[0][0];
    let texel = bitcast<vec4<f32>>(textureLoad(weights, vec2<u32>(id.x, 0u), slot, 0));
    for (var i = 0u; i < 4u; i++) { y[4u * id.x + i] = x[4u * id.x + i] * texel[i]; }
}
";

/// Pages, slots and ring of a product bundle.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub pages: u32,
    pub slots: u32,
    pub ring: u32,
    /// Rows of a page: 16 make 64 KiB.
    pub rows: u32,
}

impl Product {
    pub fn plan(self) -> Plan {
        let bytes = u64::from(PAGE_FLOATS) * 4;
        let total = bytes * u64::from(self.pages);
        let slice = |offset_bytes, size_bytes| BufferSlice { buffer: Buffer::Activations, offset_bytes, size_bytes };
        let port = |name: &str, offset_bytes| Port {
            name: name.into(),
            element: ElementType::F32,
            shape: vec![self.pages.into(), PAGE_FLOATS.into()],
            slice: Some(slice(offset_bytes, total)),
        };
        let dispatch = |page: u32| Dispatch {
            pipeline: 0,
            params_offset_bytes: u64::from(page) * 512,
            bindings: vec![slice(u64::from(page) * bytes, bytes), slice(total + u64::from(page) * bytes, bytes)],
            workgroups: [1, 1, 1],
            weights: Some(DispatchWeights { first_page: PageId(page), page_count: 1, slots_offset_bytes: 16 }),
            node: NameId(page),
            loop_rounds: 5,
            class: OperatorClass::Elemental,
            predicted_us: 1.0,
            capacity_pages: 0,
        };
        let mut params = vec![0_u8; 512 * self.pages as usize];
        for page in 0..self.pages {
            let block = 512 * page as usize;
            params[block..block + 4].copy_from_slice(&1_u32.to_le_bytes());
            params[block + 16..block + 20].copy_from_slice(&(page % self.slots).to_le_bytes());
        }
        let mut plan = Plan {
            names: (0..self.pages).map(|page| format!("Mul_{page}")).collect(),
            provenance: testing::small_plan().provenance,
            requirements: Requirements::default(),
            inputs: vec![port("x", 0)],
            outputs: vec![port("y", total)],
            checks: vec![],
            states: vec![],
            page: PageGeometry { rows: self.rows },
            page_count: self.pages,
            slot_count: self.slots,
            slot_cap: self.slots,
            staging_pages: self.ring,
            weight_bytes: u64::from(self.pages * self.rows) * 4096,
            row_tables: vec![],
            row_gathers: vec![],
            index_bounds: vec![],
            pipelines: vec![Pipeline {
                label: "multiply".into(),
                source: MULTIPLY.into(),
                cooperative: None,
                params_bytes: 16 + 256,
                uses_weights: true,
                storage_bindings: 2,
                workgroup_size: [64, 1, 1],
                workgroup_bytes: 0,
            }],
            params,
            dispatches: (0..self.pages).map(dispatch).collect(),
            commands: self.commands(),
            repeat_commands: vec![],
            activation_bytes: 2 * total,
            memory: MemoryDeclaration::default(),
            budget_bytes: None,
            predicted_cold_us: 1,
            predicted_warm_us: 1,
        };
        testing::declare(&mut plan, 0);
        plan
    }

    fn commands(self) -> Vec<Command> {
        let one_page = |page: u32| {
            let (id, slot) = (PageId(page), SlotId(page % self.slots));
            [
                Command::Load { page: id, slot },
                Command::Dispatch { index: page },
                Command::Drop { page: id },
                Command::Submit,
            ]
        };
        (0..self.pages).flat_map(one_page).collect()
    }

    /// The weight at float `i` of page `page`.
    pub fn weight(page: u32, i: u32) -> f32 {
        1.0 + page as f32 + i as f32 / 64.0
    }

    pub fn bundle(self) -> Vec<u8> {
        self.bundle_of(&self.plan())
    }

    pub fn bundle_of(self, plan: &Plan) -> Vec<u8> {
        let mut writer = BundleWriter::new(Cursor::new(Vec::new()), plan, &[], None).unwrap();
        for page in 0..self.pages {
            let mut bytes: Vec<u8> = (0..PAGE_FLOATS).flat_map(|i| Self::weight(page, i).to_le_bytes()).collect();
            // The rest of the page matters for nothing but its checksum.
            bytes.resize(plan.page.page_bytes() as usize, page as u8);
            writer.push_page(&bytes).unwrap();
        }
        writer.finish_into().unwrap().0.into_inner()
    }

    pub fn input(self) -> Tensor {
        let values: Vec<f32> = (0..self.pages * PAGE_FLOATS).map(|i| (i % 97) as f32 - 48.0).collect();
        Tensor::from_f32(&[self.pages.into(), PAGE_FLOATS.into()], &values)
    }

    pub fn expected(self) -> Vec<f32> {
        let x = self.input().as_f32().unwrap();
        let position = |i: usize| (i as u32 / PAGE_FLOATS, i as u32 % PAGE_FLOATS);
        x.iter().enumerate().map(|(i, x)| x * Self::weight(position(i).0, position(i).1)).collect()
    }
}

pub fn open(bytes: Vec<u8>) -> Result<Session, Error> {
    open_with(bytes, &Options::default())
}

pub fn open_with(bytes: Vec<u8>, options: &Options) -> Result<Session, Error> {
    Session::builder(Source::Blocking(Arc::new(MemorySource::from(bytes)))).options(options.clone()).open()
}

/// Bytes that every completed run read.
pub fn bytes_read(session: &Session) -> Vec<u64> {
    session.stats().runs.iter().map(|run| run.bytes_read).collect()
}

/// A source that fails on demand for reads that touch `offset_bytes` or what follows.
pub struct Faulty {
    pub bytes: Vec<u8>,
    pub offset_bytes: u64,
    pub fault: Fault,
    pub active: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The byte at the offset is flipped.
    Flip,
    /// Nothing can be read from the offset on.
    Truncate,
}

impl Faulty {
    pub fn new(bytes: Vec<u8>, offset_bytes: u64, fault: Fault) -> Arc<Self> {
        Arc::new(Self { bytes, offset_bytes, fault, active: AtomicBool::new(false) })
    }
}

impl ReadAt for Faulty {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = offset_bytes as usize;
        buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
        let touched = self.offset_bytes < offset_bytes + buffer.len() as u64;
        if !self.active.load(Ordering::Relaxed) || !touched {
            return Ok(());
        }
        match self.fault {
            Fault::Truncate => Err(io::ErrorKind::UnexpectedEof.into()),
            Fault::Flip => {
                if let Some(byte) = self.offset_bytes.checked_sub(offset_bytes) {
                    buffer[byte as usize] ^= 1;
                }
                Ok(())
            }
        }
    }
}
