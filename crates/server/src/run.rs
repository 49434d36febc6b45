//! The wiring: a license server from its start to its end, in the order in which things happen.
//!
//! Start: home, log, key, machine, ledger, registry and node, port, licenses, ready. Whatever can be wrong with
//! one of them ends the start with its own exit code. The node knows its holders before the port is
//! open, and they come first.
//!
//! End: clients are told, links get a moment to close, the node settles what it has decided, the
//! ledger and registry are closed, and the log's last line is written. All of it within five seconds.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::{JoinError, JoinHandle},
};
use tokio_rustls::TlsAcceptor;
use ve_core::{fingerprint::Machine, node::io::Input};
use ve_documents::{key_files::IdentityError, keys::SigningKey};
use ve_host::{PlatformError, clock};
use ve_store::LoadError;
use ve_wire::tls::{self, Identity};

use crate::{
    addresses::{self, Addresses},
    backup::{self, apply::ApplyError},
    config::{Config, ConfigError},
    control, descriptors,
    driver::{NodeHandle, Stopped, WriterGone},
    home::{Home, HomeError, HomeLockError, HostLockError, host_lock},
    link::Shared,
    listener::{self, BindError},
    log::{Log, LogSettings, LogZone, Module, OpenError, program},
    peer::dial::Dialer,
    reload::{Reload, load_config},
    service::{Parts, Service},
    snapshots, start,
    supervisor::{self, Event, Events},
};

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The home.
    pub home: Home,
    /// Where to listen, instead of what the configuration says.
    pub listen: Option<SocketAddr>,
    /// Where the web GUI would listen. There is none yet, which the log says.
    pub web_listen: Option<SocketAddr>,
}

