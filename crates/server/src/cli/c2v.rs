//! `c2v`: writes the fingerprint file that a vendor makes a license from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use clap::Parser;
use ve_core::{
    fingerprint::{Machine, Platform, Reading},
    text::Name,
    time::{SECOND_MS, spoken_hours},
};
use ve_documents::{
    c2v::{self, C2v, InstalledLicense},
    files, key_files,
    keys::{SigningKey, VerifyingKey},
};
use ve_host::clock;

use super::{
    exit::{self, failure},
    inventory::{self, Inventory},
    program::{self, Arguments, HomeOption, print, warn},
    table,
};
use crate::{
    config::Config,
    control::protocol::{Failure, LicenseReport},
    home::{Home, Owner},
    installed, machine,
};

/// The mode of a fingerprint file: it goes to the vendor and holds no secret.
const C2V_MODE: u32 = 0o644;

/// Writes this server's fingerprint file (C2V), which the vendor makes a license from.
///
/// It is harmless at any time. It tells the platform, digests of the machine's components, the
/// server's public key, and the installed licenses with the hours that they have used.
#[derive(Debug, Parser)]
#[command(name = "c2v", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    home: HomeOption,
    /// The fingerprint file to write; an existing one is replaced
    #[arg(long, value_name = "FILE")]
    filename: PathBuf,
    /// The kind of machine, where it is not recognized, such as kvm or physical
    #[arg(long, value_name = "NAME")]
    platform: Option<Platform>,
    /// Make a new identity.key when it is missing beside installed licenses (they end with the old one)
    #[arg(long)]
    new_identity: bool,
    /// Print the document instead: for root's process, which writes the file
    #[arg(long, hide = true)]
    print_document: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 64 wrong usage, 70 internal error, 73 can't write, 77 no \
                          permission, 78 configuration error.";

/// Runs `c2v` with its arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    program::run(arguments, write_c2v)
}

#[allow(clippy::needless_pass_by_value, reason = "the command is the caller's last word")]
fn write_c2v(cli: Cli, arguments: &Arguments) -> Result<(), Failure> {
    let home = cli.home.home();
    if cli.print_document {
        return print(&document(&home, &cli)?);
    }
    if program::is_within(&cli.filename, home.path()) {
        // Root follows nobody's links: what is in the home is written by its owner.
        program::act_as_owner(&home, arguments)?;
    }
    // The home's owner makes the document; the file is written by whoever started this.
    let document = match home.owner_to_act_as() {
        Some(owner) => document_by(owner, arguments)?,
        None => document(&home, &cli)?,
    };
    let c2v = c2v::verify(&document).map_err(|error| failure(exit::INTERNAL, error))?;
    write_file(&cli.filename, &document)?;
    print(&summary(&cli.filename, &c2v))
}

fn write_file(path: &Path, document: &str) -> Result<(), Failure> {
    let text = format!("{document}\n");
    files::write_replacing(path, text.as_bytes(), C2V_MODE).map_err(|error| {
        failure(exit::CANT_WRITE, format!("{} can't be written: {error}", path.display()))
    })
}

/// The document as the home's owner makes it. That process explains its own failures.
fn document_by(owner: Owner, arguments: &Arguments) -> Result<String, Failure> {
    let mut command = owner.this_program()?;
    command.args(arguments).arg("--print-document").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| owner.failed(error))?;
    match output.status.code() {
        Some(0) => String::from_utf8(output.stdout).map_err(|error| failure(exit::INTERNAL, error)),
        code => Err(program::ended(code)),
    }
}

/// Reads machine and home, and signs what they say.
fn document(home: &Home, cli: &Cli) -> Result<String, Failure> {
    let config = Config::load(&home.config_file())?;
    agree(cli.platform, &config, home)?;
    let host = inventory::read_machine(home, cli.platform)?;
    advise(&host.machine);
    let Some(detected) = host.detected else {
        let message = "what kind of machine this is can't be seen; name it with --platform kvm or \
                       --platform physical";
        return Err(failure(exit::USAGE, message));
    };
    program::refuse_half_restored(home)?;
    let key = identity(home, cli.new_identity)?;
    let inventory = inventory::take(home)?;
    let unreadable = |(component, reading): (_, &Reading)| {
        matches!(reading, Reading::Unreadable(_)).then_some(component)
    };
    let c2v = C2v {
        platform: detected.platform,
        components: host.machine.fingerprint(),
        unreadable: host
            .machine
            .readings
            .iter()
            .map(|(c, r)| (*c, r))
            .filter_map(unreadable)
            .collect(),
        server_key: key.public(),
        licenses: installed_licenses(&inventory),
        trusted_vendor_keys: inventory
            .loaded
            .vendor_keys
            .iter()
            .map(VerifyingKey::kid)
            .cloned()
            .collect(),
        software_version: software_version(),
        created: clock::now().wall,
    };
    Ok(c2v::sign(&c2v, &key))
}

