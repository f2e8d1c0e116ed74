//! This machine's side of the browser test: runs every case natively, serves it to a headless Chromium, and compares.
//!
//! The page (`page.html`, `page.js` and `lib.rs`) does what an app in a browser does. It deliberately builds and installs nothing:
//! `tests/browser.sh` does.

mod case;
mod chromium;
mod faults;
mod server;

use anyhow::{Context as _, bail, ensure};
use case::Case;
use chromium::Chromium;
use clap::Parser;
use faults::FAULTS;
use server::{Answer, Request};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Runs bundles in a headless Chromium and compares their outputs with this machine's.
#[derive(Debug, Parser)]
struct Args {
    /// Folder with the page's script and library, as wasm-bindgen makes them.
    #[arg(long)]
    site: PathBuf,
    #[arg(long, default_value = "chromium")]
    chromium: PathBuf,
    /// The digit classifier and its images.
    #[arg(long, num_args = 2, value_names = ["BUNDLE", "ARRAYS.npz"])]
    digits: Vec<PathBuf>,
    /// A bundle, and arrays named as its inputs and outputs. Can be given more than once.
    #[arg(long = "case", num_args = 2, value_names = ["BUNDLE", "ARRAYS.npz"])]
    cases: Vec<PathBuf>,
    /// How long the server waits before it answers a range request.
    #[arg(long, default_value_t = 5)]
    latency_ms: u64,
    /// Pages that are on their way at a time.
    #[arg(long, default_value_t = 4)]
    readers: u32,
    /// Run in a worker instead of in the page.
    #[arg(long)]
    worker: bool,
    /// Longest wait for the browser's next word.
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
}

/// What the browser posts: where to, and what.
type Post = (String, Vec<u8>);

/// What is served.
struct Site {
    cases: Vec<Served>,
    script: Vec<u8>,
    library: Vec<u8>,
    latency: Duration,
    posts: Sender<Post>,
}

/// A case, and how its bundle was asked for.
struct Served {
    case: Case,
    requests: AtomicU32,
    now: AtomicU32,
    most: AtomicU32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut cases = Vec::new();
    for pair in args.digits.chunks_exact(2) {
        cases.push(Case::digits(&pair[0], &pair[1])?);
    }
    for pair in args.cases.chunks_exact(2) {
        cases.push(Case::single(&pair[0], &pair[1])?);
    }
    let read = |name: &str| std::fs::read(args.site.join(name)).with_context(|| format!("cannot read {name}"));
    let (posts, received) = channel();
    let site: &'static Site = Box::leak(Box::new(Site {
        cases: cases.into_iter().map(Served::new).collect(),
        script: read("flashmem_browser.js")?,
        library: read("flashmem_browser_bg.wasm")?,
        latency: Duration::from_millis(args.latency_ms),
        posts,
    }));
    println!("library: {} bytes", site.library.len());
    let address = server::serve(|request| site.answer(request))?;
    let worker = if args.worker { "&worker" } else { "" };
    let url = format!("http://{address}/?readers={}{worker}", args.readers);
    let browser = Chromium::open(&args.chromium, &url)?;
    let judged = judge(site, &received, Duration::from_secs(args.timeout_s));
    judged.with_context(|| format!("the browser's last messages:\n{}\nThe test failed", browser.messages()))
}

/// Compares everything that the browser posts until it is done.
fn judge(site: &Site, posts: &Receiver<Post>, timeout: Duration) -> anyhow::Result<()> {
    let (mut compared, mut refused) = (0, 0);
    loop {
        let (path, body) = match posts.recv_timeout(timeout) {
            Ok(post) => post,
            Err(RecvTimeoutError::Timeout) => bail!("the browser said nothing for {} s", timeout.as_secs()),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the server lives on"),
        };
        let text = || String::from_utf8_lossy(&body).into_owned();
        match path.split('/').collect::<Vec<_>>()[..] {
            ["case", name, "outputs"] => {
                println!("{name}: {}", site.served(name)?.case.compare(&body)?);
                compared += 1;
            }
            ["case", name, "stats"] => println!("{name}: {}", site.served(name)?.figures(&text())?),
            ["fault", name] => {
                let fault = FAULTS.iter().find(|fault| fault.name == name).context("a fault of the list")?;
                ensure!(text().starts_with(fault.says), "{name}: `{}` instead of `{}`", text(), fault.says);
                refused += 1;
            }
            ["failed"] => bail!("{}", text()),
            ["done"] => {
                ensure!(compared == site.cases.len() && refused == FAULTS.len(), "the browser left something out");
                println!("refused: {refused} wrong answers");
                return Ok(());
            }
            _ => bail!("the browser posts to `{path}`"),
        }
    }
}

