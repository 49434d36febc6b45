//! A tool's end of the control socket.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde::de::DeserializeOwned;
use thiserror::Error;
use ve_core::registry::HostEntry;

use super::protocol::{Done, Failure, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, Reply, Request};
use crate::home::{Home, user_name};

/// How long the server may take for its answer: it may have to wait for a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same for an import: a hundred thousand hosts have to be read, judged and written.
const IMPORT_PATIENCE: Duration = Duration::from_mins(3);

/// Why a server gave no report.
#[derive(Debug, Error)]
pub enum AskError {
    /// No server runs in this home.
    #[error("no license server runs in {}", .0.display())]
    NotRunning(PathBuf),
    /// The server, or the way to it, failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Asks the server of `home` and waits for its report.
pub fn ask<T: DeserializeOwned>(home: &Home, request: &Request) -> Result<T, AskError> {
    ask_with(home, request, &[], PATIENCE)
}

/// Asks the server of `home` to import hosts.
pub fn import(home: &Home, entries: &[HostEntry]) -> Result<Done, AskError> {
    ask_with(home, &Request::Import { hosts: entries.len() }, entries, IMPORT_PATIENCE)
}

fn ask_with<T: DeserializeOwned>(
    home: &Home,
    request: &Request,
    entries: &[HostEntry],
    patience: Duration,
) -> Result<T, AskError> {
    let stream = connect(home)?;
    let reply =
        converse(stream, request, entries, patience).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let seconds = patience.as_secs();
                failure(
                    75,
                    format!("the license server gave no answer within {seconds} s; try again"),
                )
            }
            _ => failure(75, format!("the license server broke off: {error}; try again")),
        })?;
    let not_understood = |error| {
        failure(
            70,
            format!(
                "the license server's answer can't be understood ({error}); is it of another version than this command?"
            ),
        )
    };
    match serde_json::from_slice(&reply).map_err(not_understood)? {
        Reply::Report(report) => Ok(serde_json::from_value(report).map_err(not_understood)?),
        Reply::Failed(failure) => Err(failure.into()),
    }
}

fn connect(home: &Home) -> Result<UnixStream, AskError> {
    let path = home.control_socket();
    UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotADirectory => AskError::NotRunning(home.path().to_path_buf()),
        io::ErrorKind::PermissionDenied => {
            let user = user_name(rustix::process::geteuid().as_raw());
            let message = format!(
                "{} can't be reached by user {user}: only root and the license server's user may \
                 ask it; use sudo",
                path.display()
            );
            failure(77, message).into()
        }
        _ => failure(70, format!("{} can't be reached: {error}", path.display())).into(),
    })
}

fn converse(
    stream: UnixStream,
    request: &Request,
    entries: &[HostEntry],
    patience: Duration,
) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    if line.len() > MAX_REQUEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the request is too long"));
    }
    // A server that refuses stops reading, and says why.
    match send(&stream, &line, entries) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut reply = Vec::new();
    BufReader::new(stream.take(MAX_REPLY_BYTES as u64)).read_until(b'\n', &mut reply)?;
    match reply.pop() {
        Some(b'\n') => Ok(reply),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn send(stream: &UnixStream, request: &[u8], entries: &[HostEntry]) -> io::Result<()> {
    let mut writer = BufWriter::new(stream);
    writer.write_all(request)?;
    for entry in entries {
        serde_json::to_writer(&mut writer, entry)?;
        writer.write_all(b"\n")?;
    }
    writer.flush()
}

fn failure(exit_code: u8, message: String) -> Failure {
    Failure { exit_code, reason: None, message: message + "." }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// Asks a server that answers with `reply` and hangs up.
    fn answered(reply: &'static [u8]) -> Result<Done, AskError> {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        let listener = UnixListener::bind(home.control_socket()).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut request).unwrap();
            stream.get_mut().write_all(reply).unwrap();
            request
        });
        let answer = ask(&home, &Request::Release { number: ve_core::id::SessionNumber(7) });
        assert_eq!(server.join().unwrap(), "{\"ask\":\"release\",\"number\":7}\n");
        answer
    }

    #[test]
    fn a_report_is_read_and_anything_else_is_a_failure_with_its_code() {
        let done = answered(b"{\"report\":{\"message\":\"done\"}}\n").unwrap();
        assert_eq!(done.message, "done");
        for (reply, exit_code) in [
            (&b"{\"failed\":{\"exit_code\":65,\"reason\":null,\"message\":\"no\"}}\n"[..], 65),
            (b"{\"report\":{}}\n", 70),
            (b"hello\n", 70),
            (b"{\"report\":{\"message\"", 75),
            (b"", 75),
        ] {
            match answered(reply) {
                Err(AskError::Failed(failure)) => assert_eq!(failure.exit_code, exit_code),
                other => panic!("{reply:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_home_without_a_server_is_told_from_one_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let not_running =
            || matches!(ask::<Done>(&home, &Request::Status), Err(AskError::NotRunning(_)));
        assert!(not_running());
        home.create().unwrap();
        // What a server that was killed leaves behind.
        drop(UnixListener::bind(home.control_socket()).unwrap());
        assert!(not_running());
    }
}
