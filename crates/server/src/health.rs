//! How the service is: what the administrator should know and do something about.

mod hosts;

use ve_core::{
    node::{Node, io::Note},
    time::{Now, SECOND_MS, spoken_duration, spoken_hours},
};

use crate::{
    control::protocol::{LicenseReport, PeerReport},
    log::notes::{ledger_advice, ledger_cause},
};

/// How many licenses are named at most; the others are in the list of all.
const MAX_LICENSES_NAMED: usize = 8;

/// A license that has less than one of so many parts of its hours left runs low.
const LOW_PARTS: u64 = 10;

/// What the node itself does not keep of the service's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    ledger_failure: Option<String>,
    /// Why the registry can't be written.
    registry_failure: Option<String>,
    /// By how many seconds the peer's clock is off.
    peer_clock_off: Option<u64>,
}

impl Health {
    /// Takes in what the node tells.
    pub fn hear(&mut self, note: &Note) {
        match note {
            Note::LedgerFailed(why) => self.ledger_failure = Some(ledger_cause(why).to_owned()),
            Note::LedgerRecovered => self.ledger_failure = None,
            Note::RegistryFailed(why) => {
                self.registry_failure = Some(ledger_cause(why).to_owned());
            }
            Note::RegistryRecovered => self.registry_failure = None,
            Note::PeerClockOff(seconds) => self.peer_clock_off = Some(seconds.unsigned_abs()),
            // It is said anew if it still holds.
            Note::PeerInContact { .. } | Note::PeerClockRight => self.peer_clock_off = None,
            _ => {}
        }
    }

    /// Why the ledger can't be written, while it can't.
    pub fn ledger_failure(&self) -> Option<&str> {
        self.ledger_failure.as_deref()
    }

    /// What the administrator should know of the service, a few sentences each; empty when all is
    /// well.
    pub fn attention(&self, node: &Node, now: Now, peer: Option<&PeerReport>) -> Vec<String> {
        let mut sentences = self.sentences(node.marks_raised(), node.holders_unknown_ms(now));
        sentences.extend(self.of_registry());
        sentences.extend(hosts::attention(node, peer));
        sentences
    }

    fn of_registry(&self) -> impl Iterator<Item = String> {
        let failing = self.registry_failure.as_ref().map(|why| {
            format!(
                "instances.db can't be written: {why}. Registered hosts are served, new ones are \
                 refused.{}",
                ledger_advice(why)
            )
        });
        let clock = self.peer_clock_off.map(|seconds| {
            format!(
                "The peer's clock is {seconds} second(s) off this server's: set the clocks right."
            )
        });
        failing.into_iter().chain(clock)
    }

    fn sentences(&self, marks_raised: u64, holders_unknown_ms: Option<u64>) -> Vec<String> {
        let failing = self.ledger_failure.as_ref().map(|why| {
            format!(
                "The ledger can't be written: {why}. Sessions go on and hours are counted, new \
                 sessions are refused.{}",
                ledger_advice(why)
            )
        });
        let raised = (marks_raised > 0).then(|| {
            format!(
                "Clients' grants have raised {marks_raised} mark(s) since the start: an older ledger \
                 was put in place. What the grants show counts."
            )
        });
        let unknown = holders_unknown_ms.map(|for_ms| {
            format!(
                "The ledger may not know every holder of a seat: newcomers get no seat of a license \
                 with lease = \"grace\" for {}.",
                spoken_duration(for_ms)
            )
        });
        [failing, raised, unknown].into_iter().flatten().collect()
    }
}

/// The installed licenses that don't serve, and those that soon won't, a sentence each.
pub fn of_licenses(licenses: &[LicenseReport]) -> Vec<String> {
    let mut sentences: Vec<String> = licenses.iter().filter_map(of_license).collect();
    let more = sentences.len().saturating_sub(MAX_LICENSES_NAMED);
    sentences.truncate(MAX_LICENSES_NAMED);
    if more > 0 {
        sentences.push(format!("So it is with {more} more license(s): see the list below."));
    }
    sentences
}

