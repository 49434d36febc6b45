//! Runs one emulator under a license: the wiring, in the order in which things happen.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, UnboundedSender},
    time::sleep,
};
use ve_client::{
    Exit, Hook, Instruction, Licensing, Report, Told,
    config::{Config, HostIdentity, HostIdentityError, Program, Server},
};
use ve_core::{client::io::Settings, text::printable};
use ve_documents::key_files::{self, IdentityError, PublicKeysError};

use crate::{
    engine::{self, Console, Guest, GuestExit, ShutDownError},
    exit::ExitStatus,
    hooks::{Facts, HookFailure, Hooks},
    log::{LogEvent, LogPlace, LogWriter, OpenError, ServerRole},
    signals::StopSignals,
    state::{self, NameLock, StateError, StateFolder},
    told::Servers,
    vm_file::{Hardware, LogStyle, VmFile, VmFileError},
};

/// How long hooks may still run when everything else has ended.
const LAST_HOOKS_PATIENCE: Duration = Duration::from_secs(5);

/// The longest reason that is repeated on standard error, in characters.
const MAX_REASON_CHARACTERS: usize = 4_096;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The VM's file.
    pub vm_file: PathBuf,
    /// A log style other than the file's.
    pub log_style: Option<LogStyle>,
    /// A log file other than the VM file's.
    pub log: Option<PathBuf>,
    /// The state folder.
    pub state_dir: Option<PathBuf>,
}

