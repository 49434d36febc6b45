//! How facts of AutoVE mode are printed.

use std::fmt;

use ve_core::{
    node::peer::PeerMessage,
    registry::{Batch, HostEntry},
};

use crate::fact::Fact;

pub(crate) fn write(fact: &Fact<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fact {
        Fact::RollRead { server, remembered } => {
            let lack = remembered.may_lack_hosts;
            let count = remembered.entries.len();
            write!(f, "server {server} reads {count} hosts, may lack some: {lack}")
        }
        Fact::RollReplaced { server, roll } => {
            let count = roll.entries().count();
            write!(f, "server {server} has another registry, with {count} hosts")
        }
        Fact::Enrolling { server, batch } => {
            write!(f, "server {server} enrolls{}", entries(batch))
        }
        Fact::Enrolled { server, batch, durable } => {
            let done = if *durable { "has enrolled" } else { "could not enroll" };
            write!(f, "server {server} {done} {} entries", batch.entries.len())
        }
        Fact::PeerOpened { server, link } => {
            write!(f, "peer link {} opens at server {server}", link.0)
        }
        Fact::PeerClosed { server, link } => {
            write!(f, "peer link {} closes at server {server}", link.0)
        }
        Fact::PeerDisturbed { link } => write!(f, "peer link {} is disturbed", link.0),
        Fact::PeerTold { server, link, message, .. } => {
            write!(f, "server {server} says on link {}: {}", link.0, said(message))
        }
        Fact::PeerHeard { server, link, message, .. } => {
            write!(f, "server {server} hears on link {}: {}", link.0, said(message))
        }
        Fact::PeerRefused { server, link, refusal } => {
            write!(f, "server {server} refuses a peer on link {}: {refusal}", link.0)
        }
        Fact::HostBooted { host, key, clone, .. } => {
            let what = if *clone { "clone" } else { "host" };
            write!(f, "{what} {} boots in place {host}", short(key))
        }
        Fact::HostGone { host } => write!(f, "host in place {host} is gone"),
        Fact::PapersShown { host, forged, .. } => {
            write!(f, "host in place {host} shows another document, forged: {forged}")
        }
        Fact::ReceiptKept { host, key } => {
            write!(f, "host {} in place {host} keeps a receipt", short(key))
        }
        Fact::ReceiptsChanged { host, any, .. } => {
            write!(f, "receipts in place {host} are others, any: {any}")
        }
        Fact::RetireAsked { server, host } => {
            write!(f, "server {server} is to retire {}", short(host))
        }
        Fact::RetireAnswered { server, host, done, .. } => {
            write!(f, "server {server} has retired {}: {done}", short(host))
        }
        _ => Ok(()),
    }
}

/// The beginning of a host's key.
pub(crate) fn short(key: &ve_core::id::HostKey) -> String {
    let mut text = key.to_string();
    text.truncate(8);
    text
}

fn entry(entry: &HostEntry) -> String {
    let HostEntry { host, home, revision, state, registered, .. } = entry;
    format!("{} {state} at {home} r{revision} since {}", short(host), registered.0)
}

fn entries(batch: &Batch) -> String {
    let enrolled = batch.entries.iter();
    let texts = enrolled.map(|(number, enrolled)| format!(" [{number}: {}]", entry(enrolled)));
    let upto = batch.pulled.map(|pulled| format!(" up to {}", pulled.number));
    texts.chain(upto).collect()
}

fn said(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Status(status) => format!(
            "status {} with {} instances, {} homed, {} guests, serves {:?}",
            status.license_id, status.instances, status.homed, status.guests, status.serves
        ),
        PeerMessage::Pull { after, last, .. } => {
            format!("pull after {:?}, own last {last}", after.map(|it| it.number))
        }
        PeerMessage::Changes { entries, upto, last } => {
            let texts: Vec<String> = entries.iter().map(entry).collect();
            format!("changes up to {} of {last}: {}", upto.number, texts.join(", "))
        }
        PeerMessage::Taken { upto } => format!("taken up to {}", upto.number),
        PeerMessage::Presence { reset, present, gone } => {
            let there: Vec<String> = present.iter().map(|it| short(&it.host)).collect();
            let left: Vec<String> = gone.iter().map(short).collect();
            format!("presence, reset {reset}: {there:?}, gone {left:?}")
        }
    }
}
