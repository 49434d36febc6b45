//! `make install` puts everything where it belongs, and `make uninstall` takes all of it away.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use ve_tidy::tree::Tree;

/// A program that prints its man page and completions.
const DOCUMENTED: &str = "#!/bin/sh\ncase $1 in --generate-*) echo \"$*\" ;; *) exit 64 ;; esac\n";

/// One that knows neither.
const PLAIN: &str = "#!/bin/sh\nexit 64\n";

/// A place to install to, and programs to install: small ones, for the real ones take minutes to
/// build and the Makefile can't tell.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new(programs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let release = folder.path().join("target/release");
        fs::create_dir_all(&release).expect("make the folder");
        for (name, text) in programs {
            fs::write(release.join(name), text).expect("write a program");
            let executable = PermissionsExt::from_mode(0o755);
            fs::set_permissions(release.join(name), executable).expect("make it one");
        }
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn make(&self, target: &str) -> Output {
        let mut make = Command::new("make");
        make.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .args(["--no-print-directory", target, "PREFIX=/usr"])
            .arg(format!("DESTDIR={}", self.root().display()))
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"));
        // These tests may themselves run under make.
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            make.env_remove(variable);
        }
        make.output().expect("make runs; `make system-packages` installs it")
    }

    fn installed(&self) -> BTreeSet<String> {
        let tree = Tree::read(&self.root()).expect("read what was installed");
        tree.files.into_iter().map(|file| file.path).collect()
    }
}

fn succeed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
}

fn server() -> Site {
    Site::new(&[
        ("licensed", DOCUMENTED),
        ("licensectl", PLAIN),
        ("license_viewer", PLAIN),
        ("c2v", PLAIN),
        ("v2c", PLAIN),
    ])
}

#[test]
fn install_puts_everything_in_its_place_and_uninstall_takes_it_away() {
    let site = server();
    succeed(&site.make("install"));
    let installed = site.installed();
    for path in [
        "usr/bin/licensed",
        "usr/bin/v2c",
        "usr/lib/systemd/system/licensed.service",
        "usr/lib/sysusers.d/licensed.conf",
        "usr/lib/tmpfiles.d/licensed.conf",
        "usr/share/man/man1/licensed.1",
        "usr/share/bash-completion/completions/licensed",
        "usr/share/zsh/site-functions/_licensed",
        "usr/share/fish/vendor_completions.d/licensed.fish",
        "usr/share/doc/ve-license-server/config.toml",
        "usr/share/doc/ve-license-server/SECURITY.md",
    ] {
        assert!(installed.contains(path), "{path} is missing among {installed:#?}");
    }
    let unwanted = ["license_issuer", "vendor.key", "v2c.1"];
    let found = installed.iter().find(|path| unwanted.iter().any(|name| path.ends_with(name)));
    assert_eq!(found, None);

    succeed(&site.make("uninstall"));
    assert_eq!(site.installed(), BTreeSet::new());
}

#[test]
fn the_installed_unit_names_the_installed_program() {
    let site = server();
    succeed(&site.make("install"));
    let unit = site.root().join("usr/lib/systemd/system/licensed.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    assert!(unit.contains("\nExecStart=/usr/bin/licensed --home "), "{unit}");
    assert!(!unit.contains("@BINDIR@/"), "{unit}");
}

#[test]
fn emulator_and_issuer_are_installed_by_themselves() {
    for (target, program) in
        [("install-emulator", "ve-emulator"), ("install-issuer", "license_issuer")]
    {
        let site = Site::new(&[(program, PLAIN)]);
        succeed(&site.make(target));
        assert_eq!(site.installed(), BTreeSet::from([format!("usr/bin/{program}")]));
        succeed(&site.make(&format!("un{target}")));
        assert_eq!(site.installed(), BTreeSet::new());
    }
}

#[test]
fn installing_what_is_not_built_says_what_to_do() {
    let site = Site::new(&[("licensed", PLAIN)]);
    let output = site.make("install");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("licensectl is not built yet: run 'make release' first."), "{said}");
    assert!(!site.root().exists(), "nothing is installed by halves");
}
