//! The report of a linked bundle as one HTML file: lanes of its networks and of the disk, the arena by network over time, and what
//! every change of networks hides and waits for.
//!
//! As the page of a single plan it needs no network, no font and no script.

use super::chart::{LEFT, RIGHT, WIDTH};
use super::facts::time;
use super::markup::{Scale, escape, px, time_axis};
use super::page::{document, entry, section};
use super::sequence::{SequenceRun, SequenceTimeline};
use flashmem_plan_format::byte_size;
use flashmem_plan_format::container::OpenedBundle;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Height of a lane, and from one to the next.
const LANE: f64 = 26.0;
const PITCH: f64 = 38.0;
const TOP: f64 = 34.0;
/// Of the drawing of memory.
const BOTTOM: f64 = 250.0;
/// Marks that are nearer than this are one.
const THIN_PX: f64 = 0.7;
/// Colours of networks in the page's style; more networks than these share them.
const COLOURS: usize = 8;

/// Writes the page. `note` says where the order comes from.
pub fn sequence_page(title: &str, opened: &OpenedBundle, timeline: &SequenceTimeline, note: &str) -> String {
    let plan = &opened.bundle.plan;
    let (mut body, title) = (String::new(), escape(title));
    let peak = plan.memory.total_bytes().map_or_else(|| "overflow".to_owned(), byte_size::format);
    let budget = plan
        .budget_bytes
        .map_or_else(|| "no budget".to_owned(), |bytes| format!("budget {}", byte_size::format(bytes)));
    let _ = write!(
        body,
        "<header><h1>{title}</h1><p>{} networks, {} pages of {}, arena of {} slots; declared peak {peak} ({budget})</p></header>",
        opened.networks.len(),
        plan.page_count,
        byte_size::format(plan.page.page_bytes()),
        plan.slot_count,
    );
    let _ = write!(body, "<p class=\"note\">{}</p>", escape(note));
    section(
        &mut body,
        "Predicted sequence",
        "When each network runs, where it waits, and whose pages the disk reads: before a run starts, in the colour of what comes next.",
    );
    let names = opened.networks.iter().enumerate();
    let mut legend: String = names.map(|(network, own)| entry(&class(network), &own.name)).collect();
    legend.push_str(&entry("stall", "execution waits"));
    let total = time(timeline.end_us());
    let _ = write!(
        body,
        "<figure>{}<figcaption>{legend}<span>{} runs, {total} in all</span></figcaption></figure></section>",
        lanes(opened, timeline),
        timeline.runs.len()
    );
    section(
        &mut body,
        "Memory",
        "Slots of the weight arena by the network whose pages they hold; everything else is allocated from the start.",
    );
    let _ = write!(body, "<figure>{}</figure></section>", memory(opened, timeline));
    section(
        &mut body,
        "Hand-overs",
        "By pair of networks, per run of the second: pages that it found, reads that the run before it or its own execution hid, and reads that it waited for.",
    );
    let _ = write!(body, "{}</section>", hand_overs(opened, timeline));
    document(&format!("{title}: the sequence"), &body)
}

fn class(network: usize) -> String {
    format!("network{}", network % COLOURS)
}

fn rectangle(out: &mut String, class: &str, (from, to): (f64, f64), (top, height): (f64, f64), title: &str) {
    let _ = write!(
        out,
        r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
        px(from),
        px(top),
        px((to - from).max(0.4)),
        px(height),
        escape(title)
    );
}