fn of_license(report: &LicenseReport) -> Option<String> {
    let id = &report.id;
    if report.reason.is_some() {
        return Some(match report.version {
            0 => format!("License {id} can't be used: {}", report.status),
            version => format!("License {id} version {version} is not valid: {}", report.status),
        });
    }
    let (left, used) = (report.remaining_seconds?, report.used_seconds?);
    let licensed = left.saturating_add(used);
    (left.saturating_mul(LOW_PARTS) < licensed).then(|| {
        format!(
            "License {id} has {} of {} hour(s) of run time left; at zero its sessions are revoked. \
             Ask your vendor for more in time.",
            spoken_hours(left.saturating_mul(SECOND_MS)),
            spoken_hours(licensed.saturating_mul(SECOND_MS))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Vec<String> = Vec::new();

    #[test]
    fn a_failure_is_shown_until_it_is_over() {
        let mut health = Health::default();
        assert_eq!(health.sentences(0, None), NOTHING);
        health.hear(&Note::LedgerFailed("the ledger can't be written: full".into()));
        assert_eq!(health.ledger_failure(), Some("full"));
        let told = health.sentences(0, None);
        assert!(told[0].starts_with("The ledger can't be written: full. Sessions"), "{told:?}");
        health.hear(&Note::LedgerRecovered);
        assert_eq!((health.ledger_failure(), health.sentences(0, None)), (None, NOTHING));
    }

    #[test]
    fn the_registry_and_the_peer_are_shown_until_all_is_well() {
        let mut health = Health::default();
        let told = |health: &Health| health.of_registry().collect::<Vec<_>>();
        assert_eq!(told(&health), NOTHING);
        health.hear(&Note::RegistryFailed("full".into()));
        health.hear(&Note::PeerClockOff(-90));
        let said = told(&health);
        assert!(said[0].starts_with("instances.db can't be written: full. Registered"), "{said:?}");
        assert!(said[1].starts_with("The peer's clock is 90 second(s) off"), "{said:?}");
        health.hear(&Note::RegistryRecovered);
        let (license_id, address) = ("01.00000001.002.044", "192.0.2.1:8083");
        health.hear(&Note::PeerInContact {
            license_id: license_id.parse().expect("a license ID"),
            address: address.parse().expect("a name"),
        });
        assert_eq!(told(&health), NOTHING);
    }

    #[test]
    fn what_the_node_counts_is_told_with_its_numbers() {
        let told = Health::default().sentences(3, Some(90_001));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("raised 3 mark(s)"), "{told:?}");
        assert!(told[1].ends_with("for 91 seconds."), "{told:?}");
    }

    fn report(id: usize, left_and_used: Option<(u64, u64)>) -> LicenseReport {
        LicenseReport {
            id: format!("01.00000001.002.{id:03}"),
            version: 2,
            status: "valid".into(),
            reason: None,
            remaining_seconds: left_and_used.map(|(left, _)| left),
            used_seconds: left_and_used.map(|(_, used)| used),
            mode: None,
            customer: None,
            key_type: None,
            expires: None,
            products: Vec::new(),
        }
    }

    #[test]
    fn licenses_that_serve_nobody_or_run_low_are_told() {
        let fine = [report(1, None), report(2, Some((360_000, 0))), report(3, Some((10, 90)))];
        assert_eq!(of_licenses(&fine), NOTHING);
        let low = of_licenses(&[report(1, Some((35_999, 324_001)))]);
        assert!(low[0].contains("002.001 has 9.9 of 100 hour(s) of run time left"), "{low:?}");
        let reason = Some(ve_core::reason::ReasonCode::HoursExhausted);
        let status = "hours-exhausted: none is left.".to_string();
        let ended = LicenseReport { status, reason, ..report(1, Some((0, 360_000))) };
        let told = of_licenses(std::slice::from_ref(&ended));
        let expected = "License 01.00000001.002.001 version 2 is not valid: hours-exhausted: none is \
                        left.";
        assert_eq!(told, [expected]);
        let unreadable = LicenseReport { id: "(unreadable)".into(), version: 0, ..ended.clone() };
        let told = of_licenses(&[unreadable]);
        assert!(told[0].starts_with("License (unreadable) can't be used: hours-ex"), "{told:?}");
        let many = of_licenses(&vec![ended; 10]);
        assert_eq!(many.len(), 9, "{many:?}");
        assert!(many[8].starts_with("So it is with 2 more"), "{many:?}");
    }
}
