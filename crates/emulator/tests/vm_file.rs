//! The VM's file: what it may say, and how it complains. Everything goes through the public parser.

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
    assert_eq!((vm.engine.shutdown, vm.engine.shutdown_timeout_ms), (None, 2 * MINUTE_MS));
}

#[test]
fn what_is_left_out_has_a_default() {
    let vm = parse(SMALLEST).expect("the smallest file");
    assert_eq!(vm.license.primary.address.to_string(), "localhost:8083");
    assert_eq!((vm.license.primary.passphrase, vm.license.backup), (None, None));
    assert_eq!(vm.license.vendor_key, Path::new("/vms/vendor.pub"));
    assert_eq!((vm.log.style, vm.log.dir, vm.log.keep), (LogStyle::Ssp, None, 5));
    let EngineKind::Command(command) = vm.engine.kind else { panic!("the file runs a command") };
    assert_eq!((command.program.as_path(), command.args), (Path::new("sleep"), vec!["1".to_owned()]));
}

#[test]
fn programs_with_a_folder_start_from_the_file() {
    let text = SMALLEST.replace(r#"["sleep", "1"]"#, r#"["./run"]"#) + "shutdown = [\"/bin/true\", \"x\"]\n";
    let vm = parse(&text).expect("a file");
    let EngineKind::Command(command) = vm.engine.kind else { panic!("the file runs a command") };
    assert_eq!(command.program, Path::new("/vms/./run"));
    let shutdown = vm.engine.shutdown.expect("a shutdown command");
    assert_eq!((shutdown.program.as_path(), shutdown.args), (Path::new("/bin/true"), vec!["x".to_owned()]));
}

/// Primary and backup of a `[license]` with these lines, secrets revealed.
fn servers(lines: &str) -> Result<String, String> {
    let text = SMALLEST.replace("primary_server = \"localhost\"", lines);
    let vm = parse(&text).map_err(|_| complaint(&text))?;
    let shown = |server: &ve_emulator::vm_file::Server| {
        let secret = server.passphrase.as_ref().map_or("-", |secret| secret.reveal());
        format!("{} {secret}", server.address)
    };
    let backup = vm.license.backup.as_ref().map_or("-".to_owned(), shown);
    Ok(format!("{} | {backup} {:?}", shown(&vm.license.primary), vm.secret_variables))
}

#[test]
fn servers_and_passphrases_are_written_in_several_ways() {
    for (lines, expected) in [
        (r#"servers = "VE://10.1.1.1:8083/1111-2222-3333-4444,VE://10.1.1.2""#, "10.1.1.1:8083 1111-2222-3333-4444 | 10.1.1.2:8083 - []"),
        (r#"servers = "ve://[::1]:90/a/b/, VE://other/""#, "[::1]:90 a/b | other:8083 - []"),
        (r#"servers = "VE://one""#, "one:8083 - | - []"),
        ("primary_server = \"a\"\npassphrase = \"x\"\nbackup_server = \"b\"", "a:8083 x | b:8083 x []"),
        ("primary_server = \"a\"\npassphrase = \"x\"\nbackup_server = \"b\"\nbackup_passphrase = \"y\"", "a:8083 x | b:8083 y []"),
        ("primary_server = \"a\"\npassphrase_env = \"SECRET\"", "a:8083 5555-6666-7777-8888 | - [\"SECRET\"]"),
        ("primary_server = \"a\"\nbackup_server = \"a:1\"\nbackup_passphrase_env = \"SECRET\"", "a:8083 - | a:1 5555-6666-7777-8888 [\"SECRET\"]"),
    ] {
        assert_eq!(servers(lines).as_deref(), Ok(expected), "{lines}");
    }
}

#[test]
fn servers_that_contradict_each_other_are_refused() {
    for (lines, expected) in [
        ("servers = \"VE://a\"\nprimary_server = \"a\"", "line 9: `license.servers`: says all of it in one line; remove `license.primary_server` or write both servers in keys of their own"),
        ("servers = \"VE://a\"\npassphrase = \"a\"", "line 9: `license.servers`: says all of it in one line; remove `license.passphrase` or write both servers in keys of their own"),
        ("servers = \"VE://a,VE://b,VE://c\"", "line 9: `license.servers`: names more than two servers"),
        ("servers = \"VE://a,VE://a:8083/x\"", "line 9: `license.servers`: the second server is the same server as the primary one; a backup must be another server"),
        ("servers = \"http://a\"", "line 9: `license.servers`: servers are written as VE://host[:port]/passphrase, at most two, with a comma between them"),
        ("servers = \"\"", "line 9: `license.servers`: servers are written as VE://host[:port]/passphrase, at most two, with a comma between them"),
        ("servers = \"VE://::1/x\"", "line 9: `license.servers`: an IPv6 address is written in brackets, such as [::1]:8083"),
        ("", "line 8: `license.primary_server`: this key is missing"),
        ("primary_server = \"a\"\nbackup_server = \"a:8083\"", "line 10: `license.backup_server`: is the same server as the primary one; a backup must be another server"),
        ("primary_server = \"a\"\nbackup_passphrase = \"x\"", "line 10: `license.backup_passphrase`: is given, but `license.backup_server` is not"),
        ("primary_server = \"a\"\npassphrase = \"x\"\npassphrase_env = \"SECRET\"", "line 11: `license.passphrase_env`: there is `license.passphrase` as well; keep one of them"),
        ("primary_server = \"a\"\npassphrase_env = \"NOT_SET\"", "line 10: `license.passphrase_env`: this environment variable is not set, or not UTF-8"),
        ("primary_server = \"a\"\npassphrase_env = \"EMPTY\"", "line 10: `license.passphrase_env`: the passphrase in this environment variable is empty"),
        ("primary_server = \"a\"\npassphrase_file = \"none\"", "line 10: `license.passphrase_file`: can't read the passphrase from this file: No such file or directory (os error 2)"),
        ("primary_server = \"a:0\"", "line 9: `license.primary_server`: a port is a number from 1 to 65535"),
    ] {
        assert_eq!(servers(lines), Err(expected.to_owned()), "{lines}");
    }
}

#[test]
fn passphrase_files_hold_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = SMALLEST.replace("\"localhost\"", "\"a\"\npassphrase_file = \"secret\"");
    for (contents, expected) in [
        ("1111-2222\n", Ok("1111-2222".to_owned())),
        ("1111-2222\r\n", Ok("1111-2222".to_owned())),
        ("1111-2222", Ok("1111-2222".to_owned())),
        ("", Err("the passphrase in this file is empty")),
        ("one\ntwo\n", Err("the passphrase in this file contains a control character")),
        (&"x".repeat(5_000), Err("the passphrase in this file is longer than 128 bytes")),
    ] {
        fs::write(folder.path().join("secret"), contents).expect("written");
        match (VmFile::parse(&file, &folder.path().join("VM.toml"), &|_| None), expected) {
            (Ok(vm), Ok(secret)) => {
                let passphrase = vm.license.primary.passphrase.expect("a passphrase");
                assert_eq!(passphrase.reveal(), secret);
            }
            (Err(error), Err(expected)) => assert!(error.to_string().ends_with(expected), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }
}

#[test]
fn complaints_name_the_key_and_its_line() {
    for (old, new, expected) in [
        ("name = \"ss5\"", "name = \"../ss5\"", "line 2: `name`: must not contain '/', for logs are named after it"),
        ("name = \"ss5\"", "name = \"a\\nb\"", "line 2: `name`: contains a control character"),
        ("name = \"ss5\"", "", "line 1: `name`: this key is missing"),
        ("name = \"ss5\"", "name = 5", "line 2: `name`: must be a string in quotes, not a value of type integer"),
        ("\"sun-4m\"", "\"vax\"", "line 3: `architecture`: must be one of sun-4m, sun-4u, sun-4v, hppa, alpha, x86_64, other"),
        ("\"sun-4m\"", "\"sun-4v\"", "line 3: `architecture`: QEMU has no machine with firmware for sun-4v; use engine.kind = \"command\""),
        ("\"4.1.32\"", "\"v4\"", "line 5: `version`: a version starts with two numbers, such as 4.1.32"),
        ("cpus = 1", "cpus = 0", "line 6: `cpus`: must be between 1 and 65536"),
        ("cpus = 1", "cpus = -1", "line 6: `cpus`: must be between 1 and 65536"),
        ("cpus = 1", "cpus = 1.5", "line 6: `cpus`: must be a whole number, not a value of type float"),
        ("cpus = 1", "cpus = 5", "line 3: `architecture`: the machine SS-20 has at most 4 CPU(s); lower cpus"),
        ("memory_mb = 64", "memory_mb = 99999999999999999999", "line 7: `memory_mb`: must be between 1 and 1099511627776"),
        ("memory_mb = 64", "", "line 1: `memory_mb`: this key is missing"),
        ("start_wait = \"0s\"", "start_wait = \"soon\"", "line 13: `license.start_wait`: a duration is a whole number and a unit, such as 90s, 2m, 1h or 1d"),
        ("shutdown_lead = \"10m\"", "shutdown_leed = \"10m\"", "line 15: unknown key `license.shutdown_leed`; the keys known here are servers, primary_server, passphrase, passphrase_file, passphrase_env, backup_server, backup_passphrase, backup_passphrase_file, backup_passphrase_env, start_wait, vendor_key, shutdown_lead, hooks"),
        ("lost = \"logger license lost\"", "gone = \"x\"", "line 17: unknown key `license.hooks.gone`; the keys known here are lost, restored, failover, failback, expiring, ending"),
        ("lost = \"logger license lost\"", "lost = \" \"", "line 17: `license.hooks.lost`: must be a command"),
        ("vendor_key = \"vendor.pub\"", "vendor_key = \"\"", "line 14: `license.vendor_key`: must not be empty"),
        ("vendor_key = \"vendor.pub\"", "vendor_key = \"a\\u0000b\"", "line 14: `license.vendor_key`: contains a NUL character"),
        ("style = \"ssp\"", "style = \"xml\"", "line 20: `log.style`: must be one of ssp, par, json"),
        ("keep = 5", "keep = \"five\"", "line 22: `log.keep`: must be a whole number, not a value of type string"),
        ("keep = 5", "utc = 1", "line 22: `log.utc`: must be true or false, not a value of type integer"),
        ("kind = \"qemu\"", "kind = \"simh\"", "line 25: `engine.kind`: must be \"qemu\" or \"command\""),
        ("kind = \"qemu\"", "kind = \"qemu\"\naccel = \"hvf\"", "line 26: `engine.accel`: must be one of auto, tcg, kvm"),
        ("kind = \"qemu\"", "kind = \"qemu\"\nmachine = \"SS-6\"", "line 26: `engine.machine`: QEMU's machines for sun-4m are SS-5, SS-20"),
        ("kind = \"qemu\"", "kind = \"qemu\"\ncommand = [\"x\"]", "line 26: unknown key `engine.command`; the keys known here are kind, shutdown, shutdown_timeout, machine, program, accel, args"),
        ("kind = \"qemu\"", "kind = \"command\"", "line 24: `engine.command`: this key is missing"),
        ("kind = \"qemu\"", "kind = \"qemu\"\nshutdown = []", "line 26: `engine.shutdown`: must begin with a program"),
        ("args = [\"-nographic\"]", "args = \"-nographic\"", "line 26: `engine.args`: must be a list of strings, not a value of type string"),
        ("args = [\"-nographic\"]", "args = [\n\"-nographic\",\n5]", "line 28: `engine.args`: must be a list of strings, not a value of type integer"),
        ("[engine]", "[engines]", "line 1: `engine`: this key is missing"),
        ("[log]", "log = 5\n[logs]", "line 19: unknown key `license.hooks.log`; the keys known here are lost, restored, failover, failback, expiring, ending"),
        ("keep = 5", "[[license]]", "line 22: duplicate key"),
        ("keep = 5", "keep = ", "line 22: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(complaint(&changed(old, new)), expected, "{new}");
    }
}

#[test]
fn arguments_can_not_get_around_the_license() {
    for argument in [
        "-smp", "--smp", "-m", "--m", "-M", "-machine", "-accel", "-enable-kvm", "-qmp", "--qmp-pretty",
        "-mon", "-readconfig", "-daemonize", "-runas", "-run-with",
    ] {
        let text = changed("\"-nographic\"", &format!("\"-nographic\", \"{argument}\", \"4\""));
        let message = complaint(&text);
        let option = argument.trim_start_matches('-');
        let expected = format!("line 26: `engine.args`: can't contain -{option}: ");
        assert!(message.starts_with(&expected), "{message}");
    }
    for argument in ["-monitor", "-mem-path", "m", "-s", "disk.img"] {
        assert!(parse(&changed("\"-nographic\"", &format!("\"{argument}\""))).is_ok(), "{argument}");
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
    assert_eq!(file_complaint(&giant), "the VM file /VM.toml is larger than 1 MiB: this is no VM file");
    assert_eq!(file_complaint(b"a = 1\n\xff"), "VM file /VM.toml, line 2: the text is not UTF-8; save the file as UTF-8");
    assert_eq!(file_complaint(b""), "VM file /VM.toml, line 1: `name`: this key is missing");
    let deep = "a = ".to_owned() + &"[".repeat(100_000);
    assert!(file_complaint(deep.as_bytes()).starts_with("VM file /VM.toml, line 1: "));
    let missing = VmFile::read(Path::new("/nowhere/VM\u{1b}.toml")).expect_err("must be refused").to_string();
    assert_eq!(missing, "can't read the VM file /nowhere/VM\\u{1b}.toml: No such file or directory (os error 2); check the path and its permissions");
}

#[test]
fn durations_of_seconds_work() {
    let text = changed("\"10m\"", "\"5s\"").replace("\"0s\"", "\"1h\"");
    let license = parse(&text).expect("a file").license;
    assert_eq!((license.shutdown_lead_ms, license.start_wait_ms), (5 * SECOND_MS, HOUR_MS));
}
