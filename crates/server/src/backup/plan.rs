//! What a restore will do, file by file and mark by mark, found out before anything is done.

use std::{fs, path::Path};

use serde::Serialize;
use thiserror::Error;
use ve_core::{
    fingerprint::Machine,
    id::LicenseId,
    license::{License, Verified},
    node::event::Remembered,
    reason::{ReasonCode, Refusal},
    time::{Utc, spoken_hours},
};
use ve_documents::{files, keys::VerifyingKey};
use ve_host::{PlatformError, clock};
use ve_store::{
    Begun, BegunCause, HighWater, HostMarks, LoadError, ReadOnly, adopt, adopt_hosts, check_copy,
    hosts_left, marks_left,
};

use super::{
    apply::{self, ASIDE, ApplyError, Journal},
    host, hosts,
    manifest::{Part, license_of},
    place,
    stage::{Stage, StageError, read_license},
};
use crate::{
    home::{Home, not_writable},
    installed, judge,
};

/// Why a backup is not restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// It can't be taken up.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// It is another host's.
    #[error("{0} It was not restored: a license belongs to the machine that it was made for.")]
    OtherHost(Refusal),
    /// The machine can't be read.
    #[error("[host] platform in the backup's config.toml: {0}")]
    Platform(#[from] PlatformError),
    /// A ledger or registry can't be used.
    #[error(transparent)]
    Ledger(#[from] LoadError),
    /// It was begun.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl RestoreError {
    /// The exit code for a tool that fails with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Stage(StageError::Bad(_)) => 65,
            Self::OtherHost(_) => 77,
            Self::Platform(_) => 78,
            Self::Stage(StageError::Home(_))
            | Self::Ledger(LoadError::Unreadable { .. })
            | Self::Apply(
                ApplyError::Home(_)
                | ApplyError::Raise(_)
                | ApplyError::Ledger(LoadError::Unreadable { .. }),
            ) => 73,
            Self::Ledger(_) | Self::Apply(_) => 70,
        }
    }

    /// The reason code, where a rule refused that has one.
    pub fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::OtherHost(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It is not in the home, and comes from the backup.
    Put,
    /// It comes from the backup; the home's own is kept aside.
    Replace,
    /// Both are the same.
    Same,
    /// The home's own stays.
    Stay,
    /// The home's own stays, and takes in what the backup has.
    Merge,
}

/// A file and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilePlan {
    /// Its name in the home.
    pub name: String,
    /// What happens to it.
    pub action: Deed,
    /// Why, where that isn't plain.
    pub why: Option<String>,
}

/// A high-water mark, in words; `-` where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkPlan {
    /// Which.
    pub mark: String,
    /// In the backup.
    pub backup: String,
    /// In the home.
    pub home: String,
    /// Afterwards: the higher one.
    pub after: String,
}

/// A license as it stands afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LicensePlan {
    /// Its ID.
    pub id: LicenseId,
    /// Its version.
    pub version: u32,
    /// `valid`, or why not.
    pub status: String,
}

/// What a restore will do.
#[derive(Debug)]
pub struct Plan {
    stage: Stage,
    journal: Journal,
    /// The files.
    pub files: Vec<FilePlan>,
    /// The marks.
    pub marks: Vec<MarkPlan>,
    /// The licenses.
    pub licenses: Vec<LicensePlan>,
    after: HighWater,
    is_of_other_server: bool,
}

