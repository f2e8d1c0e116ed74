//! Answers to range requests that a browser's source must refuse, and what it must say.

use crate::server::{Answer, Request};

/// A way to misbehave.
pub struct Fault {
    pub name: &'static str,
    /// How what the source says starts.
    pub says: &'static str,
    /// Answers a request for bytes `first..=last`.
    answer: fn(first: u64, last: u64) -> Answer,
}

pub const FAULTS: [Fault; 9] = [
    Fault {
        name: "missing",
        says: "opening: the server answers `404 Not Found` to a range request; 206 is needed",
        answer: |_, _| Answer::not_found(),
    },
    Fault {
        name: "whole-file",
        says: "opening: the server answers `200 OK` to a range request; 206 is needed",
        answer: |_, _| Answer::file("application/octet-stream", &file(0)),
    },
    Fault {
        name: "no-range",
        says: "opening: the server's answer has no Content-Range",
        answer: |_, _| Answer::with("206 Partial Content", "", &[0]),
    },
    Fault {
        name: "other-range",
        says: "reading: the server sends `bytes 101-600/5000`, and bytes 100 to 600 were asked for",
        answer: |first, last| after_opening(last, || part(first + 1, last + 1, 0, "1")),
    },
    Fault {
        name: "other-tag",
        says: "reading: the file changed on the server while it was read",
        answer: |first, last| after_opening(last, || part(first, last, 0, "2")),
    },
    Fault {
        name: "other-size",
        says: "reading: the file changed on the server while it was read",
        answer: |first, last| after_opening(last, || part(first, last, 1, "1")),
    },
    Fault {
        name: "longer",
        says: "reading: the server sends more than bytes 100 to 600",
        answer: |first, last| {
            let headers = format!("Content-Range: bytes {first}-{last}/5000\r\nETag: \"1\"\r\n");
            after_opening(last, || Answer::with("206 Partial Content", &headers, &file(0)))
        },
    },
    Fault {
        name: "cut",
        says: "reading: the browser cannot fetch the file: ",
        answer: |first, last| {
            after_opening(last, || match part(first, last, 0, "1") {
                Answer::Sent(bytes) => Answer::Cut(bytes[..bytes.len() - 200].to_vec()),
                other @ (Answer::Cut(_) | Answer::Silence) => other,
            })
        },
    },
    Fault { name: "silent", says: "reading: timed out", answer: |_, last| after_opening(last, || Answer::Silence) },
];

impl Fault {
    pub fn answer(&self, request: &Request) -> Answer {
        request.range.map_or_else(Answer::not_found, |(first, last)| (self.answer)(first, last))
    }
}

/// Right for the request for the first byte.
fn after_opening(last: u64, answer: impl FnOnce() -> Answer) -> Answer {
    if last == 0 { part(0, 0, 0, "1") } else { answer() }
}

fn part(first: u64, last: u64, longer_bytes: usize, tag: &str) -> Answer {
    Answer::part(&file(longer_bytes), first, last, tag)
}

fn file(longer_bytes: usize) -> Vec<u8> {
    vec![7; 5000 + longer_bytes]
}
