//! Device memory of a process by the driver's own tool, `nvidia-smi`, where there is one.
//!
//! A process is looked up by its id among graphics and compute processes. In containers ids differ and nothing is found:
//! then the whole device's used memory is taken, which is right only while nothing else uses the device.

use serde::Serialize;
use std::process::Command;

/// What the tool says, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct GpuMemory {
    /// Of the process; `None` when the tool does not know it.
    pub process_bytes: Option<u64>,
    /// Of everything on the first device.
    pub device_bytes: u64,
}

/// Asks the tool; `None` where there is none.
pub(super) fn of_process(pid: u32) -> Option<GpuMemory> {
    let device_bytes = mebibytes(&tool(&["--query-gpu=memory.used", "--format=csv,noheader,nounits"])?)?;
    let compute = tool(&["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]);
    let monitor = tool(&["pmon", "-c", "1", "-s", "m"]);
    let process_bytes = compute
        .and_then(|text| find_compute(&text, pid))
        .or_else(|| monitor.and_then(|text| find_monitored(&text, pid)));
    Some(GpuMemory { process_bytes, device_bytes })
}

/// What `loaded` holds beyond `empty`, and whether it is known for the process itself.
pub(super) fn difference(loaded: GpuMemory, empty: GpuMemory) -> (i64, &'static str) {
    let minus = |a: u64, b: u64| a.cast_signed() - b.cast_signed();
    match (loaded.process_bytes, empty.process_bytes) {
        (Some(loaded), Some(empty)) => (minus(loaded, empty), "process"),
        _ => (minus(loaded.device_bytes, empty.device_bytes), "device"),
    }
}

fn tool(arguments: &[&str]) -> Option<String> {
    let output = Command::new("nvidia-smi").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn mebibytes(text: &str) -> Option<u64> {
    text.lines().next()?.trim().parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// Lines of `pid, MiB`.
fn find_compute(text: &str, pid: u32) -> Option<u64> {
    let lines = text.lines().filter_map(|line| line.split_once(','));
    let mut of_pid = lines.filter(|(found, _)| found.trim().parse() == Ok(pid));
    mebibytes(of_pid.next()?.1)
}

/// Columns of device, pid, type, frame buffer MiB, …; comments start with `#`.
fn find_monitored(text: &str, pid: u32) -> Option<u64> {
    let rows = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut fields = rows.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = fields.find(|fields| fields.get(1).and_then(|found| found.parse().ok()) == Some(pid))?;
    mebibytes(row.get(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_in_both_tables() {
        assert_eq!(find_compute("12, 300\n  77, 1024\n", 77), Some(1 << 30));
        assert_eq!(find_compute("12, 300\n", 77), None);
        assert_eq!(find_compute("77, [N/A]\n", 77), None);
        let monitor = "# gpu   pid  type   fb   ccpm  command\n# Idx     #   C/G   MB   MB  name\n    0   77    C+G   2    0   x\n";
        assert_eq!(find_monitored(monitor, 77), Some(2 << 20));
        assert_eq!(find_monitored("    0   -   -   -   -   -\n", 77), None);
    }

    #[test]
    fn the_device_stands_in_for_an_unknown_process() {
        let of = |process_bytes, device_bytes| GpuMemory { process_bytes, device_bytes };
        assert_eq!(difference(of(Some(9), 100), of(Some(2), 50)), (7, "process"));
        assert_eq!(difference(of(None, 100), of(Some(2), 150)), (-50, "device"));
    }
}
