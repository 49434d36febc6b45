//! The way to the configured peer: tried for as long as it takes, and again when the link is lost.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use ve_core::{
    license::{Credential, Verified},
    node::{io::Input, peer::PeerFailure},
    reason::{ReasonCode, Refusal},
};
use ve_documents::keys::SigningKey;
use ve_wire::{
    random_bytes,
    tls::{self, Identity, IdentityError},
};

use super::{
    answered,
    hello::{self, Reader, Shown, unreachable},
    name_of, no_peer,
    reach::{addresses, reach},
    talk::{Ended, Talk},
    wire::Connection,
};
use crate::{
    addresses::Addresses,
    config::PeerAddress,
    credentials::{Credentials, Known},
    driver::{Newcomer, NodeHandle, Stopped},
};

/// How long everything up to the other server's papers may take. It may have to line up there.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait after the first failure, and at most: each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait when either side says that the other is no peer: somebody has to change
/// something.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_mins(1);

/// A link that has stood for so long was a good one.
const GOOD_LINK: Duration = Duration::from_secs(10);

/// What an administrator wants of the link to the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Where the peer is.
    pub address: Option<PeerAddress>,
    /// Counts how often this was said: each time a peer that was refused is tried again at once.
    pub times: u64,
}

/// Dials the peer.
pub struct Dialer {
    tls: TlsConnector,
    node: NodeHandle,
    addresses: Arc<Addresses>,
    wishes: Wishes,
}

impl Dialer {
    /// A dialer that shows the server's own key.
    pub fn new(
        key: &SigningKey,
        credentials: &Credentials,
        node: NodeHandle,
        addresses: Arc<Addresses>,
        wish: watch::Receiver<Wish>,
    ) -> Result<Self, IdentityError> {
        let config = tls::client_config(Identity::from_pkcs8(&key.pkcs8_der())?)?;
        let wishes = Wishes { wish, known: credentials.changes() };
        Ok(Self { tls: Arc::new(config).into(), node, addresses, wishes })
    }

    /// Keeps a link to the peer, wherever that is said to be, until the server stops.
    pub async fn run(mut self) {
        // That it stops is all that can go wrong.
        let Err(Stopped) = self.dial_for_ever().await;
    }

