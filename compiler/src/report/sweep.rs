//! Budgets against predicted times: what more memory buys, for one precision of weights or for several.
//!
//! Takes the outcome for each budget; returns a table with bars, JSON-ready rows, and a self-contained page with a plot for each
//! precision. It deliberately plans nothing itself.

use super::chart::{LEFT, RIGHT, WIDTH};
use super::facts::time;
use super::markup::{Scale, escape, px, ticks};
use flashmem_plan_format::byte_size;
use std::fmt::Write as _;

/// Columns of the longest bar.
const BAR: usize = 32;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 330.0;
const HEIGHT: f64 = 366.0;
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What one budget gives.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// The budget.
    pub budget_bytes: u64,
    /// The plan, or nothing when the budget is too small.
    pub plan: Option<SweepPlan>,
}

/// The plan for one budget.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlan {
    /// Declared peak.
    pub declared_peak_bytes: u64,
    /// Predicted time of the first run.
    pub predicted_us: f64,
    /// Predicted time of later runs.
    pub later_us: f64,
    /// Proven gap of the time to its lower bound.
    pub gap: f64,
    /// `optimal`, `feasible` or `greedy`.
    pub status: &'static str,
    /// Pages in all.
    pub pages: u32,
    /// Bytes of one.
    pub page_bytes: u64,
    /// Slots of the arena.
    pub slots: u32,
    /// Kernel calls.
    pub steps: u32,
    /// Time to read all pages without a pause.
    pub disk_floor_us: f64,
}

/// How weights are stored in a sweep over precisions, and what that does.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPrecision {
    /// As in options.
    pub weights: String,
    /// Bytes of all weights; 0 where no budget works.
    pub weight_bytes: u64,
    /// Relative L2 error of the worst output that was predicted, for an encoding for every weight.
    pub predicted_error: Option<f64>,
    /// The error of a run.
    pub measured_error: Option<f64>,
}

impl SweepPrecision {
    /// Bytes and errors in a line.
    fn line(&self) -> String {
        let error =
            |what: &str, error: Option<f64>| error.map_or_else(String::new, |e| format!(", error {e:.2e} {what}"));
        format!(
            "weights {}: {}{}{}",
            self.weights,
            byte_size::format(self.weight_bytes),
            error("predicted", self.predicted_error),
            error("measured", self.measured_error)
        )
    }
}

/// Outcomes of all budgets, the smallest budget first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The model.
    pub model: String,
    /// The device profile.
    pub profile: String,
    /// Outcomes.
    pub points: Vec<SweepPoint>,
    /// The smallest budget that works, when one of the budgets does not.
    pub smallest_bytes: Option<u64>,
    /// How weights are stored, in a sweep over precisions.
    pub precision: Option<SweepPrecision>,
}

impl Sweep {
    fn plans(&self) -> impl Iterator<Item = (u64, &SweepPlan)> {
        self.points.iter().filter_map(|point| Some((point.budget_bytes, point.plan.as_ref()?)))
    }

    /// The smallest budget whose predicted time is within one per cent of the best.
    pub fn knee_bytes(&self) -> Option<u64> {
        let best_us = self.plans().map(|(_, plan)| plan.predicted_us).fold(f64::INFINITY, f64::min);
        self.plans().find(|(_, plan)| plan.predicted_us <= best_us * 1.01).map(|(budget_bytes, _)| budget_bytes)
    }

    /// A table with bars.
    pub fn table(&self) -> String {
        let slowest_us = self.plans().map(|(_, plan)| plan.predicted_us).fold(0.0, f64::max);
        let mut out = self.precision.as_ref().map_or_else(String::new, |precision| precision.line() + "\n");
        let _ = writeln!(out, "{:>11} {:>11} {:>10} {:>10} {:>8}", "budget", "peak", "cold ms", "later ms", "gap");
        for point in &self.points {
            let budget = byte_size::format(point.budget_bytes);
            let _ = match &point.plan {
                None => writeln!(out, "{budget:>11} {:>11}", "infeasible"),
                Some(plan) => {
                    let share = if slowest_us > 0.0 { plan.predicted_us / slowest_us } else { 0.0 };
                    let bar = "█".repeat((share * BAR as f64).round().max(1.0) as usize);
                    let peak = byte_size::format(plan.declared_peak_bytes);
                    let (ms, later_ms, gap) = (plan.predicted_us / 1e3, plan.later_us / 1e3, plan.gap * 100.0);
                    writeln!(out, "{budget:>11} {peak:>11} {ms:>10.2} {later_ms:>10.2} {gap:>6.2} %  {bar}")
                }
            };
        }
        if let Some(bytes) = self.smallest_bytes {
            let _ = writeln!(out, "smallest feasible budget: {bytes} bytes ({})", byte_size::format(bytes));
        }
        if let Some(bytes) = self.knee_bytes() {
            let _ = writeln!(out, "within 1 % of the best time from {} on", byte_size::format(bytes));
        }
        out
    }

