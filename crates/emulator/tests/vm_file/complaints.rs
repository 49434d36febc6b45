//! What is said about a sample in which one thing is wrong.

use crate::{changed, complaint};

/// What is replaced, by what, and what is said then.
const COMPLAINTS: &[(&str, &str, &str)] = &[
    (
        "name = \"ss5\"",
        "name = \"../ss5\"",
        "line 2: `name`: must not contain '/', for logs are named after it",
    ),
    ("name = \"ss5\"", "name = \"a\\nb\"", "line 2: `name`: contains a control character"),
    ("name = \"ss5\"", "", "line 1: `name`: this key is missing"),
    (
        "name = \"ss5\"",
        "name = 5",
        "line 2: `name`: must be a string in quotes, not a value of type integer",
    ),
    (
        "\"sun-4m\"",
        "\"vax\"",
        "line 3: `architecture`: must be one of sun-4m, sun-4u, sun-4v, hppa, alpha, x86_64, other",
    ),
    (
        "\"sun-4m\"",
        "\"sun-4v\"",
        "line 3: `architecture`: QEMU has no machine with firmware for sun-4v; use engine.kind = \"command\"",
    ),
    (
        "\"4.1.32\"",
        "\"v4\"",
        "line 5: `version`: a version starts with two numbers, such as 4.1.32",
    ),
    ("cpus = 1", "cpus = 0", "line 6: `cpus`: must be between 1 and 65536"),
    ("cpus = 1", "cpus = -1", "line 6: `cpus`: must be between 1 and 65536"),
    ("cpus = 1", "cpus = 1.5", "line 6: `cpus`: must be a whole number, not a value of type float"),
    (
        "cpus = 1",
        "cpus = 5",
        "line 3: `architecture`: the machine SS-20 has at most 4 CPU(s); lower cpus",
    ),
    (
        "memory_mb = 64",
        "memory_mb = 99999999999999999999",
        "line 7: `memory_mb`: must be between 1 and 1099511627776",
    ),
    ("memory_mb = 64", "", "line 1: `memory_mb`: this key is missing"),
    (
        "start_wait = \"0s\"",
        "start_wait = \"soon\"",
        "line 13: `license.start_wait`: a duration is a whole number and a unit, such as 90s, 2m, 1h or 1d",
    ),
    (
        "shutdown_lead = \"10m\"",
        "shutdown_leed = \"10m\"",
        "line 15: unknown key `license.shutdown_leed`; the keys known here are servers, primary_server, passphrase, passphrase_file, passphrase_env, backup_server, backup_passphrase, backup_passphrase_file, backup_passphrase_env, start_wait, vendor_key, shutdown_lead, primary_probe, hooks",
    ),
    (
        "lost = \"logger license lost\"",
        "gone = \"x\"",
        "line 17: unknown key `license.hooks.gone`; the keys known here are lost, restored, failover, failback, expiring, ending",
    ),
    (
        "lost = \"logger license lost\"",
        "lost = \" \"",
        "line 17: `license.hooks.lost`: must be a command",
    ),
    (
        "vendor_key = \"vendor.pub\"",
        "vendor_key = \"\"",
        "line 14: `license.vendor_key`: must not be empty",
    ),
    (
        "vendor_key = \"vendor.pub\"",
        "vendor_key = \"a\\u0000b\"",
        "line 14: `license.vendor_key`: contains a NUL character",
    ),
    ("style = \"ssp\"", "style = \"xml\"", "line 20: `log.style`: must be one of ssp, par, json"),
    (
        "keep = 5",
        "keep = \"five\"",
        "line 22: `log.keep`: must be a whole number, not a value of type string",
    ),
    (
        "keep = 5",
        "utc = 1",
        "line 22: `log.utc`: must be true or false, not a value of type integer",
    ),
    (
        "kind = \"qemu\"",
        "kind = \"simh\"",
        "line 25: `engine.kind`: must be \"qemu\" or \"command\"",
    ),
    (
        "kind = \"qemu\"",
        "kind = \"qemu\"\naccel = \"hvf\"",
        "line 26: `engine.accel`: must be one of auto, tcg, kvm",
    ),
    (
        "kind = \"qemu\"",
        "kind = \"qemu\"\nmachine = \"SS-6\"",
        "line 26: `engine.machine`: QEMU's machines for sun-4m are SS-5, SS-20",
    ),
    (
        "kind = \"qemu\"",
        "kind = \"qemu\"\ncommand = [\"x\"]",
        "line 26: unknown key `engine.command`; the keys known here are kind, shutdown, shutdown_timeout, machine, program, accel, args",
    ),
    ("kind = \"qemu\"", "kind = \"command\"", "line 24: `engine.command`: this key is missing"),
    (
        "kind = \"qemu\"",
        "kind = \"qemu\"\nshutdown = []",
        "line 26: `engine.shutdown`: must begin with a program",
    ),
    (
        "args = [\"-nographic\"]",
        "args = \"-nographic\"",
        "line 26: `engine.args`: must be a list of strings, not a value of type string",
    ),
    (
        "args = [\"-nographic\"]",
        "args = [\n\"-nographic\",\n5]",
        "line 28: `engine.args`: must be a list of strings, not a value of type integer",
    ),
    ("[engine]", "[engines]", "line 1: `engine`: this key is missing"),
    (
        "[log]",
        "log = 5\n[logs]",
        "line 19: unknown key `license.hooks.log`; the keys known here are lost, restored, failover, failback, expiring, ending",
    ),
    ("keep = 5", "[[license]]", "line 22: `license`: this key is there twice"),
    ("keep = 5", "keep = 5\nkeep = 6", "line 23: `keep`: this key is there twice"),
    ("keep = 5", "keep = ", "line 22: string values must be quoted, expected literal string"),
];

#[test]
fn complaints_name_the_key_and_its_line() {
    for (old, new, expected) in COMPLAINTS {
        assert_eq!(complaint(&changed(old, new)), *expected, "{new}");
    }
}
