//! The running service as its administrator sees it: how it is, and what changes its licenses.

mod hosts;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, watch},
    task::{JoinError, spawn_blocking},
    time::timeout,
};
use ve_core::{
    fingerprint::Machine,
    id::{LicenseId, ServerKey},
    node::io::Input,
    reason::ReasonCode,
    time::{SECOND_MS, Utc},
};
use ve_documents::identity::load_certificates;

use crate::{
    control::{
        protocol::{Done, Failure, Installation, PeerReports, Status},
        reports,
    },
    credentials::{Credentials, Known},
    driver::{NodeHandle, Stopped},
    health::of_licenses,
    home::Home,
    install::{self, InstallError, Plan},
    installed,
    log::{Log, Module},
    peer::dial::Wish,
    vouching::Vouching,
};

/// How long a tool waits for the ledger. Tools themselves wait for twice as long and more.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    /// The way to the node.
    pub node: NodeHandle,
    /// Where everything is kept.
    pub home: Home,
    /// The server's public key.
    pub server_key: ServerKey,
    /// What it shows before login.
    pub credentials: Credentials,
    /// What hosts show of themselves.
    pub vouching: Vouching,
    /// The log.
    pub log: Log,
    /// Where it listens.
    pub listen: String,
    /// Since when it runs.
    pub since: Utc,
    /// The right to import, which one tool has at a time.
    pub(crate) importing: Arc<Semaphore>,
    /// Where the configuration says that the peer is.
    peer: watch::Receiver<Wish>,
    /// The machine as it was read last.
    machine: Mutex<Arc<Machine>>,
    /// Held while the license files are read or changed, so that one is done after the other.
    files: AsyncMutex<()>,
}

/// What a service is made of.
pub struct Parts {
    /// See [`Service::node`].
    pub node: NodeHandle,
    /// See [`Service::home`].
    pub home: Home,
    /// See [`Service::server_key`].
    pub server_key: ServerKey,
    /// See [`Service::log`].
    pub log: Log,
    /// See [`Service::listen`].
    pub listen: String,
    /// See [`Service::since`].
    pub since: Utc,
    /// Where the configuration says that the peer is.
    pub peer: watch::Receiver<Wish>,
}

