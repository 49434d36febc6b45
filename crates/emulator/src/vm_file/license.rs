//! `[license]`: the servers, their passphrases, and what is done when a license is in danger.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use ve_core::{
    text::Passphrase,
    time::{MINUTE_MS, SECOND_MS, parse_duration_ms},
};

use super::{
    ServerAddress,
    section::{At, Problem, Section},
};

/// The default of `primary_probe`: a minute.
const DEFAULT_PRIMARY_PROBE_MS: u64 = MINUTE_MS;
/// The default of `shutdown_lead`: ten minutes.
const DEFAULT_SHUTDOWN_LEAD_MS: u64 = 10 * MINUTE_MS;
/// The vendor's public key beside the VM's file, unless another is named.
const DEFAULT_VENDOR_KEY: &str = "vendor.pub";
/// The largest passphrase file, in bytes: one short line.
const MAX_SECRET_BYTES: u64 = 4_096;
/// The longest hook, in bytes.
const MAX_HOOK_BYTES: usize = 4_096;

/// `[license]` of a VM's file.
#[derive(Debug, Clone)]
pub struct LicenseSettings {
    /// The server that is preferred.
    pub primary: Server,
    /// The server that stands in for it.
    pub backup: Option<Server>,
    /// How long to keep trying at the start, in milliseconds; 0: every server once.
    pub start_wait_ms: u64,
    /// The file with the vendor's public keys that are trusted.
    pub vendor_key: PathBuf,
    /// How long before the end of the grace period the guest is asked to shut down, in milliseconds.
    pub shutdown_lead_ms: u64,
    /// How often the primary is probed while the backup licenses, in milliseconds.
    pub primary_probe_ms: u64,
    /// Commands of the operator.
    pub hooks: Hooks,
}

/// A license server, and the secret that opens a section there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: ServerAddress,
    /// The passphrase of the wanted product section; `None` for a section without one.
    pub passphrase: Option<Passphrase>,
}

/// `[license.hooks]`: shell commands, run by `sh -c` when something happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The license was lost; the grace period begins.
    pub lost: Option<String>,
    /// Licensed again after a loss.
    pub restored: Option<String>,
    /// The backup server has taken over.
    pub failover: Option<String>,
    /// Back on the primary server.
    pub failback: Option<String>,
    /// The grace period nears its end: every warning after the first.
    pub expiring: Option<String>,
    /// The guest is asked to shut down, or is stopped, because of the license.
    pub ending: Option<String>,
}

/// Which of the two servers a group of keys is about.
struct Keys {
    server: &'static str,
    passphrase: &'static str,
    file: &'static str,
    variable: &'static str,
}

const PRIMARY: Keys = Keys {
    server: "primary_server",
    passphrase: "passphrase",
    file: "passphrase_file",
    variable: "passphrase_env",
};
const BACKUP: Keys = Keys {
    server: "backup_server",
    passphrase: "backup_passphrase",
    file: "backup_passphrase_file",
    variable: "backup_passphrase_env",
};

/// Where secrets are looked up, and which variables held one.
struct Secrets<'a> {
    folder: &'a Path,
    environment: &'a dyn Fn(&str) -> Option<String>,
    variables: Vec<String>,
}

/// Reads `[license]`; the second part names the environment variables that held a passphrase.
pub(super) fn read(
    mut section: Section<'_>,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(LicenseSettings, Vec<String>), Problem> {
    let mut secrets = Secrets { folder, environment, variables: Vec::new() };
    let (primary, backup) = read_servers(&mut section, &mut secrets)?;
    let start_wait_ms = section.duration_ms("start_wait", 0)?;
    let vendor_key = section.path("vendor_key")?.unwrap_or_else(|| DEFAULT_VENDOR_KEY.into());
    let shutdown_lead_ms = section.duration_ms("shutdown_lead", DEFAULT_SHUTDOWN_LEAD_MS)?;
    let primary_probe_ms = section.parsed("primary_probe", parse_probe_interval)?;
    let hooks = match section.table("hooks", "license.hooks")? {
        Some(hooks) => read_hooks(hooks)?,
        None => Hooks::default(),
    };
    section.finish()?;
    let vendor_key = folder.join(vendor_key);
    let settings = LicenseSettings {
        primary,
        backup,
        start_wait_ms,
        vendor_key,
        shutdown_lead_ms,
        primary_probe_ms: primary_probe_ms.map_or(DEFAULT_PRIMARY_PROBE_MS, |at| at.value),
        hooks,
    };
    Ok((settings, secrets.variables))
}

fn read_servers(
    section: &mut Section<'_>,
    secrets: &mut Secrets<'_>,
) -> Result<(Server, Option<Server>), Problem> {
    let one_line = section.parsed("servers", parse_one_line)?;
    let primary = read_server(section, &PRIMARY, secrets)?;
    let backup = read_server(section, &BACKUP, secrets)?;
    if let Some(At { value: servers, offset }) = one_line {
        return match [&primary, &backup].iter().find_map(|keys| keys.first_key) {
            Some(key) => Err(section.problem(
                "servers",
                offset,
                format!("says all of it in one line; remove {} or write both servers in keys of their own", section.title(key)),
            )),
            None => Ok(servers),
        };
    }
    let Some(At { value: primary_address, .. }) = primary.address else {
        return Err(section.missing(PRIMARY.server));
    };
    let Some(At { value: backup_address, offset }) = backup.address else {
        return match backup.first_key {
            Some(key) => Err(section.problem(
                key,
                backup.offset,
                "is given, but `license.backup_server` is not",
            )),
            None => Ok((Server { address: primary_address, passphrase: primary.passphrase }, None)),
        };
    };
    if backup_address.is_same_as(&primary_address) {
        return Err(section.problem(BACKUP.server, offset, SAME_SERVER));
    }
    let passphrase = backup.passphrase.or_else(|| primary.passphrase.clone());
    let backup = Server { address: backup_address, passphrase };
    Ok((Server { address: primary_address, passphrase: primary.passphrase }, Some(backup)))
}

