//! SIGHUP: what is read anew while the server runs.

use std::net::SocketAddr;

use tokio::task::spawn_blocking;

use crate::{
    config::{Config, ConfigError},
    driver::Stopped,
    home::Home,
    log::Module,
    machine,
    service::Service,
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
}

impl Reload {
    /// For a server that was started with `config`, and with `listen` on its command line.
    pub fn new(config: Config, listen: Option<SocketAddr>) -> Self {
        Self { config, listen }
    }

    /// Takes up the log's file, the machine and the licenses anew. What can't be read or is wrong is
    /// logged, and stays as it was. Files are read on threads that may wait: whoever no longer wants
    /// the outcome is free to go.
    pub async fn run(&mut self, service: &Service) -> Result<(), Stopped> {
        service.log.reopen();
        let (home, listen) = (service.home.clone(), self.listen);
        let what = match blocking(move || load_config(&home, listen)).await? {
            Ok(fresh) => {
                self.take_config(service, fresh);
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
        service.load_licenses(false).await?;
        service.log.info(Module::Main, format!("{what} were read again."));
        Ok(())
    }

    /// `[host]` counts from now on; of everything else a change is named until the next start.
    fn take_config(&mut self, service: &Service, fresh: Config) {
        let waiting = waiting_changes(&self.config, &fresh);
        if let Some((last, others)) = waiting.split_last() {
            let and = if others.is_empty() { "" } else { " and " };
            let names = format!("{}{and}{last}", others.join(", "));
            let message = format!("Changes of {names} take effect at the next start.");
            service.log.warn(Module::Main, message);
        }
        self.config.host = fresh.host;
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
