//! What a story looks at.

use super::*;

impl Server {
    /// What it told the log since the effects were last cleared.
    pub(crate) fn notes(&self) -> Vec<&Note> {
        let notes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Note(note) => Some(note),
            _ => None,
        });
        notes.collect()
    }

    /// The revocations that it sent since the effects were last cleared.
    pub(crate) fn revocations(&self) -> Vec<(LinkId, SessionId, &Refusal)> {
        let revocations = self.effects.iter().filter_map(|effect| match effect {
            Effect::Revoke { link, session, refusal } => Some((*link, *session, refusal)),
            _ => None,
        });
        revocations.collect()
    }

    /// The links that it pinged since the effects were last cleared.
    pub(crate) fn pings(&self) -> Vec<LinkId> {
        let pings = self.effects.iter().filter_map(|effect| match effect {
            Effect::Ping { link, .. } => Some(*link),
            _ => None,
        });
        pings.collect()
    }

    /// The state of every session, oldest first: `live`, `left` …
    pub(crate) fn states(&self) -> Vec<&'static str> {
        self.node.sessions(self.now).map(|session| session.state).collect()
    }

    /// The number of the newest session.
    pub(crate) fn newest(&self) -> u64 {
        self.node.sessions(self.now).map(|session| session.record.number.0).max().unwrap()
    }

    /// The durable events, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.ledger.durable.iter().map(|record: &Record| &record.event)
    }

    /// Run time on the meter of the first license, in milliseconds.
    pub(crate) fn used_ms(&self) -> u64 {
        self.node.used_ms(self.now, &self.licenses[0])
    }
}
