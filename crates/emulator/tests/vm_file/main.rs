//! The VM's file: what it may say, and how it complains. Everything goes through the public parser.

mod complaints;
mod page;
mod servers;

use std::{collections::HashMap, fs, path::Path};

use ve_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS};
use ve_emulator::vm_file::{
    Accelerator, Architecture, EngineKind, Hardware, LogStyle, MAX_FILE_BYTES, VmFile, VmFileError,
};

/// The sample of the interface description, with a line for each of its parts.
const SAMPLE: &str = r#"
name = "ss5"
architecture = "sun-4m"
virtual_hardware = "Charon-SSP/4M"
version = "4.1.32"
cpus = 1
memory_mb = 64

[license]
primary_server = "127.0.0.1:8083"
backup_server = "127.0.0.2:8083"
passphrase = "1111-2222-3333-4444"
start_wait = "0s"
vendor_key = "vendor.pub"
shutdown_lead = "10m"
[license.hooks]
lost = "logger license lost"

[log]
style = "ssp"
dir = "log"
keep = 5

[engine]
kind = "qemu"
args = ["-nographic"]
"#;

/// A file with as little as possible in it.
const SMALLEST: &str = r#"
name = "vm"
architecture = "other"
virtual_hardware = "Model"
version = "1"
cpus = 2
memory_mb = 128
[license]
primary_server = "localhost"
[engine]
kind = "command"
command = ["sleep", "1"]
"#;

/// Parses `text` as `/vms/VM.toml`, with one variable in the environment.
fn parse(text: &str) -> Result<VmFile, VmFileError> {
    let environment = HashMap::from([("SECRET", "5555-6666-7777-8888"), ("EMPTY", "")]);
    VmFile::parse(text, Path::new("/vms/VM.toml"), &|name| {
        environment.get(name).map(|&value| value.to_owned())
    })
}

/// [`SAMPLE`] with `old` replaced by `new`.
fn changed(old: &str, new: &str) -> String {
    assert_eq!(SAMPLE.matches(old).count(), 1, "{old}");
    SAMPLE.replace(old, new)
}

/// The complaint about `text`, without the file's name.
fn complaint(text: &str) -> String {
    let message = parse(text).expect_err("must be refused").to_string();
    message.strip_prefix("VM file /vms/VM.toml, ").expect("names the file").to_owned()
}

#[test]
fn the_sample_says_what_it_says() {
    let vm = parse(SAMPLE).expect("the sample");
    assert_eq!((vm.name.as_str(), vm.display_name.as_str()), ("ss5", "Charon"));
    assert_eq!(vm.architecture, Architecture::Sun4m);
    assert_eq!(vm.virtual_hardware.as_str(), "Charon-SSP/4M");
    assert_eq!((vm.version.major(), vm.version.minor()), (4, 1));
    assert_eq!(vm.hardware, Hardware { cpus: 1, memory_mb: 64 });
    assert_eq!(vm.folder, Path::new("/vms"));
    assert_eq!(vm.license.vendor_key, Path::new("/vms/vendor.pub"));
    assert_eq!((vm.license.start_wait_ms, vm.license.shutdown_lead_ms), (0, 10 * MINUTE_MS));
    assert_eq!(vm.license.hooks.lost.as_deref(), Some("logger license lost"));
    assert_eq!(vm.license.hooks.ending, None);
    assert_eq!((vm.log.style, vm.log.keep, vm.log.utc), (LogStyle::Ssp, 5, false));
    assert_eq!(vm.log.dir.as_deref(), Some(Path::new("/vms/log")));
    let EngineKind::Qemu(qemu) = vm.engine.kind else { panic!("the sample runs QEMU") };
    assert_eq!((qemu.machine.name.as_str(), qemu.machine.program), ("SS-5", "qemu-system-sparc"));
    assert_eq!((qemu.accelerator, qemu.args), (Accelerator::Auto, vec!["-nographic".to_owned()]));
    // Its guest would not see a power button.
    assert_eq!((vm.engine.shutdown, vm.engine.shutdown_timeout_ms), (None, 10 * SECOND_MS));
}

