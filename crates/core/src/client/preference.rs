//! Which server is preferred: the first that is configured or, in AutoVE mode, the one whose license
//! the host is at home with.

use alloc::vec::Vec;

use super::{Client, io::ServerIndex};
use crate::{id::LicenseId, time::Now};

/// The order of preference, and what it follows from.
#[derive(Debug)]
pub(super) struct Preference {
    /// The license that the host is at home with, as far as that is known.
    home: Option<LicenseId>,
    /// What every server has shown when it was last connected with; `None`: never yet.
    licenses: Vec<Option<Vec<LicenseId>>>,
    first: ServerIndex,
}

impl Preference {
    /// Of so many servers, none of which is known.
    pub(super) fn new(servers: usize, home: Option<LicenseId>) -> Self {
        let mut licenses = Vec::new();
        licenses.resize(servers, None);
        Self { home, licenses, first: 0 }
    }

    /// Whether any server is preferred for more than its place in the configuration.
    pub(super) fn knows_home(&self) -> bool {
        self.home.is_some()
    }

    /// Whether `server` is preferred to `other`.
    pub(super) fn is_before(&self, server: ServerIndex, other: ServerIndex) -> bool {
        self.place(server) < self.place(other)
    }

    /// A server's place in the order, counted from 0.
    pub(super) fn place(&self, server: ServerIndex) -> usize {
        match server.cmp(&self.first) {
            core::cmp::Ordering::Equal => 0,
            core::cmp::Ordering::Less => server + 1,
            core::cmp::Ordering::Greater => server,
        }
    }

    /// All servers, the preferred one first.
    pub(super) fn order(&self) -> impl Iterator<Item = ServerIndex> + use<> {
        let first = self.first;
        let others = (0..self.licenses.len()).filter(move |&server| server != first);
        core::iter::once(first).chain(others)
    }

    /// A server has shown credentials for these licenses.
    pub(super) fn shown(&mut self, server: ServerIndex, licenses: Vec<LicenseId>) {
        self.licenses[server] = Some(licenses);
        self.settle();
    }

    /// A server in force says where the host is at home; in general mode, nowhere.
    pub(super) fn at_home_with(&mut self, home: Option<&LicenseId>) {
        if self.home.as_ref() != home {
            self.home = home.cloned();
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.first = self.server_of_home().unwrap_or(0);
    }

    /// The server that has shown the home's license; of two servers, the one that may have it, when
    /// the other one doesn't.
    fn server_of_home(&self) -> Option<ServerIndex> {
        let home = self.home.as_ref()?;
        let has = |shown: &Option<Vec<LicenseId>>| shown.as_ref().map(|all| all.contains(home));
        let known = |wanted| self.licenses.iter().position(|shown| has(shown) == wanted);
        known(Some(true)).or_else(|| match self.licenses.len() {
            2 if known(Some(false)).is_some() => known(None),
            _ => None,
        })
    }
}

impl Client {
    /// Takes up what was learned of the servers. If another one is preferred now, nothing that was
    /// found out on the way to the old one counts.
    pub(super) fn learn(&mut self, now: Now, news: impl FnOnce(&mut Preference)) {
        let first = self.preference.first;
        let was_probing = self.probe_deadline().is_some();
        news(&mut self.preference);
        if self.preference.first == first {
            return;
        }
        for line in &mut self.lines {
            line.probed = false;
        }
        if !was_probing && self.probe_deadline().is_some() {
            self.plan_next_probe(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn license(number: u8) -> LicenseId {
        std::format!("01.00000001.002.{number:03}").parse().expect("a license ID")
    }

    /// What each server has shown (nothing: `None`), where the home is, and the order then.
    #[test]
    fn the_home_s_server_is_first_where_it_is_known_or_only_one_is_left() {
        for (shown, home, order) in [
            (vec![None, None], None, vec![0, 1]),
            (vec![None, None], Some(2), vec![0, 1]),
            (vec![Some(vec![1]), Some(vec![2])], None, vec![0, 1]),
            (vec![Some(vec![1]), Some(vec![2])], Some(1), vec![0, 1]),
            (vec![Some(vec![1]), Some(vec![2])], Some(2), vec![1, 0]),
            (vec![None, Some(vec![3, 2])], Some(2), vec![1, 0]),
            // Only one is left that may be it.
            (vec![Some(vec![1]), None], Some(2), vec![1, 0]),
            (vec![None, Some(vec![1])], Some(2), vec![0, 1]),
            (vec![Some(vec![]), None], Some(2), vec![1, 0]),
            // Neither is it.
            (vec![Some(vec![1]), Some(vec![3])], Some(2), vec![0, 1]),
            // Both say that they are.
            (vec![Some(vec![2]), Some(vec![2])], Some(2), vec![0, 1]),
            (vec![Some(vec![1])], Some(2), vec![0]),
            (vec![Some(vec![1]), None, None], Some(2), vec![0, 1, 2]),
            (vec![Some(vec![1]), None, Some(vec![2])], Some(2), vec![2, 0, 1]),
        ] {
            let case = std::format!("{shown:?}, home {home:?}");
            let mut preference = Preference::new(shown.len(), home.map(license));
            for (server, shown) in shown.into_iter().enumerate() {
                if let Some(shown) = shown {
                    preference.shown(server, shown.into_iter().map(license).collect());
                }
            }
            let found: Vec<_> = preference.order().collect();
            assert_eq!(found, order, "{case}");
            let mut by_place = order.clone();
            by_place.sort_by_key(|&server| preference.place(server));
            assert_eq!(by_place, order, "{case}");
        }
    }
}
