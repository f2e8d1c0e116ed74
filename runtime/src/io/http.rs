//! A bundle on a web server, read by range requests: HTTP/1.1, without encryption, on connections that are kept.
//!
//! Every answer is checked before a byte of it is used: status 206, the very range that was asked for, the size that the
//! file had when it was opened, and the entity tag, where there is one. Every wait has a limit. Redirects, proxies,
//! passwords and encryption are deliberately not here: an app that needs them implements [`ReadAt`] on its own client.

use super::answer::{HttpError, Version};
use crate::lock::lock;
use flashmem_plan_format::source::ReadAt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Mutex;
use std::time::Duration;

/// Longest head of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Most connections that are kept.
const MAX_IDLE: usize = 32;

/// A file on a server.
#[derive(Debug)]
pub struct HttpSource {
    /// Host and port.
    authority: String,
    path: String,
    timeout: Duration,
    version: Version,
    idle: Mutex<Vec<TcpStream>>,
}

/// What matters of an answer's head.
struct Head {
    status: String,
    content_range: Option<String>,
    content_length: Option<u64>,
    tag: Option<String>,
    closes: bool,
    /// Bytes of the body that came with the head.
    rest: Vec<u8>,
}

impl HttpSource {
    /// Asks for the size of the file at `url`. No step of this or of any later read waits longer than `timeout`.
    ///
    /// # Errors
    /// An address that is not plain HTTP, a server that cannot be reached or does not serve ranges.
    pub fn open(url: &str, timeout: Duration) -> io::Result<Self> {
        let no_url = || HttpError::Url { url: url.to_owned() };
        let rest = url.strip_prefix("http://").ok_or_else(no_url)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !is_plain(rest) {
            return Err(no_url().into());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        let (path, idle) = (format!("/{path}"), Mutex::default());
        let mut source = Self { authority, path, timeout, version: Version::default(), idle };
        let mut connection = source.connect()?;
        let head = source.request(&mut connection, 0, 1)?;
        source.version = Version::of(head.content_range.clone(), head.tag.clone())?;
        source.body(connection, head, &mut [0])?;
        Ok(source)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(connection) => {
                    connection.set_read_timeout(Some(self.timeout))?;
                    connection.set_write_timeout(Some(self.timeout))?;
                    connection.set_nodelay(true)?;
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a request and reads the head of its answer.
    fn request(&self, connection: &mut TcpStream, start_bytes: u64, length: u64) -> io::Result<Head> {
        let (path, host, last) = (&self.path, &self.authority, start_bytes + length - 1);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={start_bytes}-{last}\r\n\r\n");
        connection.write_all(request.as_bytes())?;
        let head = read_head(connection)?;
        if head.status.split(' ').nth(1) != Some("206") {
            return Err(HttpError::Status { status: head.status }.into());
        }
        Ok(head)
    }

    /// Reads the body, and keeps the connection if the server does.
    fn body(&self, mut connection: TcpStream, head: Head, buffer: &mut [u8]) -> io::Result<()> {
        if head.content_length != Some(buffer.len() as u64) || head.rest.len() > buffer.len() {
            return Err(HttpError::Head { reason: "its length is not that of the range" }.into());
        }
        let (start, rest) = buffer.split_at_mut(head.rest.len());
        start.copy_from_slice(&head.rest);
        connection.read_exact(rest)?;
        let mut idle = lock(&self.idle);
        if !head.closes && idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        Ok(())
    }
}

impl ReadAt for HttpSource {
    fn size_bytes(&self) -> u64 {
        self.version.size_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        super::range::check_range(self.version.size_bytes, offset_bytes, buffer.len())?;
        if buffer.is_empty() {
            return Ok(());
        }
        let length = buffer.len() as u64;
        let kept = lock(&self.idle).pop();
        // A server may close a connection that it kept: that is no error of the file.
        let answered = kept.and_then(|mut kept| Some((self.request(&mut kept, offset_bytes, length).ok()?, kept)));
        let (head, connection) = match answered {
            Some(answered) => answered,
            None => {
                let mut connection = self.connect()?;
                (self.request(&mut connection, offset_bytes, length)?, connection)
            }
        };
        self.version.check(offset_bytes, offset_bytes + length, head.content_range.clone(), head.tag.clone())?;
        self.body(connection, head, buffer)
    }
}

fn read_head(connection: &mut TcpStream) -> io::Result<Head> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(HttpError::Head { reason: "it is too long" }.into());
        }
        let mut piece = [0; 1024];
        match connection.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    let rest = bytes.split_off(end + 4);
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| HttpError::Head { reason: "it is no text" })?;
    Ok(parse_head(text, rest)?)
}

