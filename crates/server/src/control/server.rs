//! The server's end of the control socket: who may ask, and what each request does.

mod import;

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use ve_core::reason::ReasonCode;

use super::{
    protocol::{Done, Failure, MAX_REQUEST_BYTES, Reply, Request},
    reports,
};
use crate::service::Service;

/// How many tools may ask at the same time; more of them wait.
const MAX_TOOLS: usize = 16;

/// How long a tool may take for its question and for reading the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the disk may take for an import. The tool waits for longer than it takes to hand that in, and
/// for this.
const IMPORT_PATIENCE: Duration = Duration::from_secs(45);

/// How long a tool that has its answer is listened to, in case it is still asking.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How much of what a tool says after its answer is read and dropped, in bytes.
const MAX_DROPPED_BYTES: u64 = 512 << 20;

/// Opens the socket. The folder around it is the service user's own; what a killed server left
/// behind is replaced, because the home's lock says that no other one runs.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers tools until the task is dropped.
pub async fn serve(listener: UnixListener, service: Arc<Service>) {
    let places = Arc::new(Semaphore::new(MAX_TOOLS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    // A tool that went away needs no answer.
                    let _ = converse(stream, &service).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn converse(stream: UnixStream, service: &Arc<Service>) -> io::Result<()> {
    let allowed = may_ask(&stream);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let reply = match allowed {
        Err(refused) => Reply::Failed(refused),
        Ok(()) => match timeout(PATIENCE, read_request(&mut read)).await {
            Ok(Ok(Request::Import { hosts })) => import(service, &mut read, hosts).await,
            // A tool that went away needs no answer.
            Ok(Ok(request)) => match timeout(PATIENCE * 3, answer(service, request)).await {
                Ok(answered) => answered.unwrap_or_else(Reply::Failed),
                Err(_) => return Ok(()),
            },
            Ok(Err(failure)) => Reply::Failed(failure),
            Err(_) => return Ok(()),
        },
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    timeout(PATIENCE, write.write_all(&line)).await??;
    write.shutdown().await?;
    // A tool that is still writing would take a closed socket for a broken one, and miss the reply.
    let rest = &mut read.take(MAX_DROPPED_BYTES);
    timeout(LAST_WORDS, tokio::io::copy(rest, &mut tokio::io::sink())).await?.map(drop)
}

async fn import(
    service: &Arc<Service>,
    read: &mut (impl AsyncBufRead + Unpin),
    hosts: usize,
) -> Reply {
    // One at a time: each is large, and on a disk that hangs they would only pile up.
    let turn = timeout(PATIENCE, Arc::clone(&service.importing).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let busy = "another import is under way; try again when it is done.";
        return Reply::Failed(failure(75, busy));
    };
    let entries = match import::read(read, hosts).await {
        Ok(entries) => entries,
        Err(failure) => return Reply::Failed(failure),
    };
    let service = Arc::clone(service);
    let imported = to_the_end(async move {
        let _turn = turn;
        service.import(entries).await
    });
    match timeout(IMPORT_PATIENCE, imported).await {
        Ok(imported) => imported.map_or_else(Reply::Failed, |done| report(&done)),
        Err(_) => Reply::Failed(failure(
            75,
            "the disk has not answered yet, and is waited for: the import may still be taken. See \
             `licensectl instances`.",
        )),
    }
}

/// Root and the user that the server runs as may ask.
fn may_ask(stream: &UnixStream) -> Result<(), Failure> {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(credentials) if credentials.uid() == 0 || credentials.uid() == own => Ok(()),
        _ => Err(failure(77, "only root and the user of the license server may ask it.")),
    }
}

async fn read_request(read: &mut (impl AsyncBufRead + Unpin)) -> Result<Request, Failure> {
    let mut line = Vec::new();
    let limit = MAX_REQUEST_BYTES as u64 + 1;
    let read = read.take(limit).read_until(b'\n', &mut line).await;
    match read {
        Ok(_) if line.len() > MAX_REQUEST_BYTES => Err(failure(64, "the request is too long.")),
        Ok(_) => serde_json::from_slice(&line)
            .map_err(|error| failure(64, format!("the request can't be understood: {error}."))),
        Err(error) => Err(failure(70, format!("the request can't be read: {error}."))),
    }
}

fn failure(exit_code: u8, message: impl Into<String>) -> Failure {
    Failure { exit_code, reason: None, message: message.into() }
}

fn report(report: &impl Serialize) -> Reply {
    match serde_json::to_value(report) {
        Ok(value) => Reply::Report(value),
        Err(error) => Reply::Failed(failure(70, format!("the report can't be written: {error}."))),
    }
}

async fn answer(service: &Arc<Service>, request: Request) -> Result<Reply, Failure> {
    let node = &service.node;
    let stopped = |_| failure(70, "the license service is stopping.");
    Ok(match request {
        Request::Status => report(&service.status().await.map_err(stopped)?),
        Request::Licenses => report(
            &node.look(|node, now| reports::licenses(node, now, true)).await.map_err(stopped)?,
        ),
        Request::Sessions => report(&node.look(reports::sessions).await.map_err(stopped)?),
        Request::Denials => {
            report(&node.look(|node, _| reports::denials(node)).await.map_err(stopped)?)
        }
        Request::Release { number } => match node.release(number).await.map_err(stopped)? {
            Ok(message) => report(&Done { message: format!("session {number}: {message}.") }),
            Err(refusal) => Reply::Failed(Failure {
                exit_code: if refusal.code == ReasonCode::ServerBusy { 75 } else { 65 },
                reason: Some(refusal.code),
                message: refusal.to_string(),
            }),
        },
        Request::Install { v2c, dry_run } => {
            let service = Arc::clone(service);
            report(&to_the_end(async move { service.install(v2c, dry_run).await }).await?)
        }
        Request::Remove { id } => {
            let service = Arc::clone(service);
            report(&to_the_end(async move { service.remove(id).await }).await?)
        }
        Request::Instances { after } => {
            let part = node.look(move |node, _| reports::instances(node, after)).await;
            report(&part.map_err(stopped)?)
        }
        Request::Host { host } => report(&service.host(host).await?),
        Request::Retire { host } => report(&service.retire(host).await?),
        Request::Import { .. } => return Err(failure(70, "an import has entries.")),
        Request::Peers => report(&service.peers().await.map_err(stopped)?),
    })
}

/// Goes on when the tool has gone away: a change of files that has begun is taken up as well.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let broken = |error| failure(70, format!("the request failed inside the server: {error}."));
    tokio::spawn(change).await.map_err(broken)?
}