/// Looks at a backup and at the home, and says what a restore will do. Changes nothing in the home.
pub fn plan(home: &Home, stage: Stage) -> Result<Plan, RestoreError> {
    let machine = host::machine_for(&stage)?;
    host::refuse_other_server(&stage, home).map_err(RestoreError::OtherHost)?;
    let present = Present::of(home, &stage);
    let own: Vec<_> = stage
        .licenses(&present.keys)
        .into_iter()
        .filter(|(name, _)| present.newer(name, &stage).is_none())
        .collect();
    host::refuse_other_machine(&stage, own.iter().map(|(_, license)| license), &machine)
        .map_err(RestoreError::OtherHost)?;
    let now = clock::now().wall;
    let present_ledger = PresentLedger::of(home, now)?;
    let here = present_ledger.marks.clone();
    let after = stage.marks().joined(&here);
    let mut files: Vec<FilePlan> = stage
        .manifest
        .files
        .iter()
        .filter(|file| !is_database(&file.name))
        .map(|file| present.plan_file(home, &stage, &file.name))
        .collect();
    let is_of_other_server = host::is_other_server(&stage, home);
    let ledger = present_ledger.plan(is_of_other_server, &stage);
    let stays = ledger.action == Deed::Stay;
    files.push(ledger);
    let registry = hosts::plan(home, &stage, is_of_other_server)?;
    files.extend(registry.file);
    let names = files.iter().filter(|file| matches!(file.action, Deed::Put | Deed::Replace));
    let journal = Journal {
        aside: free_aside(home, now),
        names: names.map(|file| file.name.clone()).collect(),
        raise: (stays && !here.covers(&after)).then(|| after.clone()),
        retire: stays && present_ledger.lacks_retired_of(&stage),
        merge: registry.merge,
    };
    let licenses = standings(home, &stage, &present.keys, &files, &machine, &after);
    let mut marks = compare(&stage.marks(), &here, &after);
    marks.extend(registry.mark);
    Ok(Plan { stage, journal, files, marks, licenses, after, is_of_other_server })
}

impl Plan {
    /// What the backup says of itself.
    pub fn manifest(&self) -> &super::manifest::Manifest {
        &self.stage.manifest
    }

    /// The folder in the home that takes what is replaced; `None`: nothing is.
    pub fn aside(&self) -> Option<&str> {
        let replaces = self.files.iter().any(|file| file.action == Deed::Replace);
        replaces.then_some(self.journal.aside.as_str())
    }

    /// Does it. The home's lock is held.
    pub fn carry_out(self, home: &Home) -> Result<(), RestoreError> {
        if self.journal.names.iter().any(|name| Part::of(name) == Some(Part::Ledger)) {
            let ledger = place(&self.stage.folder, "ledger.db");
            let begun = Begun { at: clock::now().wall, cause: BegunCause::Restored };
            if self.stage.remembered.is_none() {
                files::write_new(&ledger, b"", 0o600)
                    .map_err(|error| StageError::Home(not_writable(&ledger, error)))?;
            }
            let mut hosts = HostMarks::default();
            if !self.is_of_other_server {
                hosts = hosts_left(&home.ledger());
            }
            adopt(&ledger, &self.after, &hosts, begun)?;
            let synced = fs::File::open(&ledger).and_then(|file| file.sync_all());
            synced.map_err(|error| StageError::Home(not_writable(&ledger, error)))?;
        }
        if self.journal.names.iter().any(|name| Part::of(name) == Some(Part::Registry)) {
            adopt_hosts(&place(&self.stage.folder, "instances.db"))?;
        }
        Ok(apply::decide(home, &self.stage.folder, &self.journal)?)
    }
}

/// Ledger and registry are no files like others: what is in the home counts as well.
fn is_database(name: &str) -> bool {
    matches!(Part::of(name), Some(Part::Ledger | Part::Registry))
}

/// What is in the home already.
struct Present {
    /// The vendor keys that count afterwards.
    keys: Vec<VerifyingKey>,
    /// Whether the home's own `vendor.pub` trusts all that the backup's does.
    keys_stay: bool,
    licenses: Vec<(LicenseId, u32)>,
}

impl Present {
    fn of(home: &Home, stage: &Stage) -> Self {
        let here = installed::load_vendor_keys(home).unwrap_or_default();
        let theirs = stage.vendor_keys();
        let trusts = |key: &VerifyingKey| here.iter().any(|other| other.kid() == key.kid());
        let keys_stay = !here.is_empty() && theirs.iter().all(trusts);
        let keys = if keys_stay { here } else { theirs };
        let ids = stage.manifest.files.iter().filter_map(|file| license_of(&file.name));
        let licenses = ids
            .filter_map(|id| {
                Some((id.clone(), read_license(&home.license_file(&id), &keys)?.version))
            })
            .collect();
        Self { keys, keys_stay, licenses }
    }

