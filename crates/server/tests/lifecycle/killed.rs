//! kill -9 at every step that makes something durable, one after the other, until a whole life
//! survives: what was acknowledged is there afterwards, and every restart works.
//!
//! `strace` kills the server as it enters the n-th such system call of one of its threads. It is
//! started again and again on the same home, so the next life goes on with what the last one left.

use std::{collections::BTreeMap, path::PathBuf};

use rustix::process::Signal;
use serde_json::Value as Json;
use tokio::task::spawn_blocking;
use ve_core::{
    id::{LicenseId, SessionId},
    license::Lease,
    node::event::Remembered,
};
use ve_store::ReadOnly;
use ve_testbed::LicenseBuilder;

use super::{
    client::{Emulator, Host, Link},
    server::{Server, signal_process},
    site::{Site, path},
    strace::{self, Threads},
};

/// Updated in every life.
const UPDATED: &str = "01.00000001.002.044";
/// Counts hours.
const COUNTDOWN: &str = "01.00000001.002.045";
/// Removed in every life, and installed again before the next.
const REMOVED: &str = "01.00000001.002.046";

/// More steps than any life has.
const MANY: usize = 500;

/// A crash may lose this much of a meter.
const MINUTE_MS: u64 = 60_000;

/// What the server has acknowledged in all its lives so far.
#[derive(Default)]
struct Acknowledged {
    seats: Vec<Emulator>,
    /// Logged out: over for good when that was answered.
    ended: Vec<SessionId>,
    /// The version of the license that is updated.
    version: u32,
    hours_used_ms: u64,
    /// Whether the license that is removed was, after it had been installed.
    is_removed: bool,
}

fn usual<'a>(license: LicenseBuilder<'a>, id: &str) -> LicenseBuilder<'a> {
    let hardware = if id == COUNTDOWN { "Charon-SSP/4U" } else { "Charon-SSP/4M" };
    let license = license.id(id).instances(1_000).with(|license| {
        license.lease = Lease::For(3_600_000);
        license.sections[0].virtual_hardware = vec![hardware.parse().expect("a name")];
    });
    if id == COUNTDOWN { license.hours(100) } else { license }
}

async fn site() -> Site {
    let site = Site::licensed(|license| usual(license, UPDATED)).await;
    site.install(|license| usual(license, COUNTDOWN)).await.fine();
    site
}

/// Everything that one life of the server is asked to do.
struct Life {
    link: Link,
    number: usize,
    /// The update of this life.
    v2c: PathBuf,
    version: u32,
}

impl Life {
    /// Prepares what needs a server that is not killed yet.
    async fn prepare(
        site: &Site,
        host: &Host,
        server: &Server,
        number: usize,
        done: &mut Acknowledged,
    ) -> Self {
        if done.is_removed || number == 1 {
            site.install(|license| usual(license, REMOVED)).await.fine();
            done.is_removed = false;
        }
        // Whether the last life's update came through or not, this one is above it.
        let version = u32::try_from(number).expect("a few") + 1;
        let v2c = site.v2c(|license| usual(license, UPDATED).version(version)).await;
        let link = host.connect(server.port()).await.expect("a license");
        Self { link, number, v2c, version }
    }

    /// Does one thing after the other until the server is gone; notes what was answered.
    async fn live(self, site: &Site, server: &Server, done: &mut Acknowledged) -> Option<()> {
        let emulator = |name: &str| Emulator::new(&format!("{name} {}", self.number));
        let first = self.log_in(emulator("normal"), done).await?;
        let counted = Emulator { hardware: "Charon-SSP/4U", ..emulator("countdown") };
        let counted = self.log_in(counted, done).await?;
        let brief = self.log_in(emulator("brief"), done).await?;
        let grant = self.link.try_check(counted).await?.expect("it runs");
        done.hours_used_ms = done.hours_used_ms.max(grant.marks.hours_used_ms);
        // From here on it may be over, and is when that is answered.
        done.seats.retain(|seat| seat.session != Some(brief));
        self.link.try_logout(brief).await?.expect("an end");
        done.ended.push(brief);
        let installed = site.tool("v2c", &["--filename", path(&self.v2c)]).await;
        if installed.code == Some(0) {
            done.version = self.version;
        }
        self.link.try_check(first).await?.expect("it runs");
        let removed = site.tool("licensectl", &["licenses", "remove", REMOVED]).await;
        done.is_removed = removed.code == Some(0);
        drop(self.link);
        server.signal(Signal::TERM);
        Some(())
    }

