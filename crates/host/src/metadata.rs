//! Asks a cloud's metadata service: plain HTTP over a link-local address, bounded in time and length.
//!
//! Whoever answers there is not believed: what comes back goes to a server, which checks the
//! provider's signature.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use thiserror::Error;

/// The longest identity document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 8_192;
/// The longest signature of one, in bytes.
const MAX_SIGNATURE_BYTES: usize = 4_096;
/// The longest session token, in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;
/// The most bytes before the content of an answer.
const MAX_HEAD_BYTES: usize = 8_192;

/// How long the token is good for, in seconds: it is used at once.
const TOKEN_SECONDS: u32 = 60;

/// Why the metadata service gave no identity document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetadataError {
    /// Not all of it came in time.
    #[error("the cloud's metadata service did not answer in time")]
    Late,
    /// No connection, or it broke.
    #[error("the cloud's metadata service can't be reached: {0}")]
    Connection(ErrorKind),
    /// It refuses; switched off for this machine, perhaps.
    #[error("the cloud's metadata service refuses with HTTP status {0}")]
    Status(u16),
    /// An answer longer than any that is expected.
    #[error("the cloud's metadata service says more than {limit_bytes} bytes")]
    TooLong {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// No HTTP, or an empty or cut answer.
    #[error("the cloud's metadata service says nothing that can be understood")]
    Malformed,
}

impl From<io::Error> for MetadataError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A socket's own time-out comes as either.
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Late,
            kind => Self::Connection(kind),
        }
    }
}

/// An EC2 instance's identity document and its signature (version 2 of the service), within `timeout` in all.
pub(crate) fn identity_of_ec2(
    service: SocketAddr,
    timeout: Duration,
) -> Result<(Vec<u8>, Vec<u8>), MetadataError> {
    let service = Service { address: service, deadline: Instant::now() + timeout };
    let lifetime = format!("X-aws-ec2-metadata-token-ttl-seconds: {TOKEN_SECONDS}");
    let token = service.ask("PUT", "api/token", &lifetime, MAX_TOKEN_BYTES)?;
    let token = String::from_utf8(token).map_err(|_| MetadataError::Malformed)?;
    // It goes into the next requests' heads, so it must not be able to end a line there.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(MetadataError::Malformed);
    }
    let token = format!("X-aws-ec2-metadata-token: {token}");
    let get = |what: &str, limit_bytes| {
        let path = format!("dynamic/instance-identity/{what}");
        service.ask("GET", &path, &token, limit_bytes)
    };
    Ok((get("document", MAX_DOCUMENT_BYTES)?, get("signature", MAX_SIGNATURE_BYTES)?))
}

/// Where to ask, and until when.
struct Service {
    address: SocketAddr,
    deadline: Instant,
}

impl Service {
    /// The content of the answer to one request, 1 to `limit_bytes`.
    fn ask(
        &self,
        method: &str,
        path: &str,
        header: &str,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, MetadataError> {
        let mut stream = TcpStream::connect_timeout(&self.address, self.time_left()?)?;
        stream.set_write_timeout(Some(self.time_left()?))?;
        let host = self.address.ip();
        let request = format!(
            "{method} /latest/{path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let answer = self.read(&mut stream, MAX_HEAD_BYTES + limit_bytes)?;
        let (head, content) = split(&answer).ok_or(MetadataError::Malformed)?;
        let Head { status, length } = Head::read(head).ok_or(MetadataError::Malformed)?;
        if status != 200 {
            return Err(MetadataError::Status(status));
        }
        let content = match length {
            None => content,
            Some(length) if length > limit_bytes => {
                return Err(MetadataError::TooLong { limit_bytes });
            }
            Some(length) => content.get(..length).ok_or(MetadataError::Malformed)?,
        };
        match content.len() {
            0 => Err(MetadataError::Malformed),
            length if length > limit_bytes => Err(MetadataError::TooLong { limit_bytes }),
            _ => Ok(content.to_vec()),
        }
    }

    /// Everything until the other side closes, or says that it was all.
    fn read(&self, stream: &mut TcpStream, limit_bytes: usize) -> Result<Vec<u8>, MetadataError> {
        let mut answer = Vec::new();
        let mut chunk = [0; 2_048];
        loop {
            stream.set_read_timeout(Some(self.time_left()?))?;
            let count = match stream.read(&mut chunk) {
                Err(interrupted) if interrupted.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            answer.extend_from_slice(&chunk[..count]);
            if count == 0 || is_whole(&answer) {
                return Ok(answer);
            }
            if answer.len() > limit_bytes {
                return Err(MetadataError::TooLong { limit_bytes });
            }
        }
    }

    fn time_left(&self) -> Result<Duration, MetadataError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(MetadataError::Late) } else { Ok(left) }
    }
}

/// Head and content of an answer.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]))
}

fn is_whole(answer: &[u8]) -> bool {
    let parts =
        split(answer).and_then(|(head, content)| Some((Head::read(head)?.length?, content)));
    parts.is_some_and(|(length, content)| content.len() >= length)
}

/// What counts of an answer's head.
struct Head {
    status: u16,
    /// Bytes of content; `None`: until the connection ends.
    length: Option<usize>,
}

impl Head {
    fn read(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        words.next().filter(|version| version.starts_with("HTTP/1."))?;
        let status = words.next()?.parse().ok()?;
        let mut length = None;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("transfer-encoding") {
                // No metadata service sends its few bytes in pieces.
                return None;
            }
            if name.eq_ignore_ascii_case("content-length") {
                let given = value.trim().parse().ok()?;
                if length.is_some_and(|before| before != given) {
                    return None;
                }
                length = Some(given);
            }
        }
        Some(Self { status, length })
    }
}
