//! Median and spread of repeated measurements.

use serde::Serialize;

/// Values in order of measuring, and what they come to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Samples {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// Distance of the quartiles.
    pub iqr: f64,
    pub values: Vec<f64>,
}

impl Samples {
    /// `None` without any.
    pub(super) fn of(values: Vec<f64>) -> Option<Self> {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let at = |part: f64| quantile(&sorted, part);
        Some(Self { median: at(0.5), min, max, iqr: at(0.75) - at(0.25), values })
    }
}

/// Between neighbours in proportion.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let position = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles() {
        let samples = Samples::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!((samples.median, samples.min, samples.max, samples.iqr), (3.0, 1.0, 5.0, 2.0));
        assert_eq!(samples.values, [5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(Samples::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert!(Samples::of(vec![]).is_none());
    }
}