    async fn log_in(&self, emulator: Emulator, done: &mut Acknowledged) -> Option<SessionId> {
        let grant = self.link.try_login(&emulator).await?.expect("a seat");
        done.hours_used_ms = done.hours_used_ms.max(grant.marks.hours_used_ms);
        done.seats.push(emulator.knowing(grant.session));
        Some(grant.session)
    }
}

async fn remembered(site: &Site) -> Remembered {
    let ledger = site.home().join("ledger.db");
    let read = spawn_blocking(move || {
        ReadOnly::open(&ledger).expect("a ledger").remember().expect("a sound ledger")
    });
    read.await.expect("no panic")
}

/// What a ledger must say between two lives.
fn holds(ledger: &Remembered, before: &Remembered, done: &Acknowledged, when: &str) {
    for seat in &done.seats {
        let known = ledger.sessions.iter().any(|session| Some(session.id) == seat.session);
        assert!(known, "{when}: the seat of {} is lost", seat.name);
    }
    for ended in &done.ended {
        let known = ledger.sessions.iter().any(|session| session.id == *ended);
        assert!(!known, "{when}: a session that was logged out is back");
    }
    let id: LicenseId = UPDATED.parse().expect("an ID");
    let version = ledger.versions.get(&id).copied().unwrap_or(0);
    assert!(version >= done.version, "{when}: version {version} after {}", done.version);
    let hours = |remembered: &Remembered| -> BTreeMap<(LicenseId, u32), u64> {
        remembered.meters.iter().map(|(key, metered)| (key.clone(), metered.used_ms)).collect()
    };
    let used = hours(ledger);
    for (key, before_ms) in hours(before) {
        assert!(used.get(&key) >= Some(&before_ms), "{when}: the meter of {key:?} went back");
    }
    let least_ms = done.hours_used_ms.saturating_sub(MINUTE_MS);
    assert!(used.values().copied().max().unwrap_or(0) >= least_ms, "{when}: hours are lost");
}

/// The installed licenses as the viewer shows them: the version of each valid one.
async fn installed(site: &Site, when: &str) -> BTreeMap<String, u64> {
    let said = site.tool("license_viewer", &["--json"]).await.fine();
    let report: Json = serde_json::from_str(&said).expect("JSON");
    let licenses = report["licenses"].as_array().expect("a list").iter();
    let entry = |license: &Json| {
        assert_eq!(license["status"], "valid", "{when}: {license:#}");
        let id = license["id"].as_str().expect("an ID").to_owned();
        (id, license["version"].as_u64().expect("a version"))
    };
    licenses.map(entry).collect()
}

/// Starts the server again after it was killed, and demands what was acknowledged.
async fn restarted(
    site: &Site,
    host: &Host,
    before: &mut Remembered,
    done: &Acknowledged,
    when: &str,
) -> Server {
    let ledger = remembered(site).await;
    holds(&ledger, before, done, when);
    *before = ledger;
    let server = site.start().await;
    let link = host.connect(server.port()).await.expect("a license");
    for seat in &done.seats {
        let grant = link.login(seat).await.unwrap_or_else(|refusal| panic!("{when}: {refusal}"));
        assert_eq!(Some(grant.session), seat.session, "{when}: {} got another seat", seat.name);
    }
    let licenses = installed(site, when).await;
    assert!(licenses.contains_key(COUNTDOWN), "{when}: {licenses:?}");
    assert!(licenses[UPDATED] >= u64::from(done.version), "{when}: {licenses:?}");
    assert!(!done.is_removed || !licenses.contains_key(REMOVED), "{when}: {licenses:?}");
    server
}