impl Site {
    fn answer(&self, request: &Request) -> Answer {
        if request.method == "POST" {
            // Nobody listens any more when the test has failed.
            let _ = self.posts.send((request.path.clone(), request.body.clone()));
            return Answer::with("204 No Content", "", &[]);
        }
        let names = |names: Vec<&str>| Answer::file("text/plain", names.join("\n").as_bytes());
        let path = request.path.split_once('?').map_or(request.path.as_str(), |(path, _)| path);
        match path.split('/').collect::<Vec<_>>()[..] {
            [""] => Answer::file("text/html", include_bytes!("../page.html")),
            ["page.js"] => Answer::file("text/javascript", include_bytes!("../page.js")),
            ["flashmem_browser.js"] => Answer::file("text/javascript", &self.script),
            ["flashmem_browser_bg.wasm"] => Answer::file("application/wasm", &self.library),
            ["cases"] => names(self.cases.iter().map(|served| served.case.name.as_str()).collect()),
            ["faults"] => names(FAULTS.iter().map(|fault| fault.name).collect()),
            ["fault", name] => match FAULTS.iter().find(|fault| fault.name == name) {
                Some(fault) => fault.answer(request),
                None => Answer::not_found(),
            },
            ["case", name, part] => match (self.served(name), part, request.range) {
                (Ok(served), "inputs", _) => Answer::file("application/octet-stream", &served.case.inputs),
                (Ok(served), "model.fmplan", Some(range)) => served.part(range, self.latency),
                _ => Answer::not_found(),
            },
            _ => Answer::not_found(),
        }
    }

    fn served(&self, name: &str) -> anyhow::Result<&Served> {
        self.cases.iter().find(|served| served.case.name == name).with_context(|| format!("there is no case `{name}`"))
    }
}

impl Served {
    fn new(case: Case) -> Self {
        Self { case, requests: AtomicU32::new(0), now: AtomicU32::new(0), most: AtomicU32::new(0) }
    }

    fn part(&self, (first, last): (u64, u64), latency: Duration) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        std::thread::sleep(latency);
        self.now.fetch_sub(1, Ordering::Relaxed);
        Answer::part(&self.case.bundle, first, last, &self.case.name)
    }

    /// What the statistics say of the session, and the server of its requests.
    fn figures(&self, stats: &str) -> anyhow::Result<String> {
        let stats: serde_json::Value = serde_json::from_str(stats).context("cannot understand the statistics")?;
        let ms = |name: &str| stats[name].as_f64().unwrap_or(f64::NAN);
        let runs: Vec<_> = stats["runs_ms"].as_array().into_iter().flatten().filter_map(|ms| ms.as_f64()).collect();
        let later = runs.iter().skip(1).copied().min_by(f64::total_cmp).unwrap_or(f64::NAN);
        ensure!(stats["declared_exceeded"] == false, "{}: the declared peak is exceeded", self.case.name);
        Ok(format!(
            "open {:.0} ms (checked {:.0}, device {:.0}, staging {:.0}, pipelines {:.0}, allocated {:.0}), first run {:.0} ms, best later run {later:.1} ms of {}; {} loads, {} bytes read in {} requests, \
             at most {} at a time; {} bytes declared, {} measured",
            ms("load_ms"),
            ms("validate_ms"),
            ms("device_ms"),
            ms("staging_ms"),
            ms("pipelines_ms"),
            ms("allocated_ms"),
            runs.first().copied().unwrap_or(f64::NAN),
            runs.len(),
            stats["loads"],
            stats["bytes_read"],
            self.requests.load(Ordering::Relaxed),
            self.most.load(Ordering::Relaxed),
            stats["declared_peak_bytes"],
            stats["measured_peak_bytes"],
        ))
    }
}