    /// The version that is installed in the home, if it is a higher one than the backup's.
    fn newer(&self, name: &str, stage: &Stage) -> Option<u32> {
        let id = license_of(name)?;
        let (_, here) = self.licenses.iter().find(|(present, _)| *present == id)?;
        let theirs = read_license(&place(&stage.folder, name), &self.keys);
        theirs.is_none_or(|license| license.version < *here).then_some(*here)
    }

    fn plan_file(&self, home: &Home, stage: &Stage, name: &str) -> FilePlan {
        let plan = |action, why: Option<String>| FilePlan { name: name.to_string(), action, why };
        let here = place(home.path(), name);
        if fs::symlink_metadata(&here).is_err() {
            return plan(Deed::Put, None);
        }
        if have_same_content(&here, &place(&stage.folder, name)) {
            return plan(Deed::Same, None);
        }
        if let Some(version) = self.newer(name, stage) {
            let why = format!("version {version} is installed, which is newer than the backup's");
            return plan(Deed::Stay, Some(why));
        }
        if Part::of(name) == Some(Part::VendorKeys) && self.keys_stay {
            let why = "it trusts every key that the backup's trusts".to_string();
            return plan(Deed::Stay, Some(why));
        }
        plan(Deed::Replace, None)
    }
}

/// What stands in the place of a backup's file is never longer than such a file can be.
fn have_same_content(here: &Path, theirs: &Path) -> bool {
    let read = |path| files::read_limited(path, files::MAX_DOCUMENT_BYTES).ok();
    fs::symlink_metadata(here).is_ok_and(|file| file.is_file())
        && read(here).is_some_and(|bytes| Some(bytes) == read(theirs))
}

/// The ledger that is in the home.
struct PresentLedger {
    /// What a sound one remembers; else why there is none.
    remembered: Result<Remembered, &'static str>,
    /// How a sound one began, if by a loss: then its positions tell nothing of what was before.
    anew: Option<Begun>,
    exists: bool,
    /// Everything that can be found there, in the reserve as well.
    marks: HighWater,
}

impl PresentLedger {
    fn of(home: &Home, now: Utc) -> Result<Self, LoadError> {
        let path = home.ledger();
        let mut marks = marks_left(&path, now);
        let exists = fs::symlink_metadata(&path).is_ok();
        let remembered = match exists.then(|| check_copy(&path)) {
            None => Err("the home has none"),
            Some(Ok(remembered)) => Ok(remembered),
            Some(Err(LoadError::Damaged { .. })) => Err("the home's is damaged"),
            Some(Err(LoadError::Foreign(_))) => Err("the home's is no ledger"),
            Some(Err(error)) => return Err(error),
        };
        if let Ok(remembered) = &remembered {
            marks.join(&HighWater::of(remembered));
        }
        let anew = remembered.is_ok().then(|| begun_anew(&path)).flatten();
        Ok(Self { remembered, anew, exists, marks })
    }

    /// One that is sound and not older than the backup's stays. One that was begun anew after the
    /// backup was made has another history, and can't be compared with it.
    fn plan(&self, is_of_other_server: bool, stage: &Stage) -> FilePlan {
        let backup = stage.remembered.as_ref().map_or(0, |remembered| remembered.position);
        let (stays, why) = match &self.remembered {
            Ok(_) if is_of_other_server => (false, "the home's is of another server"),
            Ok(_) if stage.remembered.is_some() && self.is_begun_after(stage) => {
                (false, "the home's was begun anew, after a loss")
            }
            Ok(here) if here.position >= backup => {
                (true, "the home's is sound, and not older than the backup's")
            }
            Ok(_) => (false, "the home's is older than the backup's"),
            Err(why) => (false, *why),
        };
        let why = match &stage.remembered {
            None if !stays => {
                format!("{why}, and neither has the backup: a new one gets the marks")
            }
            _ => why.to_string(),
        };
        let action = match (stays, self.exists) {
            (true, _) => Deed::Stay,
            (false, true) => Deed::Replace,
            (false, false) => Deed::Put,
        };
        FilePlan { name: "ledger.db".to_string(), action, why: Some(why) }
    }

