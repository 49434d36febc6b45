//! What the node tells of AutoVE hosts, of the peer, and of the registry that both keep.

use std::{fmt::Display, net::SocketAddr};

use ve_core::{
    id::{HostKey, LicenseId},
    node::{event::RegisteredBy, io::Note, peer::PeerFailure},
    reason::Refusal,
    text::Name,
};

use super::{
    Entry, Field,
    Level::{Error, Info, Warn},
    Told, ledger_cause, spoken_seconds,
};
use crate::words::{counted, counted_len};

/// How many digits of a host's key a sentence shows; the field has all of them.
const HOST_DIGITS: usize = 12;

impl Told {
    /// The entry of a note of this kind; `None` for all others.
    pub(super) fn of_hosts(&self, note: &Note) -> Option<Entry> {
        Some(match note {
            Note::HostRegistered { host, name, address, home, by } => {
                self.registered(*host, name, address, home, by)
            }
            Note::HostsImported { registered, retired } => self.imported(*registered, *retired),
            Note::HostRetired { host, name, here } => self.retired(*host, name, *here),
            Note::HostCloned { host, first, second, at_peer } => {
                self.cloned(*host, first, second, *at_peer)
            }
            Note::IdentityClaimed { host, address, owner, owner_address } => {
                self.claimed(*host, address, *owner, owner_address)
            }
            Note::RegistrationsFlood { address } => self.flood(address),
            Note::TooManyHosts { homed, instances } => self.too_many(*homed, *instances),
            Note::HostsUnknown { kept } => self.hosts_unknown(*kept),
            Note::HostsKnown => self.license(
                Info,
                "hosts-known",
                None,
                "instances.db has all its hosts again.".into(),
            ),
            Note::RegistryFailed(why) => self.registry_failed(why),
            Note::RegistryRecovered => {
                self.main(Info, "registry-recovered", "instances.db can be written again.")
            }
            _ => return self.of_peer(note),
        })
    }

    fn of_peer(&self, note: &Note) -> Option<Entry> {
        Some(match note {
            Note::PeerInContact { license_id, address } => self.in_contact(license_id, address),
            Note::PeerInStep { license_id, changes } => self.in_step(license_id, *changes),
            Note::PeerLost { license_id } => self.lost(license_id),
            Note::PeerFailed(failure) => self.peer_failed(failure),
            Note::PeerRefused { address, refusal } => self.peer_refused(address, refusal),
            Note::PeerClockOff(seconds) => self.peer_clock(*seconds),
            Note::PeerClockRight => {
                self.peer(Info, "peer-clock-right", "The peer's clock is right again.".into())
            }
            Note::PeersTooSmall { missing, here } => self.too_small(*missing, *here),
            Note::PeersSuffice => {
                let message =
                    "If one of the two servers fails, the other can carry its hosts again.";
                self.license(Info, "peers-suffice", None, message.into())
            }
            _ => return None,
        })
    }

    fn registered(
        &self,
        host: HostKey,
        name: &Name,
        address: &Name,
        home: &LicenseId,
        by: &RegisteredBy,
    ) -> Entry {
        let (who, home_is) = (spoken(host, name), format!("at home with license {home}"));
        let message = match by {
            RegisteredBy::Login => format!("{who} has registered from {address}, {home_is}."),
            RegisteredBy::Receipt => {
                format!("{who} is registered again from {address} by its receipt, {home_is}.")
            }
            RegisteredBy::NewKey { before } => format!(
                "{who} has registered from {address} in the place of {}, {home_is}: the same machine \
                 has a new key.",
                short(*before)
            ),
            RegisteredBy::Import => format!("{who} was imported, {home_is}."),
            RegisteredBy::NewLicense { before } => {
                format!("{who} is {home_is} now, which has replaced license {before} here.")
            }
        };
        let event = match by {
            RegisteredBy::Import => "host-imported",
            RegisteredBy::NewLicense { .. } => "host-moved",
            _ => "host-registered",
        };
        let entry = self
            .host(Info, event, host, message)
            .with(Field::HostName, name)
            .with(Field::License, home);
        // An import has none: the host may never have been here.
        if matches!(by, RegisteredBy::Import) { entry } else { entry.with(Field::Address, address) }
    }

    /// Of more hosts than could be named.
    fn imported(&self, registered: usize, retired: usize) -> Entry {
        let message = format!(
            "An import brought {}; {} retired by it.",
            counted_len(registered, "host"),
            match retired {
                1 => "1 was".to_owned(),
                more => format!("{more} were"),
            }
        );
        self.entry(Info, super::Module::Server, "hosts-imported", message)
            .with(Field::Hosts, registered)
    }

    fn retired(&self, host: HostKey, name: &Name, here: bool) -> Entry {
        let by = if here { "" } else { " at the peer" };
        let message = format!("{} was retired{by}; its instance is free.", spoken(host, name));
        self.host(Info, "host-retired", host, message).with(Field::HostName, name)
    }

    fn cloned(&self, host: HostKey, first: &Name, second: &Name, at_peer: bool) -> Entry {
        let peer = if at_peer { " at the peer" } else { "" };
        let message = format!(
            "Two machines have the key of host {}: {first} runs{peer}, and {second} was refused. One is \
             a copy of the other: delete the key there, so that it gets its own.",
            short(host)
        );
        self.host(Error, "host-cloned", host, message)
            .with(Field::Address, second)
            .with(Field::OtherAddress, first)
    }

