//! Writes events of the Chrome trace format, one a line.

use std::fmt::Write as _;
use std::time::Duration;

/// A process and a thread of the trace: a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) process: u32,
    pub(super) thread: u32,
}

/// A trace under construction.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn new() -> Self {
        Self("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n".to_owned())
    }

    /// Names a process.
    pub(super) fn process(&mut self, process: u32, name: &str) {
        let name = quoted(name);
        self.event(&format!(
            "\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{process},\"tid\":0,\"args\":{{\"name\":{name}}}"
        ));
        self.event(&format!(
            "\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":{process},\"tid\":0,\"args\":{{\"sort_index\":{process}}}"
        ));
    }

    /// Names a lane; lanes are shown in the order of their numbers.
    pub(super) fn lane(&mut self, lane: Lane, name: &str) {
        let Lane { process, thread } = lane;
        let name = quoted(name);
        self.event(&format!(
            "\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"name\":{name}}}"
        ));
        self.event(&format!(
            "\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"sort_index\":{thread}}}"
        ));
    }

    /// Something that took time. `arguments` are rendered JSON values.
    pub(super) fn span(
        &mut self,
        lane: Lane,
        name: &str,
        start: Duration,
        end: Duration,
        arguments: &[(&str, String)],
    ) {
        let Lane { process, thread } = lane;
        let (name, start_us, duration_us) = (quoted(name), micros(start), micros(end.saturating_sub(start)));
        let arguments: Vec<_> = arguments.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
        self.event(&format!(
            "\"ph\":\"X\",\"name\":{name},\"pid\":{process},\"tid\":{thread},\"ts\":{start_us},\"dur\":{duration_us},\"args\":{{{}}}",
            arguments.join(",")
        ));
    }

    /// The value of a counter from `at` on.
    pub(super) fn counter(&mut self, process: u32, name: &str, at: Duration, bytes: u64) {
        let (name, at_us) = (quoted(name), micros(at));
        self.event(&format!(
            "\"ph\":\"C\",\"name\":{name},\"pid\":{process},\"tid\":0,\"ts\":{at_us},\"args\":{{\"bytes\":{bytes}}}"
        ));
    }

    pub(super) fn finish(mut self) -> String {
        // The last event's comma goes.
        self.0.truncate(self.0.trim_end_matches(",\n").len());
        self.0.push_str("\n]}\n");
        self.0
    }

    fn event(&mut self, fields: &str) {
        let _ = writeln!(self.0, "{{{fields}}},");
    }
}

/// Microseconds to the nanosecond, which all viewers take.
fn micros(time: Duration) -> String {
    let nanos = time.as_nanos();
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_times_are_microseconds() {
        assert_eq!(quoted("a\"b\\c\nd\u{1f600}"), "\"a\\\"b\\\\c\\u000ad\u{1f600}\"");
        assert_eq!(micros(Duration::from_nanos(1_234_567)), "1234.567");
        assert_eq!(micros(Duration::from_nanos(5)), "0.005");
    }
}