    /// Whether one that is sound doesn't know of a host that was retired before the backup was made.
    fn lacks_retired_of(&self, stage: &Stage) -> bool {
        self.remembered.as_ref().is_ok_and(|here| hosts::has_more_retired(stage, here))
    }

    fn is_begun_after(&self, stage: &Stage) -> bool {
        self.anew.is_some() && begun_anew(&place(&stage.folder, "ledger.db")) != self.anew
    }
}

/// How a sound ledger began, when what was before is lost.
fn begun_anew(ledger: &Path) -> Option<Begun> {
    let begun = ReadOnly::open(ledger).and_then(|mut ledger| ledger.begun()).ok()??;
    let anew = [BegunCause::Lost, BegunCause::LostEntirely, BegunCause::OfOtherServer];
    anew.contains(&begun.cause).then_some(begun)
}

/// A name for the folder of replaced files that no restore has used yet.
fn free_aside(home: &Home, now: Utc) -> String {
    let stamp: String = now.to_string().chars().filter(char::is_ascii_digit).collect();
    let (day, time) = stamp.split_at(8.min(stamp.len()));
    let name = format!("{ASIDE}{day}T{time}Z");
    let is_free = |name: &String| fs::symlink_metadata(home.path().join(name)).is_err();
    let others = (2..1_000).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(others).find(is_free).unwrap_or(name)
}

/// How the backup's licenses, or the newer ones that stay, will be judged.
fn standings(
    home: &Home,
    stage: &Stage,
    keys: &[VerifyingKey],
    files: &[FilePlan],
    machine: &Machine,
    marks: &HighWater,
) -> Vec<LicensePlan> {
    let remembered = Remembered {
        versions: marks.versions.clone(),
        meters: marks.meters.clone(),
        time_mark: marks.time,
        ..Remembered::default()
    };
    let judge = |license: Verified<License>| {
        let key = stage.manifest.server_key;
        let standing = judge::standing(&license, key, machine, remembered.clone(), clock::now());
        LicensePlan {
            id: license.id.clone(),
            version: license.version,
            status: standing.map_or_else(|refusal| refusal.to_string(), |()| "valid".to_string()),
        }
    };
    let licenses = files.iter().filter_map(|file| {
        license_of(&file.name)?;
        let folder = if file.action == Deed::Stay { home.path() } else { stage.folder.as_path() };
        read_license(&place(folder, &file.name), keys)
    });
    licenses.map(judge).collect()
}

/// Mark by mark. Positions mean nothing to a person.
fn compare(backup: &HighWater, here: &HighWater, after: &HighWater) -> Vec<MarkPlan> {
    let line = |mark: String, of: &dyn Fn(&HighWater) -> Option<String>| {
        let say = |marks| of(marks).unwrap_or_else(|| "-".to_string());
        MarkPlan { mark, backup: say(backup), home: say(here), after: say(after) }
    };
    let mut lines = Vec::new();
    for id in after.versions.keys() {
        let version = |marks: &HighWater| marks.versions.get(id).map(ToString::to_string);
        lines.push(line(format!("{id}: highest version"), &version));
    }
    for key @ (id, version) in after.meters.keys() {
        let hours =
            |marks: &HighWater| marks.meters.get(key).map(|meter| spoken_hours(meter.used_ms));
        lines.push(line(format!("{id} version {version}: hours used"), &hours));
    }
    if after.time.is_some() {
        lines
            .push(line("time (UTC)".to_string(), &|marks| marks.time.map(|time| time.to_string())));
    }
    lines
}

#[cfg(test)]
mod tests {
    use ve_store::AppendFailure;

    use super::*;

    /// A full disk is something that can't be written, whichever step it stops.
    #[test]
    fn what_the_disk_does_not_take_has_its_own_exit_code() {
        let path = || "ledger.db".into();
        let full = || LoadError::Unreadable { path: path(), why: "disk full".into() };
        for (error, code) in [
            (RestoreError::from(full()), 73),
            (ApplyError::from(full()).into(), 73),
            (ApplyError::from(AppendFailure::Ledger("disk full".into())).into(), 73),
            (LoadError::Foreign(path()).into(), 70),
            (ApplyError::from(LoadError::Foreign(path())).into(), 70),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
