//! The build script, run by itself.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, UNIX_EPOCH},
};

/// The build script as a program, and a folder with sources in it.
struct Build {
    folder: tempfile::TempDir,
}

impl Build {
    /// A crate with one source file of this age.
    fn new(source_epoch_seconds: u64) -> Self {
        let build = Self { folder: tempfile::tempdir().expect("a folder") };
        let source = build.sources().join("src/deep/lib.rs");
        fs::create_dir_all(source.parent().expect("a folder")).expect("folders");
        fs::write(build.sources().join("Cargo.toml"), "").expect("a file");
        let modified = UNIX_EPOCH + Duration::from_secs(source_epoch_seconds);
        let file = File::create(source).expect("a source");
        file.set_modified(modified).expect("its age");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut compile = Command::new(rustc);
        compile.args(["--edition", "2024", script, "-o"]).arg(build.program());
        assert!(compile.status().expect("rustc").success());
        build
    }

    fn sources(&self) -> PathBuf {
        self.folder.path().join("sources")
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    fn run(&self, source_date_epoch: Option<&str>) -> Output {
        let mut program = Command::new(self.program());
        outside_any_repository(&mut program, &self.sources());
        match source_date_epoch {
            Some(text) => program.env("SOURCE_DATE_EPOCH", text),
            None => program.env_remove("SOURCE_DATE_EPOCH"),
        };
        program.output().expect("the build script")
    }

    /// What the script tells cargo.
    fn told(&self, source_date_epoch: Option<&str>) -> String {
        let output = self.run(source_date_epoch);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let told = text.lines().find_map(|line| line.strip_prefix("cargo:rustc-env="));
        told.expect("a variable").to_owned()
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        outside_any_repository(&mut git, &self.sources());
        git.args(["-c", "user.name=n", "-c", "user.email=e@example.com"]).args(arguments);
        git.env("GIT_COMMITTER_DATE", "1500000000 +0200");
        let output = git.output().expect("git");
        assert!(output.status.success(), "{output:?}");
    }
}

/// Whatever repository the tests run in or their folder lies in.
fn outside_any_repository(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().expect("a folder above"));
}

#[test]
fn the_build_time_is_the_given_one_else_the_commits_else_the_newest_sources() {
    let build = Build::new(1_400_000_000);
    let variable = |epoch_seconds: &str| format!("VE_BUILD_EPOCH_SECONDS={epoch_seconds}");
    assert_eq!(build.told(None), variable("1400000000"));
    assert_eq!(build.told(Some("1579172055")), variable("1579172055"));

    build.git(&["init", "--quiet"]);
    build.git(&["add", "src"]);
    build.git(&["commit", "--quiet", "--message", "x"]);
    assert_eq!(build.told(None), variable("1400000000"), "another project's repository");
    build.git(&["add", "."]);
    build.git(&["commit", "--quiet", "--message", "y"]);
    assert_eq!(build.told(None), variable("1500000000"));
    assert_eq!(build.told(Some("1579172055")), variable("1579172055"));
    assert_eq!(build.told(Some(&u64::MAX.to_string())), variable("253402300799"));
}

#[test]
fn a_given_time_that_can_not_be_read_is_no_time() {
    let build = Build::new(1_400_000_000);
    for wrong in ["", "soon", "-1", "1.5", "99999999999999999999"] {
        let output = build.run(Some(wrong));
        assert!(!output.status.success(), "{wrong:?}");
        let message = String::from_utf8(output.stderr).expect("text");
        assert!(message.contains("SOURCE_DATE_EPOCH is"), "{message}");
    }
}
