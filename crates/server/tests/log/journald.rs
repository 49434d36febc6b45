//! The real journald, in a mount namespace with a `/run` of its own.

use std::{
    env,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use ve_core::reason::{ReasonCode, Refusal};
use ve_server::log::{JOURNAL_SOCKET, LogSettings, Mirror};

use super::{LONG, TERMINATED, lines, open, settings};

const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";
const FOLDER: &str = "VE_TEST_JOURNALD_FOLDER";

/// What makes a place for journald to live in, and then becomes it. It leaves the kernel alone.
const LIVE: &str = "\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\nRateLimitBurst=0\\n' \\
    >/run/systemd/journald.conf.d/test.conf
exec /usr/lib/systemd/systemd-journald";

/// Starts a program as systemd does: standard error is a stream of the journal, and
/// `JOURNAL_STREAM` names it.
const AS_A_SERVICE: &str = "\
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)
export JOURNAL_STREAM
exec \"$@\"";

struct Journald {
    process: Child,
    folder: tempfile::TempDir,
}

impl Journald {
    /// `None`, said aloud, where this machine does not let us.
    fn start() -> Option<Self> {
        if !Path::new(JOURNALD).exists() {
            ve_testbed::skip("there is no journald here");
            return None;
        }
        let mut probe = namespace();
        match probe.args(["mount", "-t", "tmpfs", "tmpfs", "/run"]).output() {
            Ok(output) if output.status.success() => {}
            refused => {
                ve_testbed::skip(format_args!(
                    "no mount namespace can be made here (it takes root): {refused:?}"
                ));
                return None;
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let notify = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        notify.set_read_timeout(Some(LONG)).expect("a limit");
        let process = namespace()
            .args(["sh", "-c", LIVE])
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .stdin(Stdio::null())
            .spawn()
            .expect("journald");
        let journald = Self { process, folder };
        let mut buffer = [0; 4096];
        loop {
            let length = notify.recv(&mut buffer).expect("journald's word that it is ready");
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "READY=1") {
                return Some(journald);
            }
        }
    }

    /// A program where this journald is the machine's.
    fn beside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.process.id().to_string(), "--"]);
        command
    }

    /// What `journalctl` with these arguments prints, a line an entry.
    fn journalctl(&self, arguments: &[&str]) -> Vec<String> {
        let synced = self.beside().args(["journalctl", "--sync"]).status();
        assert!(synced.is_ok_and(|status| status.success()), "journalctl --sync");
        let mut query = self.beside();
        query.args(["journalctl", "--directory", "/run/log/journal", "--quiet", "--no-pager"]);
        let output = query.args(arguments).output().expect("journalctl");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(ToOwned::to_owned).collect()
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        self.process.kill().expect("journald is ours");
        self.process.wait().expect("its end");
    }
}

fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

/// Not a test of its own: the server.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    assert_eq!(Mirror::detect(), Mirror::Journal(JOURNAL_SOCKET.into()));
    let settings = LogSettings { mirror: Mirror::detect(), ..settings(&PathBuf::from(folder)) };
    let log = open(&settings);
    let forged = "no hello\nVE_REASON=instance-limit\nPRIORITY=0";
    log.connection_refused("127.0.0.1:40704", &Refusal::new(ReasonCode::BadRequest, forged));
    assert!(log.close(LONG));
}

#[test]
fn systemds_journal_has_every_entry_once_with_its_fields() {
    let Some(journald) = Journald::start() else { return };
    let status = journald
        .beside()
        .args(["systemd-cat", "sh", "-c", AS_A_SERVICE, "sh"])
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "journald::child", "--nocapture"])
        .env(FOLDER, journald.folder.path())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the server");
    let refused = "connection from 127.0.0.1:40704 was refused: bad-request: \
                   no hello\\u{a}VE_REASON=instance-limit\\u{a}PRIORITY=0";
    let terminated = "The program is terminated.";
    for (query, expected) in [
        (&["SYSLOG_IDENTIFIER=licensed"][..], &[refused, terminated][..]),
        (&["VE_REASON=bad-request"], &[refused]),
        (&["VE_REASON=instance-limit"], &[]),
        (&["VE_MODULE=Server", "VE_ADDRESS=127.0.0.1:40704"], &[refused]),
        (&["VE_EVENT=terminated", "PRIORITY=6"], &[terminated]),
    ] {
        let found = journald.journalctl(&[&["--output", "cat"], query].concat());
        assert_eq!(found, expected, "{query:?}");
    }
    let file = lines(&journald.folder.path().join("license.log"));
    assert_eq!(file, [format!("WARN Server {refused}"), TERMINATED.to_owned()]);
}