const SAME_SERVER: &str = "is the same server as the primary one; a backup must be another server";

/// What one group of keys says.
struct ServerKeys {
    address: Option<At<ServerAddress>>,
    passphrase: Option<Passphrase>,
    /// The first of the group's keys that is there, and where.
    first_key: Option<&'static str>,
    offset: usize,
}

fn read_server(
    section: &mut Section<'_>,
    keys: &Keys,
    secrets: &mut Secrets<'_>,
) -> Result<ServerKeys, Problem> {
    let address = section.parsed(keys.server, str::parse::<ServerAddress>)?;
    let plain = section.parsed(keys.passphrase, str::parse::<Passphrase>)?;
    let file = section.parsed(keys.file, |path| secrets.read_file(path))?;
    let variable = section.parsed(keys.variable, |name| secrets.read_variable(name))?;
    let mut given = [(keys.passphrase, plain), (keys.file, file), (keys.variable, variable)]
        .into_iter()
        .filter_map(|(key, secret)| secret.map(|secret| (key, secret)));
    let first = given.next();
    if let (Some((key, _)), Some((second, at))) = (&first, given.next()) {
        let reason = format!("there is {} as well; keep one of them", section.title(key));
        return Err(section.problem(second, at.offset, reason));
    }
    let first_key = match (&address, &first) {
        (Some(at), _) => Some((keys.server, at.offset)),
        (None, Some((key, at))) => Some((*key, at.offset)),
        (None, None) => None,
    };
    Ok(ServerKeys {
        address,
        passphrase: first.map(|(_, at)| at.value),
        first_key: first_key.map(|(key, _)| key),
        offset: first_key.map_or(0, |(_, offset)| offset),
    })
}

impl Secrets<'_> {
    fn read_file(&self, path: &str) -> Result<Passphrase, String> {
        let mut text = String::new();
        File::open(self.folder.join(path))
            .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| format!("can't read the passphrase from this file: {error}"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.parse().map_err(|error| format!("the passphrase in this file {error}"))
    }

    fn read_variable(&mut self, name: &str) -> Result<Passphrase, String> {
        if name.is_empty() || name.contains('=') {
            return Err("must be the name of an environment variable".to_owned());
        }
        let text =
            (self.environment)(name).ok_or("this environment variable is not set, or not UTF-8")?;
        self.variables.push(name.to_owned());
        text.parse().map_err(|error| format!("the passphrase in this environment variable {error}"))
    }
}

/// `VE://host[:port]/passphrase,VE://…`: the first is the primary, the second the backup.
fn parse_one_line(text: &str) -> Result<(Server, Option<Server>), String> {
    let mut servers = text.split(',').map(|part| parse_one_server(part.trim()));
    // `split` always gives a first part.
    let primary = servers.next().unwrap_or_else(|| parse_one_server(""))?;
    let backup = servers.next().transpose()?;
    if servers.next().is_some() {
        return Err("names more than two servers".to_owned());
    }
    if backup.as_ref().is_some_and(|backup| backup.address.is_same_as(&primary.address)) {
        return Err(format!("the second server {SAME_SERVER}"));
    }
    Ok((primary, backup))
}

fn parse_one_server(text: &str) -> Result<Server, String> {
    const FORM: &str = "servers are written as VE://host[:port]/passphrase, at most two, with a comma between them";
    let rest = match text.split_at_checked("VE://".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("VE://") => rest,
        _ => return Err(FORM.to_owned()),
    };
    let (address, passphrase) = rest.split_once('/').unwrap_or((rest, ""));
    let passphrase = passphrase.strip_suffix('/').unwrap_or(passphrase);
    let passphrase = match passphrase {
        "" => None,
        secret => Some(secret.parse().map_err(|error| format!("a passphrase {error}"))?),
    };
    let address = address.parse().map_err(|error| format!("{error}"))?;
    Ok(Server { address, passphrase })
}

fn parse_probe_interval(text: &str) -> Result<u64, String> {
    match parse_duration_ms(text) {
        Ok(interval_ms) if interval_ms >= SECOND_MS => Ok(interval_ms),
        Ok(_) => Err("must be at least 1s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn read_hooks(mut section: Section<'_>) -> Result<Hooks, Problem> {
    let mut hook = |key| section.parsed(key, parse_hook).map(|at| at.map(|at| at.value));
    let hooks = Hooks {
        lost: hook("lost")?,
        restored: hook("restored")?,
        failover: hook("failover")?,
        failback: hook("failback")?,
        expiring: hook("expiring")?,
        ending: hook("ending")?,
    };
    section.finish()?;
    Ok(hooks)
}

fn parse_hook(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("must be a command".to_owned())
    } else if text.len() > MAX_HOOK_BYTES {
        Err(format!("is longer than {MAX_HOOK_BYTES} bytes; put it into a script"))
    } else {
        Ok(text.to_owned())
    }
}
