//! How many files this process may have open: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    addresses::Limits,
    log::{Log, Module},
};

/// Descriptors that no connection gets: for the ledger, the log, the licenses and the administrator's
/// tools.
const RESERVED: u64 = 128;

/// Makes room for as many links as are wanted, as far as the system allows; says so when it doesn't.
/// Beyond that a new link is refused, where the ledger or the log would otherwise fail.
pub fn fit(limits: Limits, log: &Log) -> Limits {
    let wanted = u64::try_from(limits.links).unwrap_or(u64::MAX).saturating_add(RESERVED);
    let Some(files) = raise_to(wanted).filter(|files| *files < wanted) else { return limits };
    let links = usize::try_from(links_within(files)).unwrap_or(usize::MAX);
    log.warn(
        Module::Main,
        format!(
            "Only {links} connections are taken in at a time instead of {}: this process may have no \
             more than {files} files open. Raise that limit (LimitNOFILE in the unit, `ulimit -n` in \
             a shell), or lower [limits] max_links.",
            limits.links
        ),
    );
    Limits { links, ..limits }
}

/// Raises the soft limit as far as the hard one goes; gives what holds now, `None` for no limit.
fn raise_to(wanted: u64) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current >= possible {
        return Some(current);
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    Some(if raised.is_ok() { possible } else { current })
}

/// A process with hardly any descriptors still shares them.
fn links_within(files: u64) -> u64 {
    files.saturating_sub(RESERVED).max(files / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_leave_something_for_the_rest() {
        assert_eq!(links_within(1_024), 896);
        assert_eq!(links_within(256), 128);
        assert_eq!(links_within(100), 50);
    }
}
