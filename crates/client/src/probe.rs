//! Asks one server whether it would grant. Takes no seat, leaves no trace in its ledger.

use ve_core::{client::io::ConnectError, grant::Grant, reason::Refusal};

use crate::{
    config::{Config, Server},
    link::{Asker, Heard, Link, Question},
};

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
        ConnectError::Unverified(None) => "it shows no credential of a vendor in vendor_key".to_owned(),
        ConnectError::Unverified(Some(refusal)) => format!("{refusal} (unverified: it shows no credential)"),
    }
}

/// What `server` would grant to the program of `config`.
pub async fn probe(config: &Config, server: &Server) -> Result<Grant, ProbeError> {
    let asker = Asker {
        program: config.program.clone(),
        host: config.host.clone(),
        vendor_keys: config.vendor_keys.clone(),
        run: config.run,
    };
    let mut link = Link::connect(server, &asker).await.map_err(ProbeError::Connect)?;
    let lost = |lost: crate::link::Lost| ProbeError::Lost(lost.to_string());
    let question = Question::Login { session: None, probe: true };
    link.ask(question, &asker, server).await.map_err(lost)?;
    loop {
        match link.hear().await.map_err(lost)? {
            Some(Heard::Granted(grant)) => return Ok(*grant),
            Some(Heard::Refused(refusal)) => return Err(ProbeError::Refused(refusal)),
            Some(Heard::LoggedOut | Heard::Revoked(_) | Heard::Ping(_)) => {}
            None => link.beat().await.map_err(lost)?,
        }
    }
}