/// Why an emulator could not even ask for a license.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The VM's file is wrong.
    #[error(transparent)]
    VmFile(#[from] VmFileError),
    /// The state folder can't be used, or the name is taken.
    #[error(transparent)]
    State(#[from] StateError),
    /// The host's key can't be used.
    #[error("the host's key can't be used: {0}")]
    Identity(#[from] HostIdentityError),
    /// The vendor's key can't be read.
    #[error("the vendor's public key (license.vendor_key) can't be used: {0}")]
    VendorKey(#[from] PublicKeysError),
    /// The guest could not be started.
    #[error(transparent)]
    Start(#[from] engine::StartError),
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Signals can't be caught.
    #[error("signals can't be caught: {0}")]
    Signals(io::Error),
}

impl RunError {
    /// The exit code that stands for it.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::State(StateError::NameInUse { .. }) => ExitStatus::TEMPORARY,
            Self::State(_)
            | Self::Log(_)
            | Self::Identity(HostIdentityError::Key(IdentityError::Save(_))) => {
                ExitStatus::CANNOT_WRITE
            }
            Self::VmFile(_) | Self::Identity(_) | Self::VendorKey(_) | Self::Start(_) => {
                ExitStatus::CONFIGURATION
            }
            Self::Signals(_) => ExitStatus::INTERNAL,
        }
    }
}

/// Runs the emulator to its end; the exit status is the guest's where the guest ended by itself.
pub async fn run(options: &Options) -> Result<ExitStatus, RunError> {
    let vm = VmFile::read(&options.vm_file)?;
    engine::check(&vm)?;
    let state = StateFolder::open(options.state_dir.as_deref())?;
    let name_lock = state.lock_name(&vm.name)?;
    let (config, identity_trouble) = config(&vm, &state)?;
    let style = options.log_style.unwrap_or(vm.log.style);
    let log = LogWriter::open(&vm, style, &LogPlace::choose(&vm, style, options.log.as_deref()))?;
    let licensing = Licensing::new(config, ve_host::clock::now);
    let runner = Runner {
        servers: Servers::new(&vm.license),
        licensed: vm.hardware,
        vm,
        log,
        licensing,
        guest: None,
        exit: None,
        facts: Facts::default(),
        hooks: Hooks::default(),
        identity_trouble,
        _name_lock: name_lock,
    };
    Ok(runner.run(StopSignals::catch().map_err(RunError::Signals)?).await)
}

/// What the license client needs to know, from the VM's file and the state folder.
pub(crate) fn config(
    vm: &VmFile,
    state: &StateFolder,
) -> Result<(Config, Option<String>), RunError> {
    let server = |server: &crate::vm_file::Server| Server {
        host: server.address.host().to_owned(),
        port: server.address.port(),
        passphrase: server.passphrase.clone(),
    };
    let settings = Settings {
        servers: 1,
        home: None,
        start_wait_ms: vm.license.start_wait_ms,
        shutdown_lead_ms: vm.license.shutdown_lead_ms,
        shutdown_timeout_ms: vm.engine.shutdown_timeout_ms,
        primary_probe_ms: vm.license.primary_probe_ms,
        seed: Config::fresh_seed(),
    };
    let (facts, identity_trouble) = state::host_facts();
    let config = Config {
        servers: std::iter::once(&vm.license.primary)
            .chain(&vm.license.backup)
            .map(server)
            .collect(),
        program: Program {
            product: vm.virtual_hardware.clone(),
            version: vm.version.clone(),
            virtual_hardware: vm.virtual_hardware.clone(),
            cpus: vm.hardware.cpus,
            memory_mb: vm.hardware.memory_mb,
            emulator: vm.name.as_name().clone(),
        },
        vendor_keys: key_files::load_public(&vm.license.vendor_key)?,
        host: HostIdentity::load_or_create(state.path())?,
        run: Config::fresh_run(),
        facts: Some(facts),
        grants: Some(state.grants()),
        receipts: Some(state.receipts()),
        settings,
    };
    Ok((config, identity_trouble))
}

/// A running emulator.
struct Runner {
    vm: VmFile,
    servers: Servers,
    log: LogWriter,
    licensing: Licensing,
    /// What the guest gets: what was asked for, and never more than the license allows.
    licensed: Hardware,
    guest: Option<Guest>,
    exit: Option<GuestExit>,
    facts: Facts,
    hooks: Hooks,
    /// Why the provider's document is missing, until the log has heard of it.
    identity_trouble: Option<String>,
    _name_lock: NameLock,
}

impl Runner {
    async fn run(mut self, mut signals: StopSignals) -> ExitStatus {
        let (asked, mut shutdown_failed) = mpsc::unbounded_channel();
        self.log.write(&self.servers.configured());
        let exit = loop {
            tokio::select! {
                instruction = self.licensing.next() => {
                    if let Some(exit) = self.carry_out(instruction, &asked).await {
                        break exit;
                    }
                }
                exit = wait_for(&mut self.guest) => self.guest_ended(exit),
                () = signals.next() => self.licensing.report(Report::StopRequested),
                ended = self.hooks.next_end() => self.hook_ended(ended),
                Some(error) = shutdown_failed.recv() => {
                    let reason = ShutDownError::to_string(&error);
                    self.log.write(&LogEvent::ShutdownFailed { reason });
                }
            }
        };
        self.let_hooks_end(&mut signals).await;
        let status = self.exit_status(&exit);
        self.log.write(&LogEvent::Exit { code: status.code().into() });
        self.explain(&exit);
        status
    }

    /// The one place where what the license client decides is done.
    async fn carry_out(
        &mut self,
        instruction: Instruction,
        asked: &UnboundedSender<ShutDownError>,
    ) -> Option<Exit> {
        match instruction {
            Instruction::StartGuest => self.start_guest().await,
            Instruction::ShutDownGuest => self.shut_down_guest(asked.clone()),
            Instruction::StopGuest => self.stop_guest().await,
            Instruction::Tell(told) => self.tell(told),
            Instruction::RunHook(hook) => self.run_hook(hook),
            Instruction::TellOfReceipt(reason) => {
                self.log.write(&LogEvent::ReceiptNotKept { reason });
            }
            Instruction::Exit(exit) => return Some(exit),
        }
        None
    }

    async fn start_guest(&mut self) {
        match engine::start(&self.vm, self.licensed, Console::Inherited).await {
            Ok(guest) => self.guest = Some(guest),
            Err(error) => {
                self.log.write(&LogEvent::StartFailed { reason: error.to_string() });
                self.licensing.report(Report::GuestFailed);
            }
        }
    }

    fn guest_ended(&mut self, exit: GuestExit) {
        self.log.write(&LogEvent::GuestEnded { code: exit.exit_code() });
        self.guest = None;
        self.exit = Some(exit);
        self.licensing.report(Report::GuestEnded);
    }

    fn shut_down_guest(&self, asked: UnboundedSender<ShutDownError>) {
        let Some(guest) = &self.guest else { return };
        let request = guest.shut_down();
        tokio::spawn(async move {
            if let Ok(Err(error)) = request.await {
                // Nobody listens any more when the program has ended.
                let _ = asked.send(error);
            }
        });
    }

    async fn stop_guest(&mut self) {
        if let Some(guest) = &mut self.guest {
            // Its end is noticed like any other.
            guest.stop().await;
        }
    }

    fn tell(&mut self, told: Told) {
        match &told {
            Told::Lost { why, .. } => self.facts.reason.clone_from(why),
            Told::Revoked { refusal, .. } => self.facts.reason = refusal.to_string(),
            Told::EndsWithin(left_ms) | Told::ShutdownForLicense(left_ms) => {
                self.facts.left_ms = Some(*left_ms);
            }
            Told::Restored { .. } => self.facts.restored(),
            Told::Licensed(server, grant) => {
                self.facts.licensed_by(self.servers.name(*server), ServerRole::of(*server));
                let Hardware { cpus, memory_mb } = self.vm.hardware;
                self.licensed = Hardware {
                    cpus: cpus.min(grant.max_cpu),
                    memory_mb: memory_mb.min(grant.max_memory_mb),
                };
            }
            _ => {}
        }
        let counts_hosts = matches!(&told, Told::Licensed(_, grant) if grant.home.is_some());
        let licensed = self.guest.is_some() || self.exit.is_some();
        self.log.write(&self.servers.event(told, licensed));
        // Only a license that counts hosts goes by it.
        if counts_hosts && let Some(reason) = self.identity_trouble.take() {
            self.log.write(&LogEvent::IdentityMissing { reason });
        }
    }

    fn run_hook(&mut self, hook: Hook) {
        let started = self.hooks.run(&self.vm, hook, &self.facts);
        self.hook_ended(started);
    }

    fn hook_ended(&mut self, outcome: Result<(), HookFailure>) {
        if let Err(HookFailure { hook, reason }) = outcome {
            self.log.write(&LogEvent::HookFailed { hook, reason });
        }
    }

    /// Hooks that still run get a moment; another wish of the operator's ends it.
    async fn let_hooks_end(&mut self, signals: &mut StopSignals) {
        let patience = sleep(LAST_HOOKS_PATIENCE);
        tokio::pin!(patience);
        while self.hooks.any_runs() {
            tokio::select! {
                ended = self.hooks.next_end() => self.hook_ended(ended),
                () = &mut patience => break,
                () = signals.next() => break,
            }
        }
        for failure in self.hooks.end() {
            self.hook_ended(Err(failure));
        }
    }

    fn exit_status(&self, exit: &Exit) -> ExitStatus {
        match exit {
            Exit::AsGuest => self.exit.as_ref().map_or(ExitStatus::INTERNAL, ExitStatus::of_guest),
            Exit::LicenseLost => ExitStatus::TEMPORARY,
            Exit::NoServer(_) => ExitStatus::NO_SERVER,
            Exit::Refused(_) => ExitStatus::REFUSED,
            Exit::GuestFailed => ExitStatus::INTERNAL,
            Exit::Stopped => ExitStatus::FINE,
        }
    }

    /// Says on standard error why there is no guest, or none any more.
    fn explain(&self, exit: &Exit) {
        let why = match exit {
            Exit::AsGuest | Exit::Stopped => return,
            Exit::LicenseLost => "the license was lost, so the guest was ended".to_owned(),
            Exit::NoServer(why) => format!("no license server can be used: {why}"),
            Exit::Refused(refusal) => format!("no license was granted: {refusal}"),
            Exit::GuestFailed => "the guest could not be started".to_owned(),
        };
        let why = printable(&why, MAX_REASON_CHARACTERS);
        // Standard error may be gone.
        let log = self.log.path().display();
        let _ = writeln!(io::stderr(), "ve-emulator: {why} (log: {log})");
    }
}

/// Waits for the guest's end; for ever while there is none. Cancel safe.
async fn wait_for(guest: &mut Option<Guest>) -> GuestExit {
    match guest {
        Some(guest) => guest.wait().await,
        None => std::future::pending().await,
    }
}
