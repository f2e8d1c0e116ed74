//! How many bytes a kernel hides: the allowed slowdown of its class, and how uploads beside a kernel slow it down.
//!
//! With a measured curve the allowed slowdown is looked up in it; without one, uploads are assumed to take the time that
//! they take alone. What was not measured is deliberately not extrapolated: a curve that ends below the allowed slowdown
//! allows its last point.

use crate::cost::OperatorClass;
use serde::{Deserialize, Serialize};

/// Most that a rate may be: beyond any hardware, and far from where sums of times lose their digits.
pub(super) const MAX_RATE: f64 = 1e18;

/// Most slowdown that a profile may allow or have measured: a hundredfold.
pub(super) const MAX_SLOWDOWN: f64 = 100.0;

/// Allowed slowdown by class, as a fraction of the execution time: 0.2 is 20 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadCapacity {
    /// Elemental kernels.
    pub elemental: f64,
    /// Reusable kernels.
    pub reusable: f64,
    /// Hierarchical kernels.
    pub hierarchical: f64,
}

impl LoadCapacity {
    pub(super) const fn of(&self, class: OperatorClass) -> f64 {
        match class {
            OperatorClass::Elemental => self.elemental,
            OperatorClass::Reusable => self.reusable,
            OperatorClass::Hierarchical => self.hierarchical,
        }
    }
}

/// A point of a curve: bytes uploaded beside a kernel per microsecond of the time that it takes alone, and by which fraction
/// of that time it becomes slower.
pub type CurvePoint = [f64; 2];

/// Measured slowdown by class; a class without points has no curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CapacityCurve {
    /// Elemental kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elemental: Vec<CurvePoint>,
    /// Reusable kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reusable: Vec<CurvePoint>,
    /// Hierarchical kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hierarchical: Vec<CurvePoint>,
}

impl CapacityCurve {
    pub(super) fn is_empty(&self) -> bool {
        [OperatorClass::Elemental, OperatorClass::Reusable, OperatorClass::Hierarchical]
            .into_iter()
            .all(|class| self.of(class).is_empty())
    }

    fn of(&self, class: OperatorClass) -> &[CurvePoint] {
        match class {
            OperatorClass::Elemental => &self.elemental,
            OperatorClass::Reusable => &self.reusable,
            OperatorClass::Hierarchical => &self.hierarchical,
        }
    }

    /// Bytes per microsecond of a kernel that slow it down by `slowdown`; `None` without a curve for its class.
    pub(super) fn bytes_per_us(&self, class: OperatorClass, slowdown: f64) -> Option<f64> {
        let points = self.of(class);
        let last = points.last()?;
        if slowdown >= last[1] {
            return Some(last[0]);
        }
        // Every curve starts at no upload and no slowdown; the last point below the slowdown counts where it is flat.
        let at = points.iter().rposition(|point| point[1] <= slowdown);
        let from = at.map_or([0.0, 0.0], |index| points[index]);
        let to = points[at.map_or(0, |index| index + 1)];
        let share = if to[1] > from[1] { (slowdown - from[1]) / (to[1] - from[1]) } else { 0.0 };
        Some(from[0] + share * (to[0] - from[0]))
    }

    /// The first point that does not lie behind the one before it, in bytes or slowdown, or is no measurement: its curve's name in
    /// a profile, its position, and itself.
    pub(super) fn misplaced(&self) -> Option<(&'static str, usize, CurvePoint)> {
        let curves = [
            ("capacity_curve.elemental", &self.elemental),
            ("capacity_curve.reusable", &self.reusable),
            ("capacity_curve.hierarchical", &self.hierarchical),
        ];
        let within = |value: f64, most: f64| value.is_finite() && (0.0..=most).contains(&value);
        let is_wrong = |points: &[CurvePoint], index: usize| {
            let point = points[index];
            let before = index.checked_sub(1).map(|before| points[before]);
            let in_order = before.is_none_or(|before| before[0] < point[0] && before[1] <= point[1]);
            !(within(point[0], MAX_RATE) && within(point[1], MAX_SLOWDOWN) && in_order)
        };
        curves.into_iter().find_map(|(field, points)| {
            let index = (0..points.len()).find(|index| is_wrong(points, *index))?;
            Some((field, index, points[index]))
        })
    }
}