#[test]
fn what_is_left_out_has_a_default() {
    let vm = parse(SMALLEST).expect("the smallest file");
    assert_eq!(vm.license.primary.address.to_string(), "localhost:8083");
    assert_eq!((vm.license.primary.passphrase, vm.license.backup), (None, None));
    assert_eq!(vm.license.vendor_key, Path::new("/vms/vendor.pub"));
    assert_eq!((vm.log.style, vm.log.dir, vm.log.keep), (LogStyle::Ssp, None, 5));
    let EngineKind::Command(command) = vm.engine.kind else { panic!("the file runs a command") };
    assert_eq!(
        (command.program.as_path(), command.args),
        (Path::new("sleep"), vec!["1".to_owned()])
    );
}

#[test]
fn programs_with_a_folder_start_from_the_file() {
    let text = SMALLEST.replace(r#"["sleep", "1"]"#, r#"["./run"]"#)
        + "shutdown = [\"/bin/true\", \"x\"]\n";
    let vm = parse(&text).expect("a file");
    let EngineKind::Command(command) = vm.engine.kind else { panic!("the file runs a command") };
    assert_eq!(command.program, Path::new("/vms/./run"));
    let shutdown = vm.engine.shutdown.expect("a shutdown command");
    assert_eq!(
        (shutdown.program.as_path(), shutdown.args),
        (Path::new("/bin/true"), vec!["x".to_owned()])
    );
}

#[test]
fn arguments_can_not_get_around_the_license() {
    for argument in [
        "-smp",
        "--smp",
        "-m",
        "--m",
        "-M",
        "-machine",
        "-accel",
        "-enable-kvm",
        "-qmp",
        "--qmp-pretty",
        "-mon",
        "-readconfig",
        "-daemonize",
        "-runas",
        "-run-with",
    ] {
        let text = changed("\"-nographic\"", &format!("\"-nographic\", \"{argument}\", \"4\""));
        let message = complaint(&text);
        let option = argument.trim_start_matches('-');
        let expected = format!("line 26: `engine.args`: can't contain -{option}: ");
        assert!(message.starts_with(&expected), "{message}");
    }
    for argument in ["-monitor", "-mem-path", "m", "-s", "disk.img"] {
        assert!(
            parse(&changed("\"-nographic\"", &format!("\"{argument}\""))).is_ok(),
            "{argument}"
        );
    }
}

#[test]
fn secrets_are_in_no_message() {
    for line in [
        "passphrase = \"1111-hidden\" x",
        "passphrase = \"1111-hidden\n",
        "passphrase = 1111-hidden",
        "passphrase = [\"1111-hidden\"]",
        "passphrase = \"1111-hidden\\u0007\"",
        "passphrase = \"1111-hidden\"\npassphrase = \"1111-hidden\"",
        "servers = \"VE://a/1111-hidden\\u0007\"",
        "servers = \"1111-hidden\"",
    ] {
        let text = changed("passphrase = \"1111-2222-3333-4444\"", line);
        let error = parse(&text).expect_err("must be refused");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
    }
    let vm = parse(SAMPLE).expect("the sample");
    assert!(!format!("{vm:?}").contains("2222"));
}

/// The complaint about a file with these bytes.
fn file_complaint(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("VM.toml");
    fs::write(&path, bytes).expect("written");
    let message = VmFile::read(&path).expect_err("must be refused").to_string();
    message.replace(&*folder.path().to_string_lossy(), "")
}

#[test]
fn files_that_are_no_vm_file_are_refused() {
    let giant = vec![b'#'; usize::try_from(MAX_FILE_BYTES).expect("fits") + 1];
    assert_eq!(
        file_complaint(&giant),
        "the VM file /VM.toml is larger than 1 MiB: this is no VM file"
    );
    assert_eq!(
        file_complaint(b"a = 1\n\xff"),
        "VM file /VM.toml, line 2: the text is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(file_complaint(b""), "VM file /VM.toml, line 1: `name`: this key is missing");
    let deep = "a = ".to_owned() + &"[".repeat(100_000);
    assert!(file_complaint(deep.as_bytes()).starts_with("VM file /VM.toml, line 1: "));
    let missing =
        VmFile::read(Path::new("/nowhere/VM\u{1b}.toml")).expect_err("must be refused").to_string();
    assert_eq!(
        missing,
        "can't read the VM file /nowhere/VM\\u{1b}.toml: No such file or directory (os error 2); check the path and its permissions"
    );
}

#[test]
fn durations_of_seconds_work() {
    let text = changed("\"10m\"", "\"5s\"").replace("\"0s\"", "\"1h\"");
    let license = parse(&text).expect("a file").license;
    assert_eq!((license.shutdown_lead_ms, license.start_wait_ms), (5 * SECOND_MS, HOUR_MS));
}