/// Kills the server in its n-th such call, for n from 1 on, until a life survives.
async fn kill_in_every(threads: Threads, calls: &str, at_least: usize) {
    kill_in(threads, calls, at_least, 1).await;
}

/// The same, leaving steps out where there are many.
async fn kill_in(threads: Threads, calls: &str, at_least: usize, stride: usize) {
    let site = site().await;
    let host = Host::new();
    let (mut done, mut before) = (Acknowledged::default(), Remembered::default());
    for number in (1..MANY).step_by(stride) {
        let when = format!("killed in {calls} number {number}");
        let server = restarted(&site, &host, &mut before, &done, &when).await;
        let life = Life::prepare(&site, &host, &server, number, &mut done).await;
        let fault = format!("signal=KILL:when={number}");
        let Some(_strace) = strace::attach(&server, threads, calls, &fault).await else { return };
        // `None`: it was killed before all was done.
        let _ = life.live(&site, &server, &mut done).await;
        let (status, log) = server.ended().await;
        if status.success() {
            assert!(number > at_least, "only {number} lives: {calls} was not there to kill in");
            assert!(log.last().is_some_and(|line| line.ends_with("The program is terminated.")));
            restarted(&site, &host, &mut before, &done, "at the end").await.terminate().await;
            return;
        }
    }
    panic!("a server that is never killed in its {MANY}th {calls} never ends by itself either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_flush_of_its_ledger_keeps_its_word() {
    kill_in_every(Threads::Ledger, "fsync,fdatasync", 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_amid_the_writes_of_its_ledger_keeps_its_word() {
    kill_in(Threads::Ledger, "pwrite64", 20, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_change_of_names_keeps_its_word() {
    kill_in_every(Threads::All, "rename,renameat,renameat2", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_when_it_removes_or_shortens_files_keeps_its_word() {
    kill_in_every(Threads::All, "unlink,unlinkat,ftruncate", 1).await;
}

/// A first start is killed again and again in a fresh home of its own each time; then it must work.
async fn first_starts(calls: &str, at_least: usize) {
    for number in 1..MANY {
        let site = Site::new();
        let fault = format!("signal=KILL:when={number}");
        let Some(command) = strace::around(&site.command(), calls, &fault).await else { return };
        let server = Server::begin(command);
        if server.gets_ready().await {
            // Whoever asks, asks the server itself: strace has another number.
            let said = site.tool("licensectl", &["status", "--json"]).await;
            let pid = serde_json::from_str::<Json>(&said.out).ok().and_then(|s| s["pid"].as_u64());
            if let Some(pid) = pid {
                // It may have been killed since.
                let _ = signal_process(u32::try_from(pid).expect("a process"), Signal::TERM);
            }
        }
        let (status, log) = server.ended().await;
        let again = site.start().await;
        site.tool("licensectl", &["status"]).await.fine();
        again.terminate().await;
        site.install(|license| license).await.fine();
        if status.success() {
            assert!(number > at_least, "only {number} starts: {calls} was not there to kill in");
            return;
        }
        let ended = log.iter().any(|line| line.ends_with("The program is terminated."));
        assert!(!ended || number > at_least, "{log:#?}");
    }
    panic!("a start that is never killed in its {MANY}th {calls} never ends by itself either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_at_any_flush_can_be_done_again() {
    first_starts("fsync,fdatasync", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_at_any_other_step_can_be_done_again() {
    first_starts("link,linkat,unlink,unlinkat,ftruncate,mkdir,mkdirat", 3).await;
}
