//! What a server needs before anyone may come in: its key, its machine, and a node that knows what
//! ledger and registry remember.

use ve_core::{
    fingerprint::Machine,
    id::{ServerKey, SpanId},
    license::Mode,
    node::{Node, Settings, event::Remembered},
    registry::{Batch, RememberedHosts},
};
use ve_documents::{key_files, keys::SigningKey};
use ve_host::{PlatformError, clock};
use ve_store::{AppendFailure, CloseError, EmbeddedHosts, HostStore, LoadError, Store};
use ve_wire::{limits::HEARTBEAT_TIMEOUT_MS, random_bytes};

use crate::{
    config::Config,
    driver::{Driver, NodeHandle, Writers},
    home::Home,
    installed::{self, has_had_licenses, has_license_files},
    ledger,
    log::{Entry, Field, Level, Log, Module},
    machine, registry,
    run::RunError,
};

/// The server's key; made at the first start, and never silently replaced.
pub(crate) fn load_key(home: &Home) -> Result<SigningKey, RunError> {
    let path = home.identity_key();
    if !path.try_exists()? && has_license_files(home).map_err(RunError::Licenses)? {
        return Err(RunError::KeyMissing(path));
    }
    Ok(key_files::load_or_create(&path)?)
}

/// The machine, and in the log what would make it known better.
pub(crate) fn read_machine(config: &Config, log: &Log) -> Result<Machine, PlatformError> {
    let machine = machine::read(config.host.platform)?.machine;
    for advice in ve_host::advice(&machine) {
        log.warn(Module::License, advice);
    }
    Ok(machine)
}

/// The node with everything that ledger and registry remember, and the threads that write them.
pub(crate) fn start_node(
    home: &Home,
    key: &SigningKey,
    log: &Log,
) -> Result<(Driver, NodeHandle), RunError> {
    let has_had_licenses = has_had_licenses(home).map_err(RunError::Licenses)?;
    let mut store = ledger::open(home, key.public(), has_had_licenses, log)?;
    let remembered = store.remember()?;
    let (hosts, remembered_hosts) = open_registry(home, key.public(), &remembered, log)?;
    let settings = Settings {
        server_key: key.public(),
        boot: clock::boot(),
        heartbeat_timeout_ms: HEARTBEAT_TIMEOUT_MS.into(),
    };
    let node = Node::new(settings, remembered, &remembered_hosts, clock::now());
    let writers = Writers::start(store, hosts)?;
    Ok(Driver::new(node, log.clone(), writers))
}

/// The registry, in the span of this start. A server of general licenses has no need of one, so it
/// serves without it where it can't be opened.
fn open_registry(
    home: &Home,
    server_key: ServerKey,
    remembered: &Remembered,
    log: &Log,
) -> Result<(Registry, RememberedHosts), RunError> {
    let span = SpanId(random_bytes());
    let opened = registry::open(home, server_key, span, remembered, log)
        .and_then(|mut store| Ok((store.remember()?, Registry::Kept(Box::new(store)))));
    match opened {
        Ok((hosts, store)) => Ok((store, hosts)),
        Err(error) if has_autove(home) => Err(error.into()),
        Err(error) => {
            let why = error.to_string();
            let message = format!(
                "instances.db can't be used: {why}. General licenses are served; an AutoVE license \
                 would register no hosts until this is put right and the server is started again."
            );
            let entry = Entry::new(Level::Error, Module::Main, message);
            log.write(entry.with(Field::Event, "registry-unusable"));
            Ok((Registry::Unusable(why), RememberedHosts::empty(span)))
        }
    }
}

/// Whether an AutoVE license is installed, whatever it is worth today.
fn has_autove(home: &Home) -> bool {
    installed::load(home).trusted.iter().any(|license| license.mode == Mode::AutoVe)
}

/// `instances.db`, or why there is none to be used.
enum Registry {
    Kept(Box<EmbeddedHosts>),
    Unusable(String),
}

impl HostStore for Registry {
    fn remember(&mut self) -> Result<RememberedHosts, LoadError> {
        match self {
            Self::Kept(store) => store.remember(),
            Self::Unusable(_) => Ok(RememberedHosts::empty(SpanId(random_bytes()))),
        }
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<(), AppendFailure> {
        match self {
            Self::Kept(store) => store.write(batches),
            Self::Unusable(why) => Err(AppendFailure::Ledger(why.clone())),
        }
    }

    fn close(self) -> Result<(), CloseError> {
        match self {
            Self::Kept(store) => store.close(),
            Self::Unusable(_) => Ok(()),
        }
    }
}
