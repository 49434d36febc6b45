//! How the service is: what the administrator should know and do something about.

use ve_core::{
    node::{Node, io::Note},
    time::{Now, spoken_duration},
};

use crate::log::notes::ledger_cause;

/// What the node itself does not keep of the service's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    ledger_failure: Option<String>,
}

impl Health {
    /// Takes in what the node tells.
    pub fn hear(&mut self, note: &Note) {
        match note {
            Note::LedgerFailed(why) => self.ledger_failure = Some(ledger_cause(why).to_owned()),
            Note::LedgerRecovered => self.ledger_failure = None,
            _ => {}
        }
    }

    /// Why the ledger can't be written, while it can't.
    pub fn ledger_failure(&self) -> Option<&str> {
        self.ledger_failure.as_deref()
    }

    /// What the administrator should know of the service, a few sentences each; empty when all is
    /// well.
    pub fn attention(&self, node: &Node, now: Now) -> Vec<String> {
        self.sentences(node.marks_raised(), node.holders_unknown_ms(now))
    }

    fn sentences(&self, marks_raised: u64, holders_unknown_ms: Option<u64>) -> Vec<String> {
        let failing = self.ledger_failure.as_ref().map(|why| {
            format!(
                "The ledger can't be written: {why}. Sessions go on and hours are counted, new \
                 sessions are refused. Make room or repair the disk."
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
    fn what_the_node_counts_is_told_with_its_numbers() {
        let told = Health::default().sentences(3, Some(90_001));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("raised 3 mark(s)"), "{told:?}");
        assert!(told[1].ends_with("for 91 seconds."), "{told:?}");
    }
}
