//! The pace of handshakes. One costs the processor as much as dozens of checks, so thousands that
//! come at the same time would hold up everyone who is licensed. They line up here instead, and only
//! a few at a time stand between a licensed client and the processor.
//!
//! Who comes first is let in first, and who has begun is done before many others begin: if all went
//! one step at a time, the last of ten thousand clients would be as late as the first, and all of
//! them too late. Time in the line costs no client its time-out.
//!
//! A turn at the processor lasts for one step of a handshake and never for a wait, and a client that
//! keeps us waiting loses its place among those that have begun: one that stops half-way holds up
//! no one for longer than a blink.
//!
//! Peers don't stand in line: when all clients come at once, a server needs its peer most.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::yield_now,
    time::{Instant, timeout},
};

/// How many handshakes may be under way before they have to line up.
const MAX_UNPACED: usize = 32;

/// How many handshakes have begun at the same time, once they line up.
const MAX_BEGUN: usize = 256;

/// How many steps wait for the processor at the same time, once handshakes line up.
const MAX_STEPS: usize = 8;

/// For how long in all a handshake keeps its place while it waits for its client. A client on the
/// other side of the world needs less.
const CLIENTS_SHARE: Duration = Duration::from_millis(500);

/// How many handshakes of peers go past the line at the same time.
const MAX_PEERS: usize = 8;

/// Paces the handshakes of one server.
#[derive(Debug)]
pub struct Pace {
    places: Semaphore,
    turns: Semaphore,
    peers: Semaphore,
    under_way: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            places: Semaphore::new(MAX_BEGUN),
            turns: Semaphore::new(MAX_STEPS),
            peers: Semaphore::new(MAX_PEERS),
            under_way: AtomicUsize::new(0),
        }
    }
}

impl Pace {
    /// Waits in the line until a handshake may begin; that of a peer may at once.
    pub(super) async fn turn(&self, is_peer: bool) -> Turn<'_> {
        let counted = Counted::new(&self.under_way);
        let (mut place, mut past) = (None, None);
        if !self.is_calm() {
            // Clients behind a peer's address can't all go past the others.
            past = self.peers.try_acquire().ok().filter(|_| is_peer);
            if past.is_none() {
                place = Some(of(&self.places).await);
            }
        }
        Turn { pace: self, place, _past: past, _counted: counted }
    }

    fn is_calm(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) <= MAX_UNPACED
    }

    /// Waits for the processor, when many do. Who has a turn goes to the end of the line of
    /// everything that is ready to run; those without wait elsewhere.
    async fn step(&self) -> Option<SemaphorePermit<'_>> {
        if self.is_calm() {
            return None;
        }
        let turn = of(&self.turns).await;
        yield_now().await;
        Some(turn)
    }
}

async fn of(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore.acquire().await.expect("nobody closes it")
}

/// A handshake that may begin.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    /// Its place among those that have begun; none when there is no line, or when it was lost.
    place: Option<SemaphorePermit<'a>>,
    /// Its leave to go past the line.
    _past: Option<SemaphorePermit<'a>>,
    _counted: Counted<'a>,
}

impl Turn<'_> {
    /// Whether there was a line.
    pub(super) fn was_waited_for(&self) -> bool {
        self.place.is_some()
    }

    /// Completes the handshake, step by step.
    pub(super) async fn run<T>(mut self, handshake: impl Future<Output = T>) -> T {
        let mut handshake = pin!(handshake);
        let mut share = CLIENTS_SHARE;
        loop {
            let turn = self.pace.step().await;
            let step = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            drop(turn);
            match step {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => self.wait(&mut share).await,
            }
        }
    }

    /// Waits for whatever the last step waits for. A place is kept for the rest of the `share`.
    async fn wait(&mut self, share: &mut Duration) {
        if self.place.is_none() {
            return woken().await;
        }
        let since = Instant::now();
        // Woken by the time or by the client: the next step finds out.
        let _ = timeout(*share, woken()).await;
        *share = share.saturating_sub(since.elapsed());
        if share.is_zero() {
            self.place = None;
        }
    }
}

