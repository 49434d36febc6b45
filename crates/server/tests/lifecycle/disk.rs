//! A disk that is full: who runs goes on, nobody new is let in, and nothing needs a restart.

use std::{fs, io::Write, path::Path, process::Command};

use ve_core::reason::ReasonCode;

use super::{
    client::{Emulator, Host},
    eventually,
    site::Site,
};

/// A small disk of its own; taken away at the end.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Ok(Self { folder }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut filler = fs::File::create(self.path().join("filler")).expect("a file");
        for bytes in [64 * 1024, 4_096, 1] {
            while filler.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).expect("a file");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays", self.path().display());
    }
}

/// Where only root may mount, the test runs once more as the root of a namespace of its own.
const INSIDE: &str = "VE_TEST_IN_A_NAMESPACE";

fn small_disk(test: &str) -> Option<SmallDisk> {
    let refused = match SmallDisk::mount() {
        Ok(disk) => return Some(disk),
        Err(refused) => refused,
    };
    let inside = std::env::var_os(INSIDE).is_some();
    assert!(!inside, "no small disk can be mounted, not even in a namespace: {refused}");
    let possible = Command::new("unshare").args(["-rm", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        ve_testbed::skip(format_args!(
            "no small disk can be mounted here (it takes root, or unshare -rm): {refused}"
        ));
        return None;
    }
    let this = std::env::current_exe().expect("this test's path");
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    assert!(again.status().expect("unshare").success(), "the test failed in its namespace");
    None
}

#[tokio::test]
async fn a_full_disk_keeps_newcomers_out_and_nobody_else() {
    let Some(disk) = small_disk("disk::a_full_disk_keeps_newcomers_out_and_nobody_else") else {
        return;
    };
    let site = Site::at(&disk.path().join("home"));
    site.install(|license| license.instances(1_000)).await.fine();
    let server = site.start().await;
    let host = Host::new();
    let mut running = host.run(server.port(), &Emulator::new("early")).await.expect("a seat");
    disk.fill();

    // What the ledger has room for in its last page is none of our business.
    let mut count = 0;
    let late = async || {
        count += 1;
        host.run(server.port(), &Emulator::new(&format!("late {count}"))).await.err()
    };
    let refusal = eventually_mut("a refusal", late).await;
    assert_eq!(refusal.code, ReasonCode::ServerBusy, "{refusal}");
    assert!(refusal.sentence.contains("the ledger can't be written: "), "{refusal}");
    assert!(refusal.sentence.contains("full"), "{refusal}");
    assert!(refusal.sentence.contains("no seat was taken"), "{refusal}");
    server.logs("ERROR MAIN The ledger can't be written: ").await;
    running.link.check(running.grant.session).await.expect("who runs goes on");
    assert_eq!(running.link.events_so_far(), []);
    site.tool("licensectl", &["status"]).await.fine();

    disk.make_room();
    let newcomer = Emulator::new("after");
    let seat = eventually("a seat", async || host.run(server.port(), &newcomer).await.ok()).await;
    server.logs("INFO MAIN The ledger can be written again.").await;
    running.link.check(running.grant.session).await.expect("who runs goes on");
    assert_eq!(running.link.events_so_far(), []);
    seat.link.logout(seat.grant.session).await.expect("an end that is durable");
    let written =
        async || site.log_text().contains("The ledger can be written again.").then_some(());
    eventually("the line in the file", written).await;
    server.kill().await;

    // What was granted and what was refused is the same after a restart.
    let server = site.start().await;
    let again = host.run(server.port(), &running.emulator).await.expect("its own seat");
    assert_eq!(again.grant.session, running.grant.session);
    let known = site.sessions().await;
    let has = |name: &str| known.iter().any(|session| session["emulator"] == name);
    assert!(has("early") && !has("after") && !has(&format!("late {count}")), "{known:#?}");
    server.terminate().await;
}

#[tokio::test]
async fn a_full_disk_stops_no_meter() {
    let Some(disk) = small_disk("disk::a_full_disk_stops_no_meter") else { return };
    let site = Site::at(&disk.path().join("home"));
    site.install(|license| license.instances(1_000).hours(100)).await.fine();
    let server = site.start().await;
    let host = Host::new();
    let running = host.run(server.port(), &Emulator::new("early")).await.expect("a seat");
    disk.fill();
    let mut count = 0;
    let late = async || {
        count += 1;
        host.run(server.port(), &Emulator::new(&format!("late {count}"))).await.err()
    };
    eventually_mut("a refusal", late).await;
    let status = site.report("status").await;
    let why = status["ledger_failure"].as_str().expect("a reason");
    assert!(why.contains("full"), "{status:#}");
    let text = site.tool("licensectl", &["status"]).await.fine();
    assert!(text.contains("Attention: The ledger can't be written: "), "{text}");

    // The hours of this time are in no ledger.
    let charged = async || {
        let grant = running.link.check(running.grant.session).await.expect("a license");
        Some(grant.marks.hours_used_ms).filter(|used_ms| *used_ms >= 2_000)
    };
    let charged_ms = eventually("two seconds on the meter", charged).await;
    drop(running.link);
    server.terminate().await;
    let viewer = async || {
        let said = site.tool("license_viewer", &["--json"]).await.fine();
        let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        report["licenses"][0]["used_seconds"].as_u64().expect("a meter")
    };
    assert!(viewer().await >= charged_ms / 1_000, "{} s of {charged_ms} ms", viewer().await);
    disk.make_room();
    let server = site.start().await;
    assert!(viewer().await >= charged_ms / 1_000, "{} s of {charged_ms} ms", viewer().await);
    let again = host.run(server.port(), &running.emulator).await.expect("its own seat");
    assert!(again.grant.marks.hours_used_ms >= charged_ms, "{:?}", again.grant);
    server.terminate().await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_says_what_to_do() {
    let Some(disk) = small_disk("disk::a_start_on_a_full_disk_says_what_to_do") else { return };
    let site = Site::at(&disk.path().join("home"));
    site.install(|license| license).await.fine();
    site.start().await.terminate().await;
    disk.fill();
    let said = site.start_in_vain().await;
    let message = said.failed(73);
    assert!(message.contains("full"), "{message}");
    assert!(message.to_lowercase().contains("make room"), "{message}");
    disk.make_room();
    site.start().await.terminate().await;
}

/// The same for a look that counts.
async fn eventually_mut<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    super::awaited(what, seen).await
}