/// Why a server did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Another server uses the home.
    #[error(transparent)]
    HomeLock(#[from] HomeLockError),
    /// Another server has the same key.
    #[error(transparent)]
    HostLock(#[from] HostLockError),
    /// The log can't be written.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The key is missing beside installed licenses.
    #[error("the server's key {} is missing, but licenses are installed for it; restore it from a backup, or make a new one with `c2v --new-identity` and ask your vendor for new licenses", .0.display())]
    KeyMissing(std::path::PathBuf),
    /// Whether there are licenses can't be found out.
    #[error("{0}; the license server must be able to read its licenses")]
    Licenses(String),
    /// The key can't be used.
    #[error("the server's key can't be used: {0}")]
    Key(#[from] IdentityError),
    /// TLS can't use the key.
    #[error(transparent)]
    Tls(#[from] tls::IdentityError),
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LoadError),
    /// A restore was cut off and can't be completed.
    #[error(transparent)]
    Restore(#[from] ApplyError),
    /// The named platform can't be this one.
    #[error("[host] platform in config.toml: {0}")]
    Platform(#[from] PlatformError),
    /// The port can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused something that is always there.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
    /// The license path failed; a restart is safer than going on.
    #[error("the license service has failed and must be started again: {0}")]
    Failed(String),
}

impl RunError {
    /// The exit code that stands for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::KeyMissing(_)
            | Self::Key(_)
            | Self::Tls(_)
            | Self::Platform(_) => 78,
            Self::Home(_)
            | Self::Log(_)
            | Self::Restore(
                ApplyError::Home(_)
                | ApplyError::Raise(_)
                | ApplyError::Ledger(LoadError::Unreadable { .. }),
            )
            | Self::Ledger(LoadError::Unreadable { .. })
            | Self::Licenses(_)
            | Self::HomeLock(HomeLockError::Home(_)) => 73,
            Self::HomeLock(_) | Self::HostLock(_) | Self::Bind(_) => 75,
            Self::Ledger(_) | Self::Restore(_) | Self::System(_) | Self::Failed(_) => 70,
        }
    }
}

/// Runs a server until a signal ends it.
pub async fn run(options: Options) -> Result<(), RunError> {
    // From here on no signal is lost: what comes during the start is done after it.
    let events = Events::listen()?;
    let Options { home, listen, web_listen } = options;
    let config = load_config(&home, listen)?;
    home.create()?;
    let _home_lock = home.lock()?;
    // Whoever takes the home next goes on with a restore that was cut off, which may bring another
    // configuration.
    let restored = backup::apply::finish(&home)?;
    let config = if restored { load_config(&home, listen)? } else { config };
    let log = open_log(&home, &config)?;
    if restored {
        log.warn(Module::Main, "A restore that was cut off has been completed.");
    }
    if web_listen.is_some() {
        log.warn(Module::Main, "This version has no web GUI yet: --web-listen does nothing.");
    }
    let watch = Watch { events, reload: Reload::new(config.clone(), listen) };
    let outcome = start_and_serve(&home, &config, &log, watch).await;
    if let Err(error) = &outcome {
        log.error(Module::Main, error);
    }
    // Blocking is right here: nothing else is left to do.
    log.close(Duration::from_secs(1));
    outcome
}

fn open_log(home: &Home, config: &Config) -> Result<Log, OpenError> {
    let settings = LogSettings {
        keep: config.log.keep,
        max_bytes: config.log.max_size_mb << 20,
        zone: if config.log.utc { LogZone::Utc } else { LogZone::Local },
        ..LogSettings::new(home.license_log())
    };
    let log = Log::open(settings)?;
    log.write(program::build_time());
    log.write(program::home(home.path()));
    Ok(log)
}

/// What clients and tools come in by.
struct Doors {
    links: TcpListener,
    tls: TlsAcceptor,
    limits: addresses::Limits,
    control: UnixListener,
}

/// What the server reacts to while it serves.
struct Watch {
    events: Events,
    reload: Reload,
}

async fn start_and_serve(
    home: &Home,
    config: &Config,
    log: &Log,
    watch: Watch,
) -> Result<(), RunError> {
    let key = Arc::new(start::load_key(home)?);
    let _host_lock = host_lock(&key.public())?;
    let machine = start::read_machine(config, log)?;
    let (driver, node) = start::start_node(home, &key, log)?;
    let doors = open_doors(home, config, &key)?;
    let service = Arc::new(Service::new(Parts {
        node,
        home: home.clone(),
        server_key: key.public(),
        log: log.clone(),
        listen: doors.links.local_addr()?.to_string(),
        since: clock::now().wall,
        peer: watch.reload.wish(),
    }));
    let mut driver = tokio::spawn(driver.run());
    let serving = async {
        get_ready(&service, machine, config).await.map_err(failed)?;
        serve(&service, key, doors, watch).await
    };
    let served = tokio::select! {
        // It ends by itself only when the license path has failed, and then nothing goes on.
        ended = &mut driver => return node_ended(ended),
        served = serving => served,
    };
    end(driver, &service.node, served).await
}

fn open_doors(home: &Home, config: &Config, key: &SigningKey) -> Result<Doors, RunError> {
    let tls = tls::server_config(Identity::from_pkcs8(&key.pkcs8_der())?)?;
    Ok(Doors {
        links: listener::bind(config.listen)?,
        tls: TlsAcceptor::from(Arc::new(tls)),
        limits: addresses::Limits {
            links: config.limits.max_links,
            links_per_address: config.limits.max_links_per_address,
        },
        control: control::server::bind(&home.control_socket())?,
    })
}

/// The node gets to know what it serves on and what, and lets its known sessions in.
async fn get_ready(service: &Service, machine: Machine, config: &Config) -> Result<(), Stopped> {
    service.take_machine(machine).await?;
    service.node.input(Input::AutoVe(config.autove.rules(&config.peer))).await?;
    service.load_providers().await?;
    service.load_licenses(true).await?;
    service.node.input(Input::Ready).await?;
    // What the node says of the licenses stands in the log before the server is ready.
    service.node.look(|_, _| ()).await
}

/// Serves until a signal, or a failure in the license path.
async fn serve(
    service: &Arc<Service>,
    key: Arc<SigningKey>,
    doors: Doors,
    watch: Watch,
) -> Result<(), RunError> {
    let Doors { links, tls, limits, control } = doors;
    let shared = Shared {
        tls,
        key,
        credentials: service.credentials.clone(),
        vouching: service.vouching.clone(),
        node: service.node.clone(),
        log: service.log.clone(),
    };
    let (stop, stopped) = watch::channel(false);
    let addresses = Addresses::new(descriptors::fit(limits, &service.log));
    let holders = service.node.look(|node, now| {
        let addresses = node.sessions(now).map(|view| view.record.address.as_str().parse());
        addresses.filter_map(Result::ok).map(|at: SocketAddr| at.ip()).collect::<Vec<_>>()
    });
    addresses.expect_back(holders.await.map_err(failed)?);
    let dialer = dialer(service, &shared.key, &addresses, &watch)?;
    let mut links = tokio::spawn(listener::accept(links, shared, addresses, stopped));
    let mut dialer = tokio::spawn(dialer.run());
    let tools = tokio::spawn(control::server::serve(control, Arc::clone(service)));
    let copies = tokio::spawn(snapshots::run(
        service.home.clone(),
        service.credentials.clone(),
        service.log.clone(),
        watch.reload.snapshots(),
    ));
    service.log.write(program::listening(&service.listen));
    service.log.write(program::ready());
    let outcome = tokio::select! {
        outcome = watch_over(service, watch) => outcome,
        // It ends by itself only when a link has panicked.
        ended = &mut links => Err(links_failed(ended)),
        ended = &mut dialer => Err(dialer_failed(ended)),
    };
    tools.abort();
    copies.abort();
    let clients = service.node.look(|node, _| node.link_count()).await;
    if let Ok(clients) = clients {
        service.log.write(program::stopping(clients));
    }
    // Clients first, then the listener: a client that is told can go elsewhere at once.
    let drained = service.node.input(Input::Drain).await;
    stop.send_replace(true);
    dialer.abort();
    if outcome.is_ok() && drained.is_ok() {
        let ended = links.await;
        if !matches!(ended, Ok(Ok(()))) {
            return Err(links_failed(ended));
        }
    }
    outcome
}

/// The way to the peer, wherever the configuration says that is.
fn dialer(
    service: &Service,
    key: &SigningKey,
    addresses: &Arc<Addresses>,
    watch: &Watch,
) -> Result<Dialer, RunError> {
    let (node, wish) = (service.node.clone(), watch.reload.wish());
    Ok(Dialer::new(key, &service.credentials, node, Arc::clone(addresses), wish)?)
}

/// Waits for signals, does what they ask, and shows the service manager that the node answers.
async fn watch_over(service: &Arc<Service>, watch: Watch) -> Result<(), RunError> {
    let Watch { mut events, mut reload } = watch;
    supervisor::ready();
    loop {
        match events.next().await {
            Event::Terminate => {
                supervisor::stopping();
                return Ok(());
            }
            Event::Reload => {
                supervisor::reloading();
                tokio::select! {
                    read = reload.run(service) => read.map_err(failed)?,
                    // Files may be on a disk that hangs; an end does not wait for it.
                    () = events.terminated() => {
                        supervisor::stopping();
                        return Ok(());
                    }
                }
                supervisor::ready();
            }
            Event::Watchdog => {
                service.node.look(|_, _| ()).await.map_err(failed)?;
                supervisor::alive();
            }
        }
    }
}

fn failed(stopped: Stopped) -> RunError {
    RunError::Failed(stopped.to_string())
}

type LinksEnded = Result<Result<(), JoinError>, JoinError>;

fn links_failed(ended: LinksEnded) -> RunError {
    RunError::Failed(match ended {
        Ok(Ok(())) => "it stopped taking connections".to_owned(),
        Ok(Err(error)) | Err(error) => error.to_string(),
    })
}

fn dialer_failed(ended: Result<(), JoinError>) -> RunError {
    RunError::Failed(match ended {
        Ok(()) => "it stopped looking for its peer".to_owned(),
        Err(error) => error.to_string(),
    })
}

type NodeEnded = Result<Result<(), WriterGone>, JoinError>;

fn node_ended(ended: NodeEnded) -> Result<(), RunError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(gone)) => Err(RunError::Failed(gone.to_string())),
        Err(panic) => Err(RunError::Failed(panic.to_string())),
    }
}

/// Lets the node settle what it has decided, then ends.
async fn end(
    driver: JoinHandle<Result<(), WriterGone>>,
    node: &NodeHandle,
    served: Result<(), RunError>,
) -> Result<(), RunError> {
    node.stop().await;
    node_ended(driver.await).and(served)
}
