//! A web server for one browser: requests in, answers out, connections kept.
//!
//! It reads what browsers send and nothing more general, and knows no files: `answer` is asked for every request.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Largest body that is read, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// What a browser asks for.
#[derive(Debug, Default)]
pub struct Request {
    pub method: String,
    /// Without its first slash.
    pub path: String,
    /// First and last byte.
    pub range: Option<(u64, u64)>,
    pub body: Vec<u8>,
}

/// What it gets.
#[derive(Debug)]
pub enum Answer {
    /// These bytes, head and all.
    Sent(Vec<u8>),
    /// These, and then the connection ends.
    Cut(Vec<u8>),
    /// Nothing, until the browser goes.
    Silence,
}

impl Answer {
    /// With a status, more headers (each ending with a line break) and a body.
    pub fn with(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        Self::Sent([head.as_bytes(), body].concat())
    }

    /// A whole file.
    pub fn file(content_type: &str, body: &[u8]) -> Self {
        Self::with("200 OK", &format!("Content-Type: {content_type}\r\nCache-Control: no-store\r\n"), body)
    }

    /// Bytes `first..=last` of a file.
    pub fn part(file: &[u8], first: u64, last: u64, tag: &str) -> Self {
        let headers = format!("Content-Range: bytes {first}-{last}/{}\r\nETag: \"{tag}\"\r\n", file.len());
        match file.get(first as usize..=last as usize) {
            Some(bytes) => Self::with("206 Partial Content", &headers, bytes),
            None => Self::with("416 Range Not Satisfiable", "", &[]),
        }
    }

    pub fn not_found() -> Self {
        Self::with("404 Not Found", "", &[])
    }
}

/// Serves on a free port of this machine until the process ends.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A connection that breaks is the browser's to notice.
            std::thread::spawn(move || talk(connection, &*answer));
        }
    });
    Ok(address)
}

fn talk(mut connection: TcpStream, answer: &dyn Fn(&Request) -> Answer) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        match answer(&request) {
            Answer::Sent(bytes) => connection.write_all(&bytes)?,
            Answer::Cut(bytes) => {
                connection.write_all(&bytes)?;
                return connection.shutdown(std::net::Shutdown::Both);
            }
            Answer::Silence => drop(reader.read(&mut [0])?),
        }
    }
    Ok(())
}

/// `None` when the browser sends no more.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut body_bytes = 0;
    for index in 0.. {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if index == 0 {
            let mut words = line.split(' ');
            request.method = words.next().unwrap_or_default().to_owned();
            request.path = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
        } else if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => body_bytes = value.trim().parse().unwrap_or(0),
                "range" => request.range = parse_range(value.trim()),
                _ => {}
            }
        }
    }
    if body_bytes > MAX_BODY_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    reader.take(body_bytes).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

fn parse_range(value: &str) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