fn parse_head(text: &str, rest: Vec<u8>) -> Result<Head, HttpError> {
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default().to_owned();
    if !status.starts_with("HTTP/1.") {
        return Err(HttpError::Head { reason: "it is not HTTP/1" });
    }
    let closes = status.starts_with("HTTP/1.0");
    let mut head = Head { status, content_range: None, content_length: None, tag: None, closes, rest };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(HttpError::Head { reason: "a line has no colon" })?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-range" => head.content_range = Some(value.to_owned()),
            "content-length" => head.content_length = value.parse().ok(),
            "etag" => head.tag = Some(value.to_owned()),
            "connection" => head.closes |= value.eq_ignore_ascii_case("close"),
            "transfer-encoding" => return Err(HttpError::Head { reason: "its length is not given in advance" }),
            _ => {}
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(5);

    /// Serves `answer(first, last)` to every request for bytes `first..=last`, on any number of connections.
    fn serve(answer: impl Fn(u64, u64) -> Vec<u8> + Send + Sync + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/dir/model.fmplan", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, answer) = (connection.unwrap(), Arc::clone(&answer));
                std::thread::spawn(move || talk(connection, &*answer));
            }
        });
        url
    }

    fn talk(mut connection: TcpStream, answer: &dyn Fn(u64, u64) -> Vec<u8>) {
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        let mut range = None;
        while let Some(Ok(line)) = lines.next() {
            if let Some(text) = line.strip_prefix("Range: bytes=") {
                let (first, last) = text.split_once('-').unwrap();
                range = Some((first.parse().unwrap(), last.parse().unwrap()));
            }
            if line.is_empty() {
                let (first, last) = range.take().unwrap();
                let bytes = answer(first, last);
                if connection.write_all(&bytes).is_err() || bytes.is_empty() {
                    return;
                }
            }
        }
    }

    fn file() -> Vec<u8> {
        (0..50_000_u32).map(|i| (i * 11 + i / 256) as u8).collect()
    }

    fn part(first: u64, last: u64, extra: &str) -> Vec<u8> {
        let (file, length) = (file(), last - first + 1);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}\r\nContent-Length: {length}\r\n{extra}\r\n",
            file.len()
        );
        [head.as_bytes(), &file[first as usize..=last as usize]].concat()
    }

    fn http_error(error: &io::Error) -> Option<&HttpError> {
        error.get_ref()?.downcast_ref()
    }

    #[test]
    fn ranges_arrive_on_kept_and_on_closed_connections() {
        for extra in ["", "Connection: close\r\n", "ETag: \"1\"\r\n"] {
            let url = serve(move |first, last| part(first, last, extra));
            let source = HttpSource::open(&url, SECOND).unwrap();
            assert_eq!(source.size_bytes(), 50_000);
            for (offset, length) in [(0, 50_000), (1, 1), (49_999, 1), (123, 4096), (7, 0)] {
                let mut buffer = vec![0; length];
                source.read_at(offset as u64, &mut buffer).unwrap();
                assert_eq!(buffer, file()[offset..offset + length]);
            }
            let error = source.read_at(49_999, &mut [0; 2]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn wrong_answers_are_refused() {
        type Answer = fn(u64, u64) -> Vec<u8>;
        let cases: [(Answer, &str); 6] = [
            (|_, _| b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(), "404 Not Found"),
            (|first, last| part(first + 1, last + 1, ""), "were asked for"),
            (|first, last| part(first, last + 9, ""), "were asked for"),
            (|first, last| part(first, last, "Transfer-Encoding: chunked\r\n"), "not given in advance"),
            (|first, last| part(first, last, "ETag: \"2\"\r\n"), "changed on the server"),
            (|_, _| vec![b'x'; 20_000], "it is too long"),
        ];
        for (bad, message) in cases {
            // Only the first request, which asks for the size, is answered well.
            let url = serve(move |first, last| if last == 0 { part(first, last, "") } else { bad(first, last) });
            let source = HttpSource::open(&url, SECOND).unwrap();
            let error = source.read_at(100, &mut [0; 50]).unwrap_err();
            assert!(http_error(&error).is_some() && error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn short_and_silent_answers_end() {
        let url = serve(|first, last| if last == 0 { part(0, 0, "") } else { part(first, last, "")[..150].to_vec() });
        let source = HttpSource::open(&url, Duration::from_millis(200)).unwrap();
        let error = source.read_at(0, &mut [0; 5000]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error:?}");
        let url = serve(|_, last| if last == 0 { part(0, 0, "") } else { Vec::new() });
        let source = HttpSource::open(&url, SECOND).unwrap();
        assert_eq!(source.read_at(0, &mut [0; 50]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn other_addresses_are_refused() {
        for url in ["https://example.org/m", "http:///m", "m.fmplan", "http://a b/m", "http://user@host/m"] {
            let error = HttpSource::open(url, SECOND).unwrap_err();
            assert!(matches!(http_error(&error), Some(HttpError::Url { .. })), "{error}");
        }
    }

    #[test]
    fn a_session_runs_from_a_server() {
        let bundle = Arc::new(flashmem_plan_format::testing::small_bundle());
        let url = serve(move |first, last| {
            let body = &bundle[first as usize..=last as usize];
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n\r\n",
                bundle.len(),
                body.len()
            );
            [head.as_bytes(), body].concat()
        });
        let source = Arc::new(HttpSource::open(&url, SECOND).unwrap());
        crate::Session::builder(crate::Source::Blocking(source)).open().unwrap().self_test().unwrap();
    }
}
