//! Asks one server whether it would grant. Takes no seat, leaves no trace in its ledger.

use std::{io, net::SocketAddr, time::Duration};

use tokio::time::timeout;
use ve_core::{
    client::io::ConnectError,
    grant::Grant,
    reason::Refusal,
    time::{Elapsed, Now, Utc},
};
use ve_wire::limits::HELLO_TIMEOUT_MS;

use crate::{
    config::{Config, Server},
    hello,
    link::{Heard, Link, Lost, Step},
    question::{Asker, Question},
    reach,
};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a server would not grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// It can't be reached or is not trusted.
    #[error("{}", describe(.0))]
    Connect(ConnectError),
    /// It would refuse.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection was lost before it answered.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

fn describe(error: &ConnectError) -> String {
    match error {
        ConnectError::Unreachable(why) => format!("it can't be reached: {why}"),
        ConnectError::ProtocolVersion(why) => format!("protocol-version-invalid: {why}"),
        ConnectError::Unverified { why, refusal: None } => format!("it can't be trusted: {why}"),
        ConnectError::Unverified { why, refusal: Some(refusal) } => {
            format!("{refusal} (unverified: {why})")
        }
    }
}

/// The addresses that a server's name stands for, at most eight; an error when that can't be found
/// out, or takes longer than connecting may.
pub async fn addresses(server: &Server) -> io::Result<Vec<SocketAddr>> {
    let patience = Duration::from_millis(HELLO_TIMEOUT_MS);
    timeout(patience, reach::addresses(server)).await?
}

/// What `server` would grant to the program of `config`.
pub async fn probe(config: &Config, server: &Server) -> Result<Grant, ProbeError> {
    // A probe is over in seconds: it judges no time.
    let no_clock = || Now { elapsed: Elapsed(0), wall: Utc(0) };
    let asker = Asker::of(config, no_clock);
    let mut link = hello::connect(server, &asker).await.map_err(ProbeError::Connect)?;
    let lost = |lost: Lost| ProbeError::Lost(lost.to_string());
    link.ask(Question::Probe, &asker, server).await.map_err(lost)?;
    match timeout(ANSWER_TIMEOUT, answer(&mut link)).await {
        Ok(Ok(Heard::Granted(grant))) => Ok(*grant),
        Ok(Ok(Heard::Refused(refusal))) => Err(ProbeError::Refused(refusal)),
        Ok(Ok(Heard::Closing)) => Err(ProbeError::Lost("the server is about to stop".to_owned())),
        Ok(Ok(Heard::LoggedOut | Heard::Revoked(_))) => {
            Err(ProbeError::Lost("the server answered something else".to_owned()))
        }
        Ok(Err(error)) => Err(lost(error)),
        Err(_) => Err(ProbeError::Lost("the server did not answer in time".to_owned())),
    }
}

async fn answer(link: &mut Link) -> Result<Heard, Lost> {
    loop {
        match link.next().await? {
            Step::Heard(heard) => return Ok(heard),
            Step::Owes(owed) => link.pay(owed).await?,
        }
    }
}
