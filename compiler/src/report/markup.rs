//! Text as HTML and SVG need it, and an axis of time.
//!
//! Everything that comes from a model (names of nodes, weights and files) must pass [`escape`] exactly once.

use std::fmt::Write as _;

/// Text that is neither markup nor a control character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A length in a drawing: one decimal, or none.
pub fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Horizontal scale of a drawing.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Left edge.
    pub left: f64,
    /// Right edge.
    pub right: f64,
    /// Value at the left edge.
    pub from: f64,
    /// Value at the right edge.
    pub to: f64,
}

impl Scale {
    /// Where a value lies.
    pub fn x(&self, value: f64) -> f64 {
        let span = self.to - self.from;
        if span > 0.0 { self.left + (value - self.from) / span * (self.right - self.left) } else { self.left }
    }
}

/// Round numbers from 0 up to `to`, at most `most` steps.
pub fn ticks(to: f64, most: u32) -> Vec<f64> {
    if !(to.is_finite() && to > 0.0) {
        return vec![0.0];
    }
    let raw = to / f64::from(most.max(1));
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(10.0 * power);
    (0..=(to / step).floor() as u32).map(|i| f64::from(i) * step).collect()
}

/// Vertical grid lines with the time below them.
pub fn time_axis(out: &mut String, scale: Scale, top: f64, bottom: f64) {
    for tick in ticks(scale.to, 10) {
        let x = px(scale.x(tick));
        let _ = write!(
            out,
            r#"<path class="grid" d="M{x} {}V{}"/><text class="tick" x="{x}" y="{}" text-anchor="middle">{}</text>"#,
            px(top),
            px(bottom),
            px(bottom + 15.0),
            milliseconds(tick),
        );
    }
}

fn milliseconds(us: f64) -> String {
    let ms = us / 1e3;
    let text = if ms >= 100.0 { format!("{ms:.0}") } else { format!("{ms:.3}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} ms")
}