    /// A self-contained page.
    pub fn page(sweeps: &[Self]) -> String {
        let title = sweeps.first().map_or_else(String::new, |sweep| escape(&sweep.model));
        let profile = sweeps.first().map_or_else(String::new, |sweep| escape(&sweep.profile));
        let sections: String = sweeps.iter().map(Self::section).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}: budgets</title><style>{STYLE}</style></head><body><main><header><h1>{title}</h1><p>Predicted cold run on {profile} by memory budget.</p></header>{sections}</main><script>{SCRIPT}</script></body></html>\n"
        )
    }

    /// Plot and table.
    fn section(&self) -> String {
        let mut rows = String::new();
        for point in &self.points {
            let budget = byte_size::format(point.budget_bytes);
            let _ = match &point.plan {
                None => {
                    write!(rows, "<tr><td class=\"n\">{budget}</td><td colspan=\"7\">infeasible</td></tr>")
                }
                Some(plan) => write!(
                    rows,
                    "<tr><td class=\"n\">{budget}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2} %</td><td>{}</td><td class=\"n\">{} of {}</td><td class=\"n\">{}</td></tr>",
                    byte_size::format(plan.declared_peak_bytes),
                    time(plan.predicted_us),
                    time(plan.later_us),
                    plan.gap * 100.0,
                    plan.status,
                    plan.slots,
                    plan.pages,
                    byte_size::format(plan.page_bytes),
                ),
            };
        }
        let note = match (self.smallest_bytes, self.knee_bytes()) {
            (Some(smallest), Some(knee)) => {
                format!(
                    "The smallest feasible budget is {}; from {} on, more memory buys less than 1 %.",
                    byte_size::format(smallest),
                    byte_size::format(knee)
                )
            }
            (Some(smallest), None) => {
                format!("None of these budgets works; the smallest that does is {}.", byte_size::format(smallest))
            }
            (None, Some(knee)) => format!("From {} on, more memory buys less than 1 %.", byte_size::format(knee)),
            (None, None) => String::new(),
        };
        let heading = self.precision.as_ref().map_or_else(String::new, |p| format!("<h2>{}</h2>", escape(&p.line())));
        format!(
            "<section>{heading}<p>{note}</p><figure>{}<figcaption><span><i class=\"reusable\"></i>first run</span><span><i class=\"upload\"></i>later runs, with what stays resident</span></figcaption></figure><div class=\"scroll\"><table><thead><tr><th class=\"n\">budget</th><th class=\"n\">declared peak</th><th class=\"n\">predicted cold run</th><th class=\"n\">later runs</th><th class=\"n\">gap</th><th>schedule</th><th class=\"n\">slots of pages</th><th class=\"n\">page</th></tr></thead><tbody>{rows}</tbody></table></div></section>",
            self.plot(),
        )
    }

    /// Budget (logarithmic) across, time up.
    fn plot(&self) -> String {
        let logarithm = |bytes: u64| (bytes.max(1) as f64).log2();
        let budgets = self.points.iter().map(|point| point.budget_bytes).chain(self.smallest_bytes);
        let (least, most) = budgets.fold((u64::MAX, 0), |(least, most), b| (least.min(b), most.max(b)));
        let (from, to) = (logarithm(least.min(most)), logarithm(most));
        // A single budget lies in the middle.
        let margin = if to > from { (to - from) * 0.03 } else { 0.5 };
        let across = Scale { left: LEFT, right: RIGHT, from: from - margin, to: to + margin };
        let slowest_us = self.plans().map(|(_, plan)| plan.predicted_us).fold(0.0, f64::max);
        let up = Scale { left: BOTTOM, right: TOP, from: 0.0, to: slowest_us.max(1.0) * 1.1 };
        let mut out = format!(
            r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Predicted time by budget"><defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="wait-ground" width="6" height="6"/><rect class="wait-line" width="1" height="6"/></pattern></defs>"#,
            px(WIDTH),
            px(HEIGHT)
        );
        for tick in ticks(up.to, 6) {
            let y = px(up.x(tick));
            let _ = write!(
                out,
                r#"<path class="grid" d="M{} {y}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>"#,
                px(LEFT),
                px(RIGHT),
                px(LEFT - 8.0),
                px(up.x(tick) + 4.0),
                if tick > 0.0 { time(tick) } else { "0".to_owned() },
            );
        }
        self.infeasible(&mut out, across, logarithm);
        self.budget_ticks(&mut out, across, logarithm);
        // The floor differs a little with the page size: the last page is padded.
        if let Some((_, plan)) = self.plans().last() {
            let y = up.x(plan.disk_floor_us);
            let _ = write!(
                out,
                r#"<path class="floor" d="M{} {y}H{right}"/><text class="floor-text" x="{right}" y="{}" text-anchor="end">disk floor {}</text>"#,
                px(LEFT),
                px(y + 15.0),
                time(plan.disk_floor_us),
                y = px(y),
                right = px(RIGHT),
            );
        }
        let later: Vec<String> = self
            .plans()
            .map(|(b, plan)| format!("{} {}", px(across.x(logarithm(b))), px(up.x(plan.later_us))))
            .collect();
        if !later.is_empty() {
            let _ = write!(out, r#"<path class="later" d="M{}"/>"#, later.join("L"));
        }
        let points: Vec<(f64, f64, u64, &SweepPlan)> =
            self.plans().map(|(b, plan)| (across.x(logarithm(b)), up.x(plan.predicted_us), b, plan)).collect();
        let path: Vec<String> = points.iter().map(|(x, y, ..)| format!("{} {}", px(*x), px(*y))).collect();
        if !path.is_empty() {
            let _ = write!(out, r#"<path class="curve" d="M{}"/>"#, path.join("L"));
        }
        for (x, y, budget_bytes, plan) in points {
            let _ = write!(
                out,
                r#"<circle class="point" cx="{}" cy="{}" r="5"><title>budget {}: {}, later runs {}, declared peak {}, gap {:.2} %</title></circle>"#,
                px(x),
                px(y),
                byte_size::format(budget_bytes),
                time(plan.predicted_us),
                time(plan.later_us),
                byte_size::format(plan.declared_peak_bytes),
                plan.gap * 100.0,
            );
        }
        out.push_str("</svg>");
        out
    }

    fn infeasible(&self, out: &mut String, across: Scale, logarithm: impl Fn(u64) -> f64) {
        let Some(smallest) = self.smallest_bytes else { return };
        let right = across.x(logarithm(smallest));
        let text = format!("infeasible below {}", byte_size::format(smallest));
        let _ = write!(
            out,
            r#"<rect class="stall" x="{}" y="{}" width="{}" height="{}" opacity="0.5"><title>{text}</title></rect>"#,
            px(LEFT),
            px(TOP),
            px((right - LEFT).max(0.0)),
            px(BOTTOM - TOP),
        );
    }

    fn budget_ticks(&self, out: &mut String, across: Scale, logarithm: impl Fn(u64) -> f64) {
        let mut last_x = f64::NEG_INFINITY;
        for point in &self.points {
            let x = across.x(logarithm(point.budget_bytes));
            if x - last_x < 64.0 {
                continue;
            }
            last_x = x;
            let _ = write!(
                out,
                r#"<path class="grid" d="M{x} {}V{}"/><text class="tick" x="{x}" y="{}" text-anchor="middle">{}</text>"#,
                px(TOP),
                px(BOTTOM),
                px(BOTTOM + 17.0),
                byte_size::format(point.budget_bytes),
                x = px(x),
            );
        }
    }
}
