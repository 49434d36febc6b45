//! When everything is healed, both registries are equal: host for host, in everything that decides.

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short, roll::Roll};

/// Two servers, one registry.
pub(crate) struct Equal;

impl Invariant for Equal {
    fn name(&self) -> &'static str {
        "equal"
    }

    fn see(&mut self, _: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Healed { rolls } => difference(*rolls),
            _ => Ok(()),
        }
    }
}

/// Says how two registries differ, if they do.
pub(crate) fn difference(rolls: [&Roll; 2]) -> Result<(), String> {
    let [one, other] = rolls;
    for (here, there) in [(one, other), (other, one)] {
        for entry in here.entries() {
            let Some(same) = there.find(entry.host) else {
                return Err(format!("only one registry has host {}", short(&entry.host)));
            };
            let mut same = same.clone();
            same.seen.clone_from(&entry.seen);
            if same != *entry {
                return Err(format!(
                    "the registries differ: {entry:?} in one, {:?} in the other",
                    there.find(entry.host)
                ));
            }
        }
    }
    Ok(())
}