impl Service {
    /// A service that has looked at no machine and no license yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { node, home, server_key, log, listen, since, peer } = parts;
        Self {
            node,
            home,
            server_key,
            credentials: Credentials::default(),
            vouching: Vouching::default(),
            log,
            listen,
            since,
            importing: Arc::new(Semaphore::new(1)),
            peer,
            machine: Mutex::default(),
            files: AsyncMutex::default(),
        }
    }

    /// How the server is.
    pub async fn status(&self) -> Result<Status, Stopped> {
        let (listen, since, server_key) =
            (self.listen.clone(), self.since, self.server_key.to_string());
        let configured = self.configured_peer();
        let look = self.node.look_at_all(move |node, health, now| {
            let licenses = reports::licenses(node, now, true).licenses;
            let peer = reports::peers(node, now, configured).peers.pop();
            let mut attention = health.attention(node, now, peer.as_ref());
            attention.extend(of_licenses(&licenses));
            Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                listen,
                since,
                state: if node.is_draining() { "draining" } else { "ready" }.to_owned(),
                server_key,
                links: node.link_count(),
                sessions: node.sessions(now).count(),
                ledger_failure: health.ledger_failure().map(ToOwned::to_owned),
                marks_raised: node.marks_raised(),
                holders_unknown_seconds: node
                    .holders_unknown_ms(now)
                    .map(|ms| ms.div_ceil(SECOND_MS)),
                autove: reports::capacity(node),
                peer,
                attention,
                licenses,
            }
        });
        look.await
    }

    /// The peer, for the lists.
    pub async fn peers(&self) -> Result<PeerReports, Stopped> {
        let configured = self.configured_peer();
        self.node.look(move |node, now| reports::peers(node, now, configured)).await
    }

    fn configured_peer(&self) -> Option<String> {
        self.peer.borrow().address.as_ref().map(ToString::to_string)
    }

    /// Hands in the machine as it was just read.
    pub async fn take_machine(&self, machine: Machine) -> Result<(), Stopped> {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(machine.clone());
        self.node.input(Input::Machine(machine)).await
    }

    fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.machine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the certificates of cloud providers. What can't be read leaves them as they were.
    pub async fn load_providers(&self) -> Result<(), Stopped> {
        let folder = self.home.providers();
        let loaded =
            spawn_blocking(move || load_certificates(&folder)).await.map_err(|_| Stopped)?;
        match loaded {
            Ok(certificates) => self.vouching.trust_providers(certificates),
            Err(error) => {
                let message = format!(
                    "The certificates of cloud providers stay as they were: {error}. Identity \
                     documents that they would prove count for nothing."
                );
                self.log.error(Module::Main, message);
            }
        }
        Ok(())
    }

    /// Reads the license files and lets the node judge them. At the start everything counts; later
    /// what the system does not let us read changes nothing.
    pub async fn load_licenses(&self, at_start: bool) -> Result<(), Stopped> {
        let _files = self.files.lock().await;
        self.hand_in_licenses(at_start).await.map(drop)
    }

    /// Says what kept the licenses from being taken up, if something did.
    async fn hand_in_licenses(&self, at_start: bool) -> Result<Option<String>, Stopped> {
        let home = self.home.clone();
        let loaded = spawn_blocking(move || installed::load(&home)).await.map_err(|_| Stopped)?;
        if !at_start && !loaded.trouble.is_empty() {
            let trouble = loaded.trouble.join("; ");
            let message = format!("The licenses stay as they were: {trouble}.");
            self.log.error(Module::License, message);
            return Ok(Some(trouble));
        }
        let licenses = loaded.trusted.iter().map(|license| &**license).zip(loaded.credentials);
        self.credentials.show(Known::new(licenses, loaded.vendor_keys));
        let licenses = Input::Licenses { trusted: loaded.trusted, unusable: loaded.unusable };
        self.node.input(licenses).await.map(|()| None)
    }

    /// Takes up what a tool has just changed in the files.
    async fn take_up_licenses(&self, change: &str) -> Result<(), Failure> {
        self.log.info(Module::License, format!("License {change}."));
        match self.hand_in_licenses(false).await.map_err(stopping)? {
            None => Ok(()),
            Some(trouble) => Err(failure(format!(
                "license {change}, but the running server can't take that up: {trouble}; put that \
                 right and let it read its licenses again with `systemctl reload licensed`, or \
                 with SIGHUP."
            ))),
        }
    }

    /// Checks a license file and, unless it is a dry run, installs it live. That it was installed is
    /// durable then: from now on no lower version counts.
    pub async fn install(&self, v2c: String, dry_run: bool) -> Result<Installation, Failure> {
        let installation = self.install_files(v2c, dry_run).await?;
        if !dry_run {
            let Installation { id, to_version, .. } = &installation;
            self.settle(&format!("License {id} version {to_version} is installed")).await?;
        }
        Ok(installation)
    }

    async fn install_files(&self, v2c: String, dry_run: bool) -> Result<Installation, Failure> {
        let _files = self.files.lock().await;
        let plan = Arc::new(self.plan(v2c).await?);
        let license = plan.license().clone();
        let (id, version) = (license.id.clone(), license.version);
        let preview = self.node.look(move |node, now| {
            (node.preview_install(now, &license), reports::hosts_kept(node, &license))
        });
        let (preview, hosts) = preview.await.map_err(stopping)?;
        if !dry_run && plan.is_installed_already() {
            // The file may be newer than what the node knows: an earlier try that was cut off.
            self.hand_in_licenses(false).await.map_err(stopping)?;
        } else if !dry_run {
            let (home, planned) = (self.home.clone(), Arc::clone(&plan));
            blocking(move || planned.write(&home)).await?;
            self.take_up_licenses(&format!("{id} version {version} was installed")).await?;
        }
        let (hosts_served, hosts_kept) = hosts.unzip();
        let report = plan.report(Some(preview), !dry_run);
        Ok(Installation { hosts_served, hosts_kept, ..report })
    }

    async fn plan(&self, v2c: String) -> Result<Plan, Failure> {
        let seen =
            self.node.look(|node, _| node.versions_seen().clone()).await.map_err(stopping)?;
        let (home, machine, server_key) = (self.home.clone(), self.machine(), self.server_key);
        blocking(move || install::plan(&home, &v2c, &seen, &machine, server_key)).await
    }

    /// Removes an installed license; its sessions are revoked, its marks stay.
    pub async fn remove(&self, id: LicenseId) -> Result<Done, Failure> {
        self.remove_files(&id).await?;
        self.settle(&format!("License {id} is removed")).await?;
        Ok(Done { message: format!("license {id} is removed; its marks stay.") })
    }

    /// Waits until the ledger has what was `done`. Nobody else waits meanwhile: the files are free.
    async fn settle(&self, done: &str) -> Result<(), Failure> {
        let why = match timeout(SETTLE_TIMEOUT, self.node.settle()).await {
            Ok(settled) => match settled.map_err(stopping)? {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal.sentence,
            },
            Err(_) => "the disk has not answered yet, and is waited for.".to_owned(),
        };
        Err(Failure {
            exit_code: 75,
            reason: Some(ReasonCode::ServerBusy),
            message: format!(
                "{done}, but the ledger does not know of it yet: {why} See `licensectl status`."
            ),
        })
    }

    async fn remove_files(&self, id: &LicenseId) -> Result<(), Failure> {
        let _files = self.files.lock().await;
        let (home, which) = (self.home.clone(), id.clone());
        let removed = blocking(move || install::remove(&home, &which)).await;
        if let Err(failure) = removed {
            // Whatever was done, or had been done before: the node serves what the files say.
            self.hand_in_licenses(false).await.map_err(stopping)?;
            return Err(failure);
        }
        self.take_up_licenses(&format!("{id} was removed")).await
    }
}

/// Files are slow: they are touched on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InstallError> + Send + 'static,
) -> Result<T, Failure> {
    let broken =
        |error: JoinError| failure(format!("the request failed inside the server: {error}."));
    spawn_blocking(work).await.map_err(broken)?.map_err(|error| Failure::from(&error))
}

fn stopping(_: Stopped) -> Failure {
    failure("the license service is stopping.".to_owned())
}

fn failure(message: String) -> Failure {
    Failure { exit_code: 70, reason: None, message }
}
