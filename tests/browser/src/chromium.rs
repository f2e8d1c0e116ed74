//! Starts a Chromium without a window, with WebGPU on its software device, and ends it.
//!
//! It deliberately installs nothing and uses no profile but its own temporary one.

use anyhow::Context as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A browser that ends when this is dropped.
pub struct Chromium {
    child: Child,
    directory: tempfile::TempDir,
}

/// Without a window or a network of its own; WebGPU by SwiftShader, wherever there is no graphics processor.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-logging=stderr",
    "--disable-dev-shm-usage",
];

impl Chromium {
    /// Opens a page.
    pub fn open(program: &Path, url: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a folder for the browser's profile")?;
        let log = File::create(log(&directory)).context("cannot make a file for the browser's messages")?;
        let mut command = Command::new(program);
        command.args(FLAGS).arg(format!("--user-data-dir={}", directory.path().join("profile").display())).arg(url);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, directory })
    }

    /// What it said last: messages of the page, and its own, without those on the desktop that it misses.
    pub fn messages(&self) -> String {
        let bytes = std::fs::read(log(&self.directory)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("dbus")).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("messages")
}
