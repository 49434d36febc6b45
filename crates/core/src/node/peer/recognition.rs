//! Who may be a peer: a server of the same customer, with an AutoVE license and a key of its own.

use alloc::{format, string::String, vec::Vec};

use super::Node;
use crate::{
    id::LinkId,
    license::{Credential, Mode},
    node::io::Effect,
    reason::{ReasonCode, Refusal},
    time::Now,
};

impl Node {
    /// Whether a server may be the peer, by what its vendor says of it. Either server shows the words of
    /// a refusal, so they name licenses where they can, and not this server and the other one.
    pub(super) fn recognize(&self, other: &Credential) -> Result<(), Refusal> {
        let refuse =
            |sentence: String| Err(Refusal::new(ReasonCode::LicenseNotAvailable, sentence));
        if other.server_key == self.settings.server_key {
            return refuse(
                "the address leads back to the same server: it can't be its own peer.".into(),
            );
        }
        let Some(own) = self.own_autove() else { return refuse(self.why_no_peers()) };
        let id = &other.license_id;
        if other.mode != Mode::AutoVe {
            return refuse(format!(
                "license {id} is for general mode, and peers are in AutoVE mode."
            ));
        }
        if other.customer != own.customer {
            return refuse(format!(
                "license {id} is another customer's: {}; license {} is of {}.",
                other.customer, own.id, own.customer
            ));
        }
        if *id == own.id {
            return refuse(format!(
                "both servers have license {id}; each peer needs a license of its own."
            ));
        }
        match self.peer_in_the_way_of(other) {
            Some(license_id) => refuse(format!(
                "the server of license {} has a peer and is in contact with it: license {license_id}.",
                own.id
            )),
            None => Ok(()),
        }
    }

    fn why_no_peers(&self) -> String {
        if self.licenses.values().any(|installed| installed.license.mode == Mode::General) {
            "this server is in general mode, and peers are in AutoVE mode.".into()
        } else {
            "this server has no AutoVE license yet, so it can't tell its peer.".into()
        }
    }

    /// The license of another server that is the peer, as long as it is in contact.
    fn peer_in_the_way_of(&self, other: &Credential) -> Option<&crate::id::LicenseId> {
        let in_contact = self.peers.links.values().filter(|link| link.has_status);
        let mut others = in_contact.filter(|link| link.credential.server_key != other.server_key);
        others.next().map(|link| &link.credential.license_id)
    }

    /// A newly recognized server takes the place of any other, and a server's new license the place
    /// of the one that it had.
    pub(super) fn drop_strangers(&mut self, now: Now, peer: &Credential) {
        let links = self.peers.links.iter();
        let strangers: Vec<LinkId> =
            links.filter(|(_, link)| link.credential != *peer).map(|(link, _)| *link).collect();
        for link in strangers {
            let sentence = format!("license {} has taken this one's place.", peer.license_id);
            self.refuse_peer(now, link, Refusal::new(ReasonCode::LicenseNotAvailable, sentence));
        }
    }

    /// Judges the links anew: this server's own license may be another now, or gone.
    pub(in crate::node) fn judge_peers(&mut self, now: Now) {
        let links = self.peers.links.iter();
        let judged = links.map(|(link, peer)| (*link, self.recognize(&peer.credential)));
        let refused: Vec<(LinkId, Refusal)> =
            judged.filter_map(|(link, judged)| Some((link, judged.err()?))).collect();
        for (link, refusal) in refused {
            self.refuse_peer(now, link, refusal);
        }
        self.end_links_of_before(now);
    }

    /// A peer knows this server by the license that it was shown. When another one is served, both
    /// begin anew; nobody is at fault.
    fn end_links_of_before(&mut self, now: Now) {
        let Some(own) = self.own_autove().map(|license| license.id.clone()) else { return };
        let links = self.peers.links.iter();
        let before: Vec<LinkId> = links
            .filter(|(_, peer)| peer.shown.as_ref() != Some(&own))
            .map(|(link, _)| *link)
            .collect();
        for link in before {
            let sentence = format!("license {own} is served from now on; connect again.");
            let refusal = Refusal::new(ReasonCode::ServerBusy, sentence);
            self.peers.links.remove(&link);
            self.effects.push_back(Effect::RefusePeer { link, refusal });
            self.lose_link(now, link);
        }
    }
}
