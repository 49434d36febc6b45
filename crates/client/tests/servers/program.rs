//! The program that asks for a license.

use std::{
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::timeout;
use ve_client::{
    GrantFolder, Instruction, Licensing, ReceiptFolder, Report,
    config::{Config, HostIdentity, Program as Wanted, Server as Address},
};
use ve_core::{
    client::io::Settings,
    license::ProductVersion,
    text::Name,
    time::{Elapsed, MINUTE_MS, Now, Utc},
};

use crate::server::Server;

/// Far longer than anything here takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program under a license, and the folder with its host's key.
pub(crate) struct Program {
    licensing: Licensing,
    folder: TempDir,
}

/// What a program asks of the servers on these ports, and the folder with its host's key.
pub(crate) fn config(server: &Server, ports: &[u16]) -> (Config, TempDir) {
    config_in(tempfile::tempdir().unwrap(), server, ports)
}

fn config_in(folder: TempDir, server: &Server, ports: &[u16]) -> (Config, TempDir) {
    let address = |&port| Address { host: "127.0.0.1".into(), port, passphrase: None };
    let config = Config {
        servers: ports.iter().map(address).collect(),
        program: Wanted {
            product: "Charon-SSP".parse().unwrap(),
            version: ProductVersion::try_from("4.1.32".parse::<Name>().unwrap()).unwrap(),
            virtual_hardware: "Charon-SSP/4M".parse().unwrap(),
            cpus: 1,
            memory_mb: 64,
            emulator: "ss5".parse().unwrap(),
        },
        vendor_keys: vec![server.vendor.verifying_key()],
        host: HostIdentity::load_or_create(folder.path()).unwrap(),
        run: Config::fresh_run(),
        facts: None,
        grants: Some(GrantFolder::new(folder.path().join("grants"))),
        receipts: Some(ReceiptFolder::new(folder.path().join("receipts"))),
        settings: Settings {
            servers: 0,
            home: None,
            start_wait_ms: 0,
            shutdown_lead_ms: MINUTE_MS,
            shutdown_timeout_ms: MINUTE_MS,
            primary_probe_ms: MINUTE_MS,
            seed: 1,
        },
    };
    (config, folder)
}

pub(crate) fn clock() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed().as_millis();
    Now { elapsed: Elapsed(u64::try_from(elapsed).unwrap()), wall: Utc(1_600_000_000) }
}

impl Program {
    pub(crate) fn start(server: &Server, ports: &[u16]) -> Self {
        let (config, folder) = config(server, ports);
        Self::of(config, folder)
    }

    /// A program that was told this.
    pub(crate) fn of(config: Config, folder: TempDir) -> Self {
        Self::with_clock(config, folder, clock)
    }

    /// A program with a clock of the test's.
    pub(crate) fn with_clock(config: Config, folder: TempDir, clock: fn() -> Now) -> Self {
        Self { licensing: Licensing::new(config, clock), folder }
    }

    /// What the same host asks next, after this program has ended.
    pub(crate) fn again(self, server: &Server, ports: &[u16]) -> (Config, TempDir) {
        config_in(self.folder, server, ports)
    }

    /// The same host's next start.
    pub(crate) fn start_again(self, server: &Server, ports: &[u16]) -> Self {
        let (config, folder) = self.again(server, ports);
        Self::of(config, folder)
    }

    /// Where its host keeps grants.
    pub(crate) fn grants(&self) -> PathBuf {
        self.folder.path().join("grants")
    }

    /// Where its host keeps receipts.
    pub(crate) fn receipts(&self) -> PathBuf {
        self.folder.path().join("receipts")
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.licensing.report(report);
    }

    /// The next thing to do.
    pub(crate) async fn next(&mut self) -> Instruction {
        timeout(PATIENCE, self.licensing.next()).await.expect("something to do")
    }

    /// The next thing to do, if there is one within `patience`.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Option<Instruction> {
        timeout(patience, self.licensing.next()).await.ok()
    }

    /// Everything up to and with what `is_last`.
    pub(crate) async fn until(
        &mut self,
        is_last: impl Fn(&Instruction) -> bool,
    ) -> Vec<Instruction> {
        let mut instructions = vec![self.next().await];
        while !instructions.last().is_some_and(&is_last) {
            instructions.push(self.next().await);
        }
        instructions
    }

    /// Everything up to the start of the guest.
    pub(crate) async fn until_started(&mut self) {
        let instructions = self
            .until(|instruction| {
                matches!(instruction, Instruction::StartGuest | Instruction::Exit(_))
            })
            .await;
        assert_eq!(instructions.last(), Some(&Instruction::StartGuest), "{instructions:?}");
    }

    /// Lives on until `is_true`; hands out what was to do meanwhile.
    pub(crate) async fn lives_until(&mut self, is_true: impl Fn() -> bool) -> Vec<Instruction> {
        let begin = Instant::now();
        let mut instructions = vec![];
        while !is_true() {
            assert!(begin.elapsed() < PATIENCE, "it does not come; to do: {instructions:?}");
            instructions.extend(self.next_within(Duration::from_millis(5)).await);
        }
        instructions
    }
}
