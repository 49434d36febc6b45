//! What a restore does with the registry of hosts, and with what the ledger knows of retired ones: an old
//! copy is brought forward, never the other way round. No restore loses a registration that is in the
//! home or revives a host that was retired.

use std::fs;

use ve_core::{id::SpanId, node::event::Remembered};
use ve_store::{HostsReadOnly, LoadError, Merge, plan_merge};
use ve_wire::random_bytes;

use super::{
    place,
    plan::{Deed, FilePlan, MarkPlan},
    stage::Stage,
};
use crate::home::Home;

/// What becomes of the registry.
#[derive(Debug)]
pub struct RegistryPlan {
    /// The line of the plan; `None`: the backup holds no registry, so the home's is not touched.
    pub file: Option<FilePlan>,
    /// Under which span the backup's entries are merged into the home's.
    pub merge: Option<SpanId>,
    /// How many entries there are in the backup, in the home and afterwards.
    pub mark: Option<MarkPlan>,
}

/// Looks at both registries. Changes nothing.
pub fn plan(
    home: &Home,
    stage: &Stage,
    is_of_other_server: bool,
) -> Result<RegistryPlan, LoadError> {
    let Some(entries) = stage.hosts else {
        return Ok(RegistryPlan { file: None, merge: None, mark: None });
    };
    let theirs = place(&stage.folder, "instances.db");
    let exists = fs::symlink_metadata(home.instances()).is_ok();
    let present = if exists { Some(entries_at(home)) } else { None };
    let (merge, why) = match present {
        None => (None, "the home has none"),
        Some(Ok(_)) if is_of_other_server => (None, "the home's is of another server"),
        Some(Ok(count)) => (Some((count, plan_merge(&home.instances(), &theirs)?)), ""),
        Some(Err(LoadError::Damaged { .. })) => (None, "the home's is damaged"),
        Some(Err(LoadError::NoRegistry(_))) => (None, "the home's is no registry of hosts"),
        Some(Err(error)) => return Err(error),
    };
    let (action, why) = match merge {
        Some((_, Merge { news: 0, .. })) => {
            (Deed::Stay, "it has every host of the backup".to_string())
        }
        Some((_, Merge { news, .. })) => {
            (Deed::Merge, format!("{news} of the backup's entries are news; none is lost"))
        }
        None if exists => (Deed::Replace, why.to_string()),
        None => (Deed::Put, why.to_string()),
    };
    let mark = MarkPlan {
        mark: "hosts in instances.db".to_string(),
        backup: entries.to_string(),
        home: merge.map_or_else(|| "-".to_string(), |(count, _)| count.to_string()),
        after: merge.map_or(entries, |(_, merge)| merge.entries).to_string(),
    };
    Ok(RegistryPlan {
        file: Some(FilePlan { name: "instances.db".to_string(), action, why: Some(why) }),
        merge: (action == Deed::Merge).then(|| SpanId(random_bytes())),
        mark: Some(mark),
    })
}

fn entries_at(home: &Home) -> Result<usize, LoadError> {
    Ok(HostsReadOnly::open_checked(&home.instances())?.entries()?.len())
}

/// Whether the backup's ledger knows of retired hosts that the home's, which stays, does not.
pub fn has_more_retired(stage: &Stage, here: &Remembered) -> bool {
    stage.remembered.as_ref().is_some_and(|backup| {
        backup.retired_hosts.keys().any(|host| !here.retired_hosts.contains_key(host))
    })
}
