//! SIGHUP: what is read anew while the server runs.

use std::net::SocketAddr;

use tokio::{sync::watch, task::spawn_blocking};
use ve_core::node::io::Input;

use crate::{
    config::{Config, ConfigError},
    driver::Stopped,
    home::Home,
    log::Module,
    machine,
    peer::dial::Wish,
    service::Service,
    snapshots::Rules,
};

/// The configuration of a home; `listen` counts instead of what it says.
pub fn load_config(home: &Home, listen: Option<SocketAddr>) -> Result<Config, ConfigError> {
    let mut config = Config::load(&home.config_file())?;
    config.listen = listen.unwrap_or(config.listen);
    Ok(config)
}

/// Reads a running server's files anew, and knows what it started with.
#[derive(Debug)]
pub struct Reload {
    /// What the server runs with.
    config: Config,
    /// Where the command line says to listen.
    listen: Option<SocketAddr>,
    /// Where the peer is.
    wish: watch::Sender<Wish>,
    /// How snapshots are made.
    snapshots: watch::Sender<Rules>,
}

impl Reload {
    /// For a server that was started with `config`, and with `listen` on its command line.
    pub fn new(config: Config, listen: Option<SocketAddr>) -> Self {
        let wish = Wish { address: config.peer.address.clone(), times: 0 };
        let (wish, snapshots) =
            (watch::Sender::new(wish), watch::Sender::new(Rules::from(&config.autove)));
        Self { config, listen, wish, snapshots }
    }

    /// Hears where the peer is to be found.
    pub fn wish(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    /// Hears how snapshots are to be made.
    pub fn snapshots(&self) -> watch::Receiver<Rules> {
        self.snapshots.subscribe()
    }

    /// Takes up the log's file, the machine and the licenses anew. What can't be read or is wrong is
    /// logged, and stays as it was. Files are read on threads that may wait: whoever no longer wants
    /// the outcome is free to go.
    pub async fn run(&mut self, service: &Service) -> Result<(), Stopped> {
        service.log.reopen();
        let (home, listen) = (service.home.clone(), self.listen);
        let what = match blocking(move || load_config(&home, listen)).await? {
            Ok(fresh) => {
                self.take_config(service, fresh).await?;
                "Configuration and licenses"
            }
            Err(error) => {
                let message = format!("The configuration stays as it was: {error}.");
                service.log.error(Module::Main, message);
                "The licenses"
            }
        };
        let platform = self.config.host.platform;
        match blocking(move || machine::read(platform)).await?.map(|found| found.machine) {
            Ok(machine) => service.take_machine(machine).await?,
            Err(error) => {
                let message = format!("The machine stays as it was read before: {error}.");
                service.log.error(Module::License, message);
            }
        }
        service.load_providers().await?;
        service.load_licenses(false).await?;
        service.log.info(Module::Main, format!("{what} were read again."));
        Ok(())
    }

    /// `[host]`, `[peer]` and `[autove]` count from now on; of everything else a change is named until
    /// the next start.
    async fn take_config(&mut self, service: &Service, fresh: Config) -> Result<(), Stopped> {
        let waiting = waiting_changes(&self.config, &fresh);
        if let Some((last, others)) = waiting.split_last() {
            let and = if others.is_empty() { "" } else { " and " };
            let names = format!("{}{and}{last}", others.join(", "));
            let message = format!("Changes of {names} take effect at the next start.");
            service.log.warn(Module::Main, message);
        }
        let Config { host, peer, autove, .. } = fresh;
        service.node.input(Input::AutoVe(autove.rules(&peer))).await?;
        let rules = Rules::from(&autove);
        self.snapshots.send_if_modified(|now| std::mem::replace(now, rules) != rules);
        self.wish.send_modify(|wish| {
            wish.address.clone_from(&peer.address);
            wish.times += 1;
        });
        self.config = Config { host, peer, autove, ..self.config.clone() };
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    // It fails only when the server ends meanwhile.
    spawn_blocking(read).await.map_err(|_| Stopped)
}

/// The keys and sections that differ and are read at the start only.
fn waiting_changes(running: &Config, fresh: &Config) -> Vec<&'static str> {
    let changes = [
        ("listen", running.listen != fresh.listen),
        ("[log]", running.log != fresh.log),
        ("[limits]", running.limits != fresh.limits),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
