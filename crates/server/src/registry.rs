//! The registry of hosts at a server's start. One that is damaged or missing never begins anew in
//! silence: the log says what took its place, where the old file is, and how hosts come back.

use ve_core::{
    id::{ServerKey, SpanId},
    node::event::Remembered,
};
use ve_host::clock;
use ve_store::{EmbeddedHosts, HostsFinding, HostsLost, HostsStart, LoadError, OpenedHosts};

use crate::{
    home::Home,
    log::{Entry, Field, Level, Log, Module},
    words::{counted_len, one_line},
};

/// Opens the registry of a home for a server, and says in the log what was found. `span` is 128 random
/// bits, fresh for this start; `ledger` is what the ledger remembers, which is opened first.
pub fn open(
    home: &Home,
    server_key: ServerKey,
    span: SpanId,
    ledger: &Remembered,
    log: &Log,
) -> Result<EmbeddedHosts, LoadError> {
    let snapshots = home.snapshots();
    let start = HostsStart {
        server_key: Some(server_key),
        span,
        snapshots: &snapshots,
        ledger,
        now: clock::now().wall,
    };
    let OpenedHosts { store, finding } = EmbeddedHosts::open_for_service(&home.instances(), start)?;
    for entry in entries(&finding) {
        log.write(entry);
    }
    Ok(store)
}

fn entries(finding: &HostsFinding) -> Vec<Entry> {
    match finding {
        HostsFinding::FirstStart | HostsFinding::Sound => Vec::new(),
        HostsFinding::OfOtherServer => vec![entry(
            Level::Warn,
            "registry-of-other-server",
            "instances.db was another server's. Its hosts stay registered; what it knew of its own peer \
             was forgotten, and is exchanged anew."
                .to_string(),
        )],
        HostsFinding::Lost(lost) => of_lost(lost),
    }
}

fn of_lost(lost: &HostsLost) -> Vec<Entry> {
    let damage = lost.damage.as_deref().map(one_line);
    let what = match (&damage, &lost.aside) {
        (Some(why), Some(aside)) => {
            format!("instances.db was damaged ({why}); it is kept as {}.", aside.display())
        }
        (Some(why), None) => format!("instances.db was damaged ({why})."),
        (None, _) => "instances.db was missing, and there must have been one.".to_string(),
    };
    let instead = match &lost.snapshot {
        Some(snapshot) => format!(
            "The snapshot {} was put in its place, with {}.",
            snapshot.display(),
            counted_len(lost.entries, "host")
        ),
        None => "No snapshot can be used, so an empty one was begun.".to_string(),
    };
    let unusable = lost.unusable.iter().map(|snapshot| {
        entry(
            Level::Warn,
            "snapshot-unusable",
            format!("The snapshot {} is damaged and was not used.", snapshot.display()),
        )
    });
    let healing = "Hosts that are missing come back from the peer, or by their receipts when their \
                   emulators log in; until then new hosts get only instances that are certainly free.";
    [what, instead, healing.to_string()]
        .into_iter()
        .map(|message| entry(Level::Error, "registry-lost", message))
        .chain(unusable)
        .collect()
}

fn entry(level: Level, event: &str, message: String) -> Entry {
    Entry::new(level, Module::Main, message).with(Field::Event, event)
}