    fn claimed(&self, host: HostKey, address: &Name, owner: HostKey, at: &Name) -> Entry {
        let message = format!(
            "Host {} at {address} shows the provider's document of host {}, which runs at {at}; it was \
             refused.",
            short(host),
            short(owner)
        );
        self.host(Error, "identity-claimed", host, message)
            .with(Field::Address, address)
            .with(Field::OtherAddress, at)
    }

    fn flood(&self, address: &Name) -> Entry {
        let address = without_port(address);
        let message = format!(
            "Registrations from {address} come too fast and are refused for now; hosts that are \
             registered notice nothing. See [autove] in config.toml."
        );
        self.entry(Warn, super::Module::Server, "registrations-flood", message)
            .with(Field::Address, address)
    }

    fn too_many(&self, homed: u64, instances: u32) -> Entry {
        let message = format!(
            "{homed} hosts are registered here, and the license has {}: the newest are not served. \
             Retire hosts that are gone, or ask your vendor for more instances.",
            counted(instances.into(), "instance")
        );
        self.license(Warn, "too-many-hosts", None, message).with(Field::Hosts, homed)
    }

    fn hosts_unknown(&self, kept: u64) -> Entry {
        let are = if kept == 1 { "is" } else { "are" };
        let message = format!(
            "instances.db may lack hosts: {} {are} kept for those that are missing, and newcomers get \
             only the others. Hosts come back by the peer or by their receipts.",
            counted(kept, "instance")
        );
        self.license(Warn, "hosts-unknown", None, message).with(Field::Hosts, kept)
    }

    fn registry_failed(&self, why: &str) -> Entry {
        let message = format!(
            "instances.db can't be written: {}. Registered hosts are served, new ones are refused, and \
             writing is tried again.",
            ledger_cause(why)
        );
        self.main(Error, "registry-failed", message)
    }

    fn in_contact(&self, id: &LicenseId, address: &Name) -> Entry {
        let message = format!("The peer with license {id} is there: {address}.");
        self.peer(Info, "peer-contact", message)
            .with(Field::License, id)
            .with(Field::Address, address)
    }

    fn in_step(&self, id: &LicenseId, changes: u64) -> Entry {
        let came = match changes {
            0 => "nothing was missing".to_owned(),
            1 => "1 change has come".to_owned(),
            more => format!("{more} changes have come"),
        };
        let message = format!("instances.db has everything that the peer had: {came}.");
        self.peer(Info, "peer-in-step", message)
            .with(Field::License, id)
            .with(Field::Hosts, changes)
    }

    fn lost(&self, id: &LicenseId) -> Entry {
        let message = format!(
            "The peer with license {id} is gone. Its hosts are served here as far as instances are free."
        );
        self.peer(Warn, "peer-lost", message).with(Field::License, id)
    }

    fn peer_failed(&self, failure: &PeerFailure) -> Entry {
        let message = match failure {
            PeerFailure::Unreachable(why) => format!(
                "The configured peer can't be reached: {}. It is tried again, at least every half minute; \
                 look at that server, the network between, and [peer] in config.toml.",
                why.trim_end_matches('.')
            ),
            PeerFailure::Refused(refusal) => format!(
                "The configured peer is none: {}. It is tried again every minute, and when the \
                 configuration is read again.",
                refusal.to_string().trim_end_matches('.')
            ),
        };
        let entry = self.peer(Warn, "peer-failed", message);
        match failure {
            PeerFailure::Refused(refusal) => entry.with(Field::Reason, refusal.code),
            PeerFailure::Unreachable(_) => entry,
        }
    }

    fn peer_refused(&self, address: &Name, refusal: &Refusal) -> Entry {
        let message = format!("A server at {address} was refused as a peer: {refusal}");
        self.peer(Warn, "peer-refused", message)
            .with(Field::Reason, refusal.code)
            .with(Field::Address, address)
    }

    fn peer_clock(&self, seconds: i64) -> Entry {
        let (off, which) =
            (seconds.unsigned_abs(), if seconds < 0 { "behind" } else { "ahead of" });
        let message = format!(
            "The peer's clock is {} {which} this server's. Nothing goes by it; set the clocks right.",
            spoken_seconds(off)
        );
        self.peer(Warn, "peer-clock", message).with(Field::Seconds, off)
    }

    fn too_small(&self, missing: u64, here: bool) -> Entry {
        let (failing, other) =
            if here { ("the peer", "this server") } else { ("this server", "the peer") };
        let message = format!(
            "If {failing} failed, {other} could not carry its hosts: {} would have no instance. Retire \
             hosts that are gone, or ask your vendor for more instances.",
            counted(missing, "host")
        );
        self.license(Warn, "peers-too-small", None, message).with(Field::Hosts, missing)
    }

    fn host(&self, level: super::Level, event: &str, host: HostKey, message: String) -> Entry {
        self.entry(level, super::Module::Server, event, message).with(Field::Host, host)
    }

    fn peer(&self, level: super::Level, event: &str, message: String) -> Entry {
        self.entry(level, super::Module::Server, event, message)
    }

    fn entry(
        &self,
        level: super::Level,
        module: super::Module,
        event: &str,
        message: impl Display,
    ) -> Entry {
        Entry::at(self.at, level, module, message).with(Field::Event, event)
    }
}

/// The machine alone, where the rule is about machines.
fn without_port(address: &Name) -> String {
    let parsed = address.as_str().parse::<SocketAddr>();
    parsed.map_or_else(|_| address.to_string(), |address| address.ip().to_string())
}

/// Enough of a host's key to find it in a list.
fn short(host: HostKey) -> String {
    let mut digits = host.to_string();
    digits.truncate(HOST_DIGITS);
    digits
}

fn spoken(host: HostKey, name: &Name) -> String {
    format!("host {name} ({})", short(host))
}