/// Counts a handshake for as long as it is under way, however it ends.
#[derive(Debug)]
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(under_way: &'a AtomicUsize) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self(under_way)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until this task is woken, by whatever a step that was just taken waits for.
async fn woken() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{sync::oneshot, task::JoinSet};

    use super::*;

    async fn run<T>(pace: &Pace, handshake: impl Future<Output = T>) -> T {
        pace.turn(false).await.run(handshake).await
    }

    #[tokio::test]
    async fn a_peer_goes_past_the_line() {
        let pace = Arc::new(Pace::default());
        let crowd: Vec<_> = (0..MAX_UNPACED).map(|_| Counted::new(&pace.under_way)).collect();
        let mut places = Vec::new();
        while places.len() < MAX_BEGUN {
            places.push(pace.turn(false).await);
        }
        let waits = |is_peer| {
            let mut turn = Box::pin(pace.turn(is_peer));
            let waker = std::task::Waker::noop();
            turn.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending()
        };
        assert!(waits(false), "a client stands in line");
        let mut peers = Vec::new();
        while peers.len() < MAX_PEERS {
            assert!(!waits(true));
            peers.push(pace.turn(true).await);
        }
        assert!(waits(true), "not all who come from there");
        drop((peers, crowd, places));
        assert_eq!(pace.peers.available_permits(), MAX_PEERS);
    }

    #[tokio::test]
    async fn who_stops_half_way_holds_up_no_one() {
        let pace = Arc::new(Pace::default());
        let mut stopped = JoinSet::new();
        for _ in 0..1_000 {
            let pace = Arc::clone(&pace);
            stopped.spawn(async move { run(&pace, std::future::pending::<()>()).await });
        }
        let (sender, receiver) = oneshot::channel();
        let ours = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { run(&pace, receiver).await }
        });
        while pace.under_way.load(Ordering::Relaxed) < 1_001 {
            yield_now().await;
        }
        sender.send(7).expect("it is waited for");
        assert_eq!(ours.await.expect("no panic"), Ok(7));
        stopped.shutdown().await;
        assert_eq!(pace.under_way.load(Ordering::Relaxed), 0);
        assert_eq!(pace.turns.available_permits(), MAX_STEPS);
        assert_eq!(pace.places.available_permits(), MAX_BEGUN);
    }

    /// What a crowd of handshakes has come to.
    #[derive(Default)]
    struct Crowd {
        steps: AtomicUsize,
        begun: AtomicUsize,
        done: AtomicUsize,
        most_begun: AtomicUsize,
    }

    impl Crowd {
        async fn three_steps(&self) {
            let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_begun.fetch_max(begun, Ordering::Relaxed);
            for _ in 0..3 {
                self.steps.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
            self.begun.fetch_sub(1, Ordering::Relaxed);
            self.done.fetch_add(1, Ordering::Relaxed);
        }

        fn gather(self: &Arc<Self>, pace: &Arc<Pace>, count: usize) -> JoinSet<usize> {
            let mut crowd = JoinSet::new();
            for number in 0..count {
                let (pace, all) = (Arc::clone(pace), Arc::clone(self));
                crowd.spawn(async move {
                    run(&pace, all.three_steps()).await;
                    number
                });
            }
            crowd
        }
    }

    #[tokio::test]
    async fn only_a_few_steps_stand_between_others_and_the_processor() {
        let (pace, all) = (Arc::new(Pace::default()), Arc::new(Crowd::default()));
        let mut crowd = all.gather(&pace, 1_000);
        let mut most = 0;
        while crowd.try_join_next().is_some() || !crowd.is_empty() {
            let before = all.steps.load(Ordering::Relaxed);
            yield_now().await;
            most = most.max(all.steps.load(Ordering::Relaxed) - before);
        }
        assert_eq!(all.steps.load(Ordering::Relaxed), 3_000);
        assert!(most <= MAX_UNPACED + MAX_STEPS, "{most} steps in a row");
    }

    #[tokio::test]
    async fn who_came_first_is_done_before_the_last_begin() {
        const COUNT: usize = 10_000;
        let (pace, all) = (Arc::new(Pace::default()), Arc::new(Crowd::default()));
        let mut crowd = all.gather(&pace, COUNT);
        let mut order = Vec::with_capacity(COUNT);
        while let Some(done) = crowd.join_next().await {
            order.push(done.expect("no panic"));
        }
        let most = all.most_begun.load(Ordering::Relaxed);
        assert!((MAX_STEPS..=MAX_BEGUN + MAX_UNPACED).contains(&most), "{most} had begun at once");
        let late = order.iter().enumerate().map(|(place, number)| place.abs_diff(*number)).max();
        assert!(late <= Some(MAX_BEGUN + MAX_UNPACED), "someone was overtaken by {late:?} others");
        assert_eq!(all.done.load(Ordering::Relaxed), COUNT);
    }
}
