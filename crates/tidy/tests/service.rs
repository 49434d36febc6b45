//! The service as it is shipped: systemd understands the unit, and the unit may do little.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The highest exposure, in tenths, as `systemd-analyze security` counts it.
const MAX_EXPOSURE_TENTHS: &str = "15";

/// The unit as `make install` would install it, beside a program that it can name.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("licensed");
        fs::write(&program, "#!/bin/sh\n").expect("write the program");
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("make it one");
        let bin = folder.path().to_str().expect("a path in UTF-8");
        let unit = shipped("licensed.service").replace("@BINDIR@", bin);
        fs::write(folder.path().join("licensed.service"), unit).expect("write the unit");
        Self { folder }
    }

    fn unit(&self) -> PathBuf {
        self.folder.path().join("licensed.service")
    }
}

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pkg").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `systemd-analyze` says about the unit.
fn analyze(arguments: &[&str], unit: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg("--no-pager").arg(unit).env("SYSTEMD_COLORS", "0");
    command.output().expect("systemd-analyze runs; `make system-packages` installs it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The values of a key, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn exposure_is_low() {
    let installed = Installed::new();
    let threshold = format!("--threshold={MAX_EXPOSURE_TENTHS}");
    let output = analyze(&["security", "--offline=true", &threshold], &installed.unit());
    let report = text(&output.stdout);
    assert!(report.contains("Overall exposure level"), "{report}{}", text(&output.stderr));
    assert!(output.status.success(), "{report}");
}

/// A unit that is too open fails the same question, so that it is one.
#[test]
fn a_unit_without_its_fences_is_too_exposed() {
    let installed = Installed::new();
    let unit = fs::read_to_string(installed.unit()).expect("the unit");
    let open = unit.replace("ProtectSystem=strict\n", "").replace("NoNewPrivileges=yes\n", "");
    fs::write(installed.unit(), open.replace("CapabilityBoundingSet=\n", "")).expect("write it");
    let threshold = format!("--threshold={MAX_EXPOSURE_TENTHS}");
    let output = analyze(&["security", "--offline=true", &threshold], &installed.unit());
    assert!(!output.status.success(), "{}", text(&output.stdout));
}

/// `systemd-analyze verify` succeeds in spite of unknown keys, so its words are judged, and only
/// those about this unit: it reads the machine's other units as well.
fn complaints(installed: &Installed) -> Vec<String> {
    let output = analyze(&["verify", "--man=no"], &installed.unit());
    let said = text(&output.stdout) + &text(&output.stderr);
    said.lines().filter(|line| line.contains("licensed.service")).map(str::to_owned).collect()
}

#[test]
fn systemd_understands_the_unit() {
    let complaints = complaints(&Installed::new());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn an_unknown_key_would_be_seen() {
    let installed = Installed::new();
    let unit = fs::read_to_string(installed.unit()).expect("the unit");
    let misspelled = unit.replace("ProtectHome=", "ProtectHomes=");
    fs::write(installed.unit(), misspelled).expect("write it");
    assert!(!complaints(&installed).is_empty());
}

#[test]
fn the_unit_keeps_its_promises() {
    let unit = shipped("licensed.service");
    for (key, expected) in [
        ("Alias", &["CharonLicenseServer.service"][..]),
        ("Type", &["notify"]),
        ("ExecStart", &["@BINDIR@/licensed --home /opt/license-server"]),
        ("ExecReload", &["/bin/kill -HUP $MAINPID"]),
        ("ReadWritePaths", &["/opt/license-server"]),
        ("User", &["license-server"]),
        ("TimeoutStopSec", &["10"]),
    ] {
        assert_eq!(values(&unit, key), expected, "{key}");
    }
    let unrestarted = values(&unit, "RestartPreventExitStatus").join(" ");
    assert!(unrestarted.split(' ').any(|status| status == "78"), "{unrestarted}");
    assert_eq!(values(&unit, "WatchdogSec").len(), 1);
}

#[test]
fn the_unit_its_user_and_its_home_agree() {
    let unit = shipped("licensed.service");
    let user = values(&unit, "User").join("");
    let home = values(&unit, "ReadWritePaths").join("");
    let line = |file: &str| {
        let text = shipped(file);
        let line = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default().to_owned();
        line.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let account = line("sysusers.d/licensed.conf");
    assert_eq!(account[..2], ["u", &user]);
    assert!(account.contains(&home), "{account:?}");
    assert_eq!(line("tmpfiles.d/licensed.conf"), ["d", &home, "0750", &user, &user, "-"]);
}