/// A lane for each network, and one for the disk below them.
fn lanes(opened: &OpenedBundle, timeline: &SequenceTimeline) -> String {
    let scale = Scale { left: LEFT, right: RIGHT, from: 0.0, to: timeline.end_us() };
    let lane = |index: usize| TOP + PITCH * index as f64;
    let bottom = lane(opened.networks.len() + 1);
    let mut out = format!(
        r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Runs of networks and reads of the disk over time">"#,
        px(WIDTH),
        px(bottom + 24.0)
    );
    out.push_str(
        r#"<defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="wait-ground" width="6" height="6"/><rect class="wait-line" width="2.4" height="6"/></pattern></defs>"#,
    );
    time_axis(&mut out, scale, TOP - 8.0, bottom);
    let labels = opened.networks.iter().map(|network| network.name.as_str()).chain(["disk"]);
    for (index, label) in labels.enumerate() {
        let shown: String =
            if label.chars().count() > 12 { label.chars().take(11).chain(['…']).collect() } else { label.to_owned() };
        let (x, y) = (px(LEFT - 10.0), px(lane(index) + LANE / 2.0 + 4.0));
        let _ = write!(
            out,
            r#"<text class="lane" x="{x}" y="{y}" text-anchor="end">{}<title>{}</title></text>"#,
            escape(&shown),
            escape(label)
        );
    }
    for (position, run) in timeline.runs.iter().enumerate() {
        let name = &opened.networks[run.network].name;
        let title = format!(
            "run {} of `{name}`: {} from {}; found {} pages, read {}, waited {} for the disk",
            position + 1,
            time(run.timeline.finish_us),
            time(run.start_us),
            run.found,
            run.own_loads(),
            time(run.waited_us())
        );
        let across = (scale.x(run.start_us), scale.x(run.end_us()) - 0.6);
        rectangle(&mut out, &class(run.network), across, (lane(run.network), LANE), &title);
        stalls(&mut out, run, scale, lane(run.network));
        let next =
            timeline.runs.get(position + 1).map(|next| (next.network, opened.networks[next.network].name.as_str()));
        reads(&mut out, run, (name, next), scale, lane(opened.networks.len()));
    }
    out.push_str("</svg>");
    out
}

fn stalls(out: &mut String, run: &SequenceRun, scale: Scale, top: f64) {
    let mut marks: Vec<(f64, f64, f64)> = Vec::new();
    for stall in &run.timeline.stalls {
        let [from, to] = [stall.span.start_us, stall.span.end_us].map(|at| scale.x(run.start_us + at));
        match marks.last_mut().filter(|last| from - last.1 < THIN_PX) {
            Some(last) => (last.1, last.2) = (to, last.2 + stall.span.us()),
            None => marks.push((from, to, stall.span.us())),
        }
    }
    for (from, to, us) in marks {
        rectangle(out, "stall", (from, to), (top, LANE), &format!("execution waits {}", time(us)));
    }
}

/// Reads of a run: its own, and those for the next one in that one's colour.
fn reads(out: &mut String, run: &SequenceRun, (name, next): (&str, Option<(usize, &str)>), scale: Scale, top: f64) {
    let mut marks: Vec<(f64, f64, bool, u32)> = Vec::new();
    for (index, load) in run.timeline.loads.iter().enumerate() {
        let is_handed = index >= run.own_loads() as usize;
        let [from, to] = [load.read.start_us, load.read.end_us].map(|at| scale.x(run.start_us + at));
        match marks.last_mut().filter(|last| last.2 == is_handed && from - last.1 < THIN_PX) {
            Some(last) => (last.1, last.3) = (to, last.3 + 1),
            None => marks.push((from, to, is_handed, 1)),
        }
    }
    for (from, to, is_handed, pages) in marks {
        let (network, of) = next.filter(|_| is_handed).unwrap_or((run.network, name));
        let when = if is_handed { format!("before it runs, beside `{name}`") } else { "in its run".to_owned() };
        rectangle(out, &class(network), (from, to), (top, LANE), &format!("{pages} pages of `{of}` are read {when}"));
    }
}

