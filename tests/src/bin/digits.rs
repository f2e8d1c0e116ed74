//! The demo: classifies held-out handwritten digits with a compiled bundle and draws them in the terminal.
//!
//! It deliberately shows only the public runtime API: open, run, statistics.

use anyhow::{Context as _, ensure};
use clap::Parser;
use flashmem_runtime::{Options, Session, Stats, Tensor};
use ndarray::{Array1, Array4, Axis};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::PathBuf;

/// Classifies handwritten digits with a .fmplan bundle and draws them.
#[derive(Debug, Parser)]
#[command(name = "digits")]
struct Args {
    /// The compiled network.
    bundle: PathBuf,
    /// Held-out images: arrays `images` (n, 1, 8, 8) in 0..1 and `labels` (n).
    images: PathBuf,
    /// How many images to draw; all of them are classified.
    #[arg(long, default_value_t = 6)]
    draw: usize,
    /// Use the adapter whose name contains this.
    #[arg(long)]
    adapter: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut npz = NpzReader::new(File::open(&args.images).with_context(|| args.images.display().to_string())?)?;
    let images: Array4<f32> = npz.by_name("images")?;
    let labels: Array1<i64> = npz.by_name("labels")?;
    ensure!(images.len_of(Axis(0)) == labels.len(), "as many labels as images");

    let mut session =
        Session::builder(&args.bundle).options(Options { adapter: args.adapter, ..Options::default() }).open()?;
    let mut right = 0;
    for (index, (image, label)) in images.axis_iter(Axis(0)).zip(&labels).enumerate() {
        let pixels: Vec<f32> = image.iter().copied().collect();
        let outputs = session.run(&[("image", Tensor::from_f32(&[1, 1, 8, 8], &pixels))])?;
        let logits = outputs.get("logits").and_then(Tensor::as_f32).context("the network gives `logits`")?;
        let (digit, confidence) = predict(&logits);
        right += usize::from(digit as i64 == *label);
        if index < args.draw {
            draw(&pixels, digit, confidence, *label);
        }
    }
    println!("{right} of {} held-out images are right.\n", labels.len());
    summary(&session.stats());
    Ok(())
}

/// The most likely digit and its probability.
fn predict(logits: &[f32]) -> (usize, f32) {
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
    let sum: f32 = logits.iter().map(|l| (l - logits[best]).exp()).sum();
    (best, 1.0 / sum)
}

/// Draws an 8 × 8 image with two columns a pixel, its prediction beside it.
fn draw(pixels: &[f32], digit: usize, confidence: f32, label: i64) {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    for (row, line) in pixels.chunks(8).enumerate() {
        let text: String = line.iter().flat_map(|p| [SHADES[((p * 4.99) as usize).min(4)]; 2]).collect();
        let note = match row {
            3 => format!("   predicted {digit} ({:.1} %)", confidence * 100.0),
            4 if digit as i64 == label => format!("   label     {label}"),
            4 => format!("   label     {label}  WRONG"),
            _ => String::new(),
        };
        println!("  │{text}│{note}");
    }
    println!();
}

fn summary(stats: &Stats) {
    let kib = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
    let mut runs: Vec<f64> = stats.runs.iter().map(|run| run.ms).collect();
    let first = runs.first().copied();
    runs.sort_by(f64::total_cmp);
    let software = if stats.software { " (software)" } else { "" };
    println!("adapter         {}{software}", stats.adapter);
    println!("weights         {}", kib(stats.plan.weight_bytes_total));
    println!("declared peak   {}", kib(stats.memory.declared_peak_bytes));
    println!("measured peak   {}", kib(stats.memory.measured_peak_bytes));
    println!("read            {} in {} runs", kib(stats.io.bytes_read), runs.len());
    if let (Some(first), Some(median)) = (first, runs.get(runs.len() / 2)) {
        println!("time            load {:.1} ms, first run {first:.1} ms, median run {median:.2} ms", stats.load_ms);
    }
}
