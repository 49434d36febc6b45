//! What an administrator does with the hosts of an AutoVE server.

use std::sync::Arc;

use ve_core::{
    id::HostKey,
    node::Node,
    reason::{ReasonCode, Refusal},
    registry::HostEntry,
    text::printable,
};

use super::{Service, stopping};
use crate::{
    control::{
        protocol::{Done, Failure, HostReport, MAX_HOSTS_PER_PAGE, PeerReport},
        reports,
    },
    driver::Reply,
    words::counted,
};

/// The fewest digits of a key that name a host.
const MIN_DIGITS: usize = 8;

/// How many digits of a key a message shows.
const SHOWN_DIGITS: usize = 12;

/// The longest part of what names a host that a message repeats, in characters.
const MAX_QUOTED: usize = 128;

impl Service {
    /// The host that `named` means: its key, the beginning of it, or its name.
    pub async fn host(&self, named: String) -> Result<HostReport, Failure> {
        let host = self.find(named).await?;
        let report = self.node.look(move |node, _| reports::one_host(node, host)).await;
        report.map_err(stopping)?.ok_or_else(|| no_host(format!("host {host} is gone.")))
    }

    /// Retires the host that `named` means: its key, the beginning of it, or its name.
    pub async fn retire(&self, named: String) -> Result<Done, Failure> {
        let before = self.host(named).await?;
        done(self.node.retire(before.host).await.map_err(stopping)?)?;
        let peer = self.peers().await.map_err(stopping)?.peers.pop();
        Ok(Done { message: retired(&before, peer.as_ref()) })
    }

    async fn find(&self, named: String) -> Result<HostKey, Failure> {
        let digits = named.to_ascii_lowercase();
        let is_key = (MIN_DIGITS..=HostKey::LENGTH * 2).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if is_key {
            let found = self.node.look(move |node, _| by_key(node, &digits)).await;
            if let Some(host) = found.map_err(stopping)?? {
                return Ok(host);
            }
        }
        self.find_by_name(named).await
    }

    /// Looks all hosts through. That takes a while if they are many, so it is done page by page, and
    /// others have their turn.
    async fn find_by_name(&self, named: String) -> Result<HostKey, Failure> {
        let name: Arc<str> = named.into();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let wanted = Arc::clone(&name);
            let page = self.node.look(move |node, _| page_by_name(node, &wanted, after)).await;
            let (hosts, next) = page.map_err(stopping)?;
            found.extend(hosts);
            if next.is_none() {
                break;
            }
            after = next;
        }
        only(&found, &name)?.ok_or_else(|| {
            let shown = printable(&name, MAX_QUOTED);
            let is_short = name.len() < MIN_DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit());
            let short = if is_short {
                format!(", and the beginning of a key needs at least {MIN_DIGITS} digits")
            } else {
                String::new()
            };
            no_host(format!(
                "no host is called {shown:?}{short}; name it by its key or the first {MIN_DIGITS} \
                 digits of that, as `licensectl instances` shows it."
            ))
        })
    }

    /// Imports hosts, all or none.
    pub async fn import(&self, entries: Vec<HostEntry>) -> Result<Done, Failure> {
        done(self.node.import(entries).await.map_err(stopping)?)
    }
}

/// What retiring a host has done, which was like this `before`.
fn retired(before: &HostReport, peer: Option<&PeerReport>) -> String {
    let who = format!("Host {} ({})", before.name, short(before.host));
    if before.retired {
        return format!("{who} was retired already.");
    }
    let count = |emulators: Option<u32>| u64::from(emulators.unwrap_or(0));
    let told = match count(before.emulators) {
        0 => String::new(),
        here => format!(" {} that ran here will end.", counted(here, "emulator")),
    };
    let there = match count(before.emulators_at_peer) {
        0 => String::new(),
        there => format!(" {} run at the peer and will end.", counted(there, "emulator")),
    };
    let peer = match peer.map(|peer| (peer.license_id.is_some(), peer.serves.is_some())) {
        Some((true, true)) => " The peer is being told.",
        Some((true, false)) => {
            " The peer is not there: it is told when it is back, and may serve the host until then."
        }
        _ => "",
    };
    format!("{who} is retired; its instance is free.{told}{there}{peer}")
}

/// Enough of a host's key to find it in a list.
fn short(host: HostKey) -> String {
    let mut digits = host.to_string();
    digits.truncate(SHOWN_DIGITS);
    digits
}

fn done(reply: Reply) -> Result<Done, Failure> {
    reply.map(|message| Done { message: ve_core::text::sentence(message) }).map_err(|refusal| {
        let Refusal { code, sentence } = refusal;
        let exit_code = match code {
            ReasonCode::ServerBusy | ReasonCode::ServerDraining => 75,
            ReasonCode::BadRequest | ReasonCode::InstanceNotRegistered => 65,
            _ => 77,
        };
        Failure { exit_code, reason: Some(code), message: format!("{code}: {sentence}") }
    })
}

/// The host with this key, or the one whose key begins with these digits; `None`: no key does.
fn by_key(node: &Node, digits: &str) -> Result<Option<HostKey>, Failure> {
    // Keys stand in their order, so those with the same beginning stand together.
    let zeros = "0".repeat(HostKey::LENGTH * 2 - digits.len());
    let Ok(first) = format!("{digits}{zeros}").parse::<HostKey>() else { return Ok(None) };
    let zero = node.host(first).map(|view| view.entry.host);
    let others = node.hosts_after(Some(first)).map(|view| view.entry.host);
    let begins = |host: &HostKey| host.to_string().starts_with(digits);
    let found: Vec<HostKey> = zero.into_iter().chain(others.take_while(begins)).collect();
    only(&found, digits)
}

/// The active hosts with this name among those of one page, and after which host the next one begins.
fn page_by_name(
    node: &Node,
    named: &str,
    after: Option<HostKey>,
) -> (Vec<HostKey>, Option<HostKey>) {
    let (mut found, mut last, mut count) = (Vec::new(), None, 0);
    for view in node.hosts_after(after).take(MAX_HOSTS_PER_PAGE) {
        (last, count) = (Some(view.entry.host), count + 1);
        if view.entry.is_active() && view.seen.name.as_str() == named {
            found.push(view.entry.host);
        }
    }
    (found, last.filter(|_| count == MAX_HOSTS_PER_PAGE))
}

/// The one host that was found; `None` if there is none.
fn only(found: &[HostKey], named: &str) -> Result<Option<HostKey>, Failure> {
    match found {
        [] => Ok(None),
        [host] => Ok(Some(*host)),
        several => Err(no_host(format!(
            "{} hosts are called {:?}; name one by its key, as `licensectl instances` shows it.",
            several.len(),
            printable(named, MAX_QUOTED)
        ))),
    }
}

fn no_host(message: String) -> Failure {
    Failure { exit_code: 65, reason: None, message }
}