/// Slots by network over time, on everything else, against declared peak and budget.
fn memory(opened: &OpenedBundle, timeline: &SequenceTimeline) -> String {
    let plan = &opened.bundle.plan;
    let declared = plan.memory.total_bytes().unwrap_or(u64::MAX) as f64;
    let rest = declared - plan.memory.weight_arena_bytes as f64;
    let across = Scale { left: LEFT, right: RIGHT, from: 0.0, to: timeline.end_us() };
    let up = Scale { left: BOTTOM, right: TOP, from: 0.0, to: declared * 1.08 };
    let mut out = format!(
        r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Slots of the arena by network over time">"#,
        px(WIDTH),
        px(BOTTOM + 24.0)
    );
    time_axis(&mut out, across, TOP, BOTTOM);
    let title = format!("everything but the weight arena: {}", byte_size::format(rest as u64));
    rectangle(&mut out, "small", (LEFT, RIGHT), (up.x(rest), BOTTOM - up.x(rest)), &title);
    let title = format!("weight arena: {}", byte_size::format(plan.memory.weight_arena_bytes));
    rectangle(&mut out, "arena", (LEFT, RIGHT), (up.x(declared), up.x(rest) - up.x(declared)), &title);
    let page_bytes = plan.page.page_bytes() as f64;
    // From the top of the stack down: each area covers what lies below it.
    for network in (0..opened.networks.len()).rev() {
        let mut path = format!("M{} {}", px(LEFT), px(up.x(rest)));
        let (mut most, mut before) = (0, String::new());
        for (at_us, held) in &timeline.held {
            let slots: u32 = held[..=network].iter().sum();
            most = most.max(held[network]);
            let step = format!("V{}", px(up.x(rest + f64::from(slots) * page_bytes)));
            if step != before {
                let _ = write!(path, "H{}{step}", px(across.x(*at_us).min(RIGHT)));
                before = step;
            }
        }
        let _ = write!(path, "H{}V{}Z", px(RIGHT), px(up.x(rest)));
        let (name, size) = (&opened.networks[network].name, byte_size::format((f64::from(most) * page_bytes) as u64));
        let title = escape(&format!("pages of `{name}`: at most {most} slots ({size})"));
        let _ = write!(out, r#"<path class="{}" d="{path}"><title>{title}</title></path>"#, class(network));
    }
    let mut line = |class: &str, bytes: f64, text: &str| {
        let y = up.x(bytes);
        let _ = write!(
            out,
            r#"<path class="{class}" d="M{} {}H{}"/><text class="{class}-text" x="{}" y="{}">{}</text>"#,
            px(LEFT),
            px(y),
            px(RIGHT),
            px(LEFT + 6.0),
            px(y - 5.0),
            escape(text)
        );
    };
    line("declared", declared, &format!("declared peak {}", byte_size::format(declared as u64)));
    if let Some(budget) = plan.budget_bytes.filter(|budget| (declared..=declared * 1.06).contains(&(*budget as f64))) {
        line("budget", budget as f64, "");
    }
    out.push_str("</svg>");
    out
}

/// What the runs of a pair have in common.
#[derive(Default)]
struct Pair {
    runs: u32,
    found: u32,
    before: f64,
    beside: f64,
    waited: f64,
    took: f64,
}

fn hand_overs(opened: &OpenedBundle, timeline: &SequenceTimeline) -> String {
    let mut pairs: BTreeMap<(usize, usize), Pair> = BTreeMap::new();
    for two in timeline.runs.windows(2) {
        let (first, second) = (&two[0], &two[1]);
        let pair = pairs.entry((first.network, second.network)).or_default();
        let reads = f64::from(second.own_loads()) * second.read_us;
        pair.runs += 1;
        pair.found += second.found;
        pair.before += f64::from(first.handed) * first.read_us;
        pair.waited += second.waited_us();
        pair.beside += (reads - second.waited_us()).max(0.0);
        pair.took += second.timeline.finish_us;
    }
    let mut out = String::from(
        "<div class=\"scroll\"><table><thead><tr><th>from</th><th>to</th><th class=\"n\">times</th><th class=\"n\">pages found</th><th class=\"n\">hidden before</th><th class=\"n\">hidden beside</th><th class=\"n\">waited for</th><th class=\"n\">run</th></tr></thead><tbody>",
    );
    for ((from, to), pair) in &pairs {
        let name = |network: &usize| escape(&opened.networks[*network].name);
        let runs = f64::from(pair.runs);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td>",
            name(from),
            name(to),
            pair.runs,
            f64::from(pair.found) / runs
        );
        for us in [pair.before, pair.beside, pair.waited, pair.took] {
            let _ = write!(out, "<td class=\"n\">{}</td>", time(us / runs));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}
