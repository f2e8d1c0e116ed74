//! What is explained: a plan with the rates that its prediction assumes.
//!
//! A fresh plan comes with its program, hence with the names of weights, which a bundle does not hold. What a reader should know
//! about the source of the numbers is said in `notes`.

use crate::cost::OperatorClass;
use crate::lower::program::Program;
use crate::narrow::count32;
use crate::profile::DeviceProfile;
use crate::search::Planned;
use flashmem_plan_format::plan::{Plan, TEXEL_BYTES};
use std::ops::Range;

/// Predicted cost of one dispatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRate {
    /// Class.
    pub class: OperatorClass,
    /// Time without uploads beside it.
    pub execute_us: f64,
    /// Pages whose upload it hides.
    pub capacity_pages: u32,
}

/// A weight, or what one dispatch reads where weights have no names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightUse {
    /// ONNX initialiser; `None` in a bundle.
    pub name: Option<String>,
    /// Bytes in pages, padding of panels included.
    pub size_bytes: u64,
    /// Pages that it touches.
    pub pages: Range<u32>,
    /// First step that reads it.
    pub first_step: u32,
    /// Last step that reads it.
    pub last_step: u32,
}

/// A plan and what its prediction assumes.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// By dispatch.
    pub steps: Vec<StepRate>,
    /// Disk rate.
    pub disk_bytes_per_us: f64,
    /// Rate of uploads that no step hides.
    pub upload_bytes_per_us: f64,
    /// In file order.
    pub weights: Vec<WeightUse>,
    /// Where the numbers come from, where that is not plain.
    pub notes: Vec<String>,
}

impl<'a> Subject<'a> {
    /// A fresh plan.
    pub fn of_planned(planned: &'a Planned, profile: &DeviceProfile) -> Self {
        let plan = &planned.assembled.plan;
        let page_bytes = plan.page.page_bytes();
        let steps = planned.program.steps.iter().map(|step| {
            let class = step.cost.class;
            let execute_us = profile.step_cost(class, step.cost.flops as u64, step.cost.bytes as u64);
            StepRate { class, execute_us, capacity_pages: profile.capacity_pages(class, execute_us, page_bytes) }
        });
        Self {
            plan,
            steps: steps.collect(),
            disk_bytes_per_us: profile.disk_bytes_per_us(),
            upload_bytes_per_us: profile.upload_bytes_per_us(),
            weights: named_weights(&planned.program),
            notes: Vec::new(),
        }
    }

    /// A bundle's plan. `profile` replaces the rates that it was made for; execution times stay the bundle's.
    pub fn of_bundle(plan: &'a Plan, profile: Option<&DeviceProfile>) -> Self {
        let mut notes =
            vec!["A bundle holds no names of weights: pages are listed by the nodes that read them.".to_owned()];
        if let Some(profile) = profile {
            notes.push(format!(
                "Disk and upload rates are those of `{}`; the bundle was made for `{}`, and execution times are its own.",
                profile.name, plan.provenance.profile
            ));
        }
        let (disk_bytes_per_us, upload_bytes_per_us) = match profile {
            Some(profile) => (profile.disk_bytes_per_us(), profile.upload_bytes_per_us()),
            None => {
                let rates = &plan.provenance;
                (rates.disk_bytes_per_second * 1e-6, rates.upload_bytes_per_second * 1e-6)
            }
        };
        let page_bytes = plan.page.page_bytes();
        let steps = plan.dispatches.iter().map(|dispatch| {
            let (class, execute_us) = (dispatch.class, dispatch.predicted_us);
            let on = |profile: &DeviceProfile| profile.capacity_pages(class, execute_us, page_bytes);
            StepRate { class, execute_us, capacity_pages: profile.map_or(dispatch.capacity_pages, on) }
        });
        Self { plan, steps: steps.collect(), disk_bytes_per_us, upload_bytes_per_us, weights: page_ranges(plan), notes }
    }

    /// Time to read one page.
    pub fn read_us(&self) -> f64 {
        self.plan.page.page_bytes() as f64 / self.disk_bytes_per_us
    }

    /// Time to upload one page that no step hides.
    pub fn upload_us(&self) -> f64 {
        self.plan.page.page_bytes() as f64 / self.upload_bytes_per_us
    }
}

/// Weights by name, with the steps that read any of their texels.
fn named_weights(program: &Program) -> Vec<WeightUse> {
    let page_texels = u64::from(program.page.texels());
    let reads: Vec<(u32, &Range<u64>)> = (0_u32..)
        .zip(&program.steps)
        .filter_map(|(index, step)| step.weight_texels.as_ref().map(|texels| (index, texels)))
        .collect();
    let uses = program.weights.iter().filter(|weight| weight.texels > 0).filter_map(|weight| {
        let texels = weight.texel_offset..weight.texel_offset + weight.texels;
        let overlaps = |read: &&(u32, &Range<u64>)| read.1.start < texels.end && texels.start < read.1.end;
        let first_step = reads.iter().find(overlaps)?.0;
        let last_step = reads.iter().rev().find(overlaps)?.0;
        Some(WeightUse {
            name: Some(weight.name.clone()),
            size_bytes: weight.texels * u64::from(TEXEL_BYTES),
            pages: count32(texels.start / page_texels)..count32(texels.end.div_ceil(page_texels)),
            first_step,
            last_step,
        })
    });
    uses.collect()
}

/// One entry for every distinct range of pages that a dispatch reads, in file order.
fn page_ranges(plan: &Plan) -> Vec<WeightUse> {
    let mut uses: Vec<WeightUse> = Vec::new();
    let mut known = std::collections::BTreeMap::new();
    for (step, dispatch) in (0_u32..).zip(&plan.dispatches) {
        let Some(weights) = &dispatch.weights else { continue };
        let pages = weights.first_page.0..weights.first_page.0 + weights.page_count;
        let index = *known.entry((pages.start, pages.end)).or_insert(uses.len());
        match uses.get_mut(index) {
            Some(entry) => entry.last_step = step,
            None => uses.push(WeightUse {
                name: None,
                size_bytes: u64::from(weights.page_count) * plan.page.page_bytes(),
                pages,
                first_step: step,
                last_step: step,
            }),
        }
    }
    uses.sort_by_key(|entry| (entry.pages.start, entry.pages.end));
    uses
}