fn software_version() -> Name {
    env!("CARGO_PKG_VERSION").parse().expect("a version is a name")
}

/// A platform that is named here must be the one that the server compares with.
fn agree(named: Option<Platform>, config: &Config, home: &Home) -> Result<(), Failure> {
    let path = home.config_file();
    let path = path.display();
    match (named, config.host.platform) {
        (Some(named), Some(configured)) if named != configured => Err(failure(
            exit::CONFIG,
            format!(
                "{path} says that the platform is {configured}, and --platform says {named}; the \
                 server compares its licenses with the former: correct it there, or leave \
                 --platform out"
            ),
        )),
        (Some(named), None) => {
            warn(&format!(
                "The server must know the platform as well. Put this into {path}:\n\n\
                 [host]\nplatform = \"{named}\"\n"
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Tells what is missing in the machine's identity.
fn advise(machine: &Machine) {
    for sentence in ve_host::advice(machine) {
        warn(&sentence);
    }
    if let Some(container) = ve_host::container(&machine::sources()) {
        warn(&format!(
            "This is a container ({}): a new one may have another identity, which a license then \
             doesn't fit.",
            container.runtime
        ));
    }
}

/// The server's own key; made when there is none, but never silently beside installed licenses.
fn identity(home: &Home, new_identity: bool) -> Result<SigningKey, Failure> {
    let path = home.identity_key();
    if let Some(key) = inventory::identity(home)? {
        if new_identity {
            let message = format!(
                "{} exists and is never replaced; move it away first if this server is to become \
                 another one: all its licenses end with the old key",
                path.display()
            );
            return Err(failure(exit::USAGE, message));
        }
        return Ok(key);
    }
    let unreadable = |why| failure(exit::CANT_WRITE, why);
    if !new_identity && installed::has_license_files(home).map_err(unreadable)? {
        let message = format!(
            "{} is missing, and the installed licenses are bound to it; restore it from a backup, \
             or make a new one with --new-identity and ask the vendor for new licenses",
            path.display()
        );
        return Err(failure(exit::CONFIG, message));
    }
    home.create()?;
    Ok(key_files::load_or_create(&path)?)
}

/// The licenses that the vendor should know of: those whose signature holds.
fn installed_licenses(inventory: &Inventory) -> Vec<InstalledLicense> {
    let installed = |report: &LicenseReport| {
        let id = report.id.parse().ok().filter(|_| report.version > 0)?;
        Some(InstalledLicense {
            id,
            version: report.version,
            used_seconds: report.used_seconds.unwrap_or(0),
            remaining_seconds: report.remaining_seconds,
        })
    };
    inventory.reports.iter().filter_map(installed).collect()
}

fn summary(path: &Path, c2v: &C2v) -> String {
    let known: Vec<&str> = c2v.components.0.keys().map(|component| component.as_str()).collect();
    let mut lines = vec![
        format!("Wrote {}. Send it to your vendor.", path.display()),
        String::new(),
        format!("Platform: {}", c2v.platform),
        format!("Components: {}", if known.is_empty() { "none".into() } else { known.join(", ") }),
        format!("Server key: {}", c2v.server_key),
    ];
    if c2v.trusted_vendor_keys.is_empty() {
        lines.push("Trusted vendor keys: none (put vendor.pub into the home)".into());
    }
    lines.extend(c2v.licenses.iter().map(|license| {
        let hours = |seconds: u64| spoken_hours(seconds.saturating_mul(SECOND_MS));
        let used = license.remaining_seconds.map(|left| {
            format!(", {} hour(s) used, {} left", hours(license.used_seconds), hours(left))
        });
        format!(
            "Installed license: {} version {}{}",
            license.id,
            license.version,
            used.unwrap_or_default()
        )
    }));
    table::text(&lines)
}