    async fn dial_for_ever(&mut self) -> Result<Infallible, Stopped> {
        let mut pauses = Pauses::default();
        loop {
            let Some((address, known)) = self.wishes.current() else {
                self.say_that_nothing_is_shown().await?;
                self.wishes.changed().await?;
                continue;
            };
            let begun = Instant::now();
            let after = self.attempt(&address, &known).await?;
            if begun.elapsed() >= GOOD_LINK {
                pauses = Pauses::default();
            }
            let pause = match after {
                After::Changed => continue,
                After::Refused => PAUSE_AFTER_REFUSAL,
                After::Failed => pauses.next(),
            };
            tokio::select! {
                changed = self.wishes.changed() => {
                    changed?;
                    pauses = Pauses::default();
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// Dials once, and talks for as long as that goes.
    async fn attempt(
        &mut self,
        address: &PeerAddress,
        known: &Arc<Known>,
    ) -> Result<After, Stopped> {
        let served = self.node.look(|node, _| node.served_autove()).await?;
        let shown = Shown { known, credentials: known.shown_as_peer(served.as_ref()) };
        let connecting = connect(&self.tls, &self.addresses, address, &shown);
        let connected = tokio::select! {
            connected = timeout(PATIENCE, connecting) => connected,
            changed = self.wishes.differ_from(address, known) => return changed.map(|()| After::Changed),
        };
        let no_answer = |_| Err(unreachable(format!("no answer within {} s", PATIENCE.as_secs())));
        let (newcomer, connection) = match connected.unwrap_or_else(no_answer) {
            Ok((at, reader, credential)) => {
                let (link, address) = (self.node.name_link(), name_of(at));
                let newcomer = Newcomer { link, credential, address, dialed: true };
                (newcomer, Connection::dialed(reader))
            }
            Err(failure) => return self.failed(named(failure, address)).await,
        };
        let link = newcomer.link;
        let queue = self.node.open_peer(newcomer).await?;
        let mut talk = Talk::new(&self.node, link, connection, queue);
        let ended = tokio::select! {
            ended = talk.run() => ended,
            changed = self.wishes.differ_from(address, known) => {
                changed?;
                talk.end(&Ended::Changed).await?;
                return Ok(After::Changed);
            }
        };
        talk.end(&ended).await?;
        match ended {
            Ended::Stopping | Ended::Stopped(_) => Err(Stopped),
            // The node has said why.
            Ended::RefusedHere(refusal) if passes(&refusal) => Ok(After::Failed),
            Ended::RefusedHere(_) => Ok(After::Refused),
            Ended::RefusedThere(refusal) => {
                let failure = PeerFailure::Refused(answered(&refusal));
                self.failed(named(failure, address)).await
            }
            Ended::Broken(refusal) => {
                self.failed(named(PeerFailure::Refused(refusal), address)).await
            }
            Ended::Closed | Ended::Silent | Ended::TooSlow | Ended::Failed(_) | Ended::Changed => {
                Ok(After::Failed)
            }
        }
    }

    /// A peer is configured, and this server has nothing that would make it one.
    async fn say_that_nothing_is_shown(&self) -> Result<(), Stopped> {
        if self.wishes.wish.borrow().address.is_none() {
            return Ok(());
        }
        let refusal = no_peer("this server has no AutoVE license, so it can't have a peer.");
        self.failed(PeerFailure::Refused(refusal)).await.map(drop)
    }

    async fn failed(&self, failure: PeerFailure) -> Result<After, Stopped> {
        let (refusal, after) = judged(failure);
        self.node.input(Input::PeerFailed { refusal }).await?;
        Ok(after)
    }
}

/// Whether a refusal ends by itself.
fn passes(refusal: &Refusal) -> bool {
    matches!(refusal.code, ReasonCode::ServerBusy | ReasonCode::ServerDraining)
}

/// The same, with the address that was tried.
fn named(failure: PeerFailure, address: &PeerAddress) -> PeerFailure {
    match failure {
        PeerFailure::Unreachable(why) => unreachable(format!("{address}: {why}")),
        PeerFailure::Refused(refusal) => {
            let sentence = format!("{address}: {}", refusal.sentence);
            PeerFailure::Refused(Refusal { sentence, ..refusal })
        }
    }
}

/// What a failure is to the node, and what comes after it: a server that has no time now is no
/// stranger.
fn judged(failure: PeerFailure) -> (PeerFailure, After) {
    match failure {
        PeerFailure::Refused(refusal) if passes(&refusal) => (unreachable(refusal), After::Failed),
        PeerFailure::Refused(_) => (failure, After::Refused),
        PeerFailure::Unreachable(_) => (failure, After::Failed),
    }
}

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Another one at once: something else is wanted.
    Changed,
    /// Another one soon.
    Failed,
    /// Another one when somebody may have changed something.
    Refused,
}

type Connected = (SocketAddr, Reader, Verified<Credential>);

async fn connect(
    tls: &TlsConnector,
    links: &Addresses,
    address: &PeerAddress,
    shown: &Shown<'_>,
) -> Result<Connected, PeerFailure> {
    let found = addresses(address).await.map_err(unreachable)?;
    for at in &found {
        links.expect_peer(at.ip());
    }
    let stream = reach(&found).await.map_err(unreachable)?;
    let at = stream.peer_addr().map_err(unreachable)?;
    let (reader, credential) = hello::greet(tls, stream, shown).await?;
    Ok((at, reader, credential))
}

/// What the dialer goes by, as it is now.
struct Wishes {
    wish: watch::Receiver<Wish>,
    known: watch::Receiver<Arc<Known>>,
}

impl Wishes {
    /// Where to dial, and with what; `None`: nobody wants it, or there is nothing to show.
    fn current(&mut self) -> Option<(PeerAddress, Arc<Known>)> {
        let known = Arc::clone(&self.known.borrow_and_update());
        let address = self.wish.borrow_and_update().address.clone()?;
        (!known.of_peers().is_empty()).then_some((address, known))
    }

    async fn changed(&mut self) -> Result<(), Stopped> {
        tokio::select! {
            changed = self.wish.changed() => changed.map_err(|_| Stopped),
            changed = self.known.changed() => changed.map_err(|_| Stopped),
        }
    }

    /// Waits until something else is to be dialed, or something else to be shown.
    async fn differ_from(&mut self, address: &PeerAddress, known: &Known) -> Result<(), Stopped> {
        loop {
            self.changed().await?;
            let is_the_same = self.current().is_some_and(|(to, with)| {
                to == *address
                    && with.of_peers() == known.of_peers()
                    && with.vendor_keys == known.vendor_keys
            });
            if !is_the_same {
                return Ok(());
            }
        }
    }
}

/// How long to wait after a failure: longer each time, and never twice the same, so that two servers
/// that dial each other fall out of step.
struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        let [random] = random_bytes::<1>();
        // Three quarters of it, and up to half of it more.
        pause.mul_f64(0.75 + f64::from(random) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_time_now_is_asked_again_soon() {
        let refused = |code| PeerFailure::Refused(Refusal::new(code, "because"));
        for (failure, soon) in [
            (refused(ReasonCode::ServerBusy), true),
            (refused(ReasonCode::ServerDraining), true),
            (unreachable("no route"), true),
            (refused(ReasonCode::LicenseNotAvailable), false),
            (refused(ReasonCode::BadRequest), false),
        ] {
            let (told, after) = judged(failure);
            assert_eq!(matches!(told, PeerFailure::Unreachable(_)), soon, "{told:?}");
            assert_eq!(after, if soon { After::Failed } else { After::Refused }, "{told:?}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_differ() {
        let mut pauses = Pauses::default();
        let taken: Vec<Duration> = (0..20).map(|_| pauses.next()).collect();
        assert!(taken[0] < FIRST_PAUSE * 2 && taken[0] >= FIRST_PAUSE / 2, "{taken:?}");
        let last = &taken[10..];
        assert!(last.iter().all(|pause| *pause <= LONGEST_PAUSE * 5 / 4), "{last:?}");
        assert!(last.iter().all(|pause| *pause >= LONGEST_PAUSE * 3 / 4), "{last:?}");
        assert!(last.iter().any(|pause| *pause != last[0]), "{last:?}");
    }
}
