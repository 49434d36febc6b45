//! The pace of handshakes. One costs the processor as much as dozens of checks, so thousands that
//! come at the same time would hold up everyone who is licensed. They line up here instead, and only
//! a few at a time stand between a licensed client and the processor.
//!
//! A turn lasts for one step of a handshake and never for a wait: a client that stops half-way holds
//! up no one.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
};

use tokio::{sync::Semaphore, task::yield_now};

/// How many handshakes may be under way before they have to line up.
const MAX_UNPACED: usize = 32;

/// How many steps wait for the processor at the same time, once handshakes line up.
const MAX_STEPS: usize = 8;

/// Paces the handshakes of one server.
#[derive(Debug)]
pub struct Pace {
    turns: Semaphore,
    under_way: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { turns: Semaphore::new(MAX_STEPS), under_way: AtomicUsize::new(0) }
    }
}

impl Pace {
    /// Completes a handshake, step by step.
    pub(super) async fn run<T>(&self, handshake: impl Future<Output = T>) -> T {
        let _counted = Counted::new(&self.under_way);
        let mut handshake = pin!(handshake);
        loop {
            let turn = self.turn().await;
            let step = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            drop(turn);
            match step {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => woken().await,
            }
        }
    }

    /// Waits for a turn, when there are many. Who has one goes to the end of the line of everything
    /// that is ready to run; those without wait elsewhere.
    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if self.under_way.load(Ordering::Relaxed) <= MAX_UNPACED {
            return None;
        }
        let turn = self.turns.acquire().await.expect("nobody closes it");
        yield_now().await;
        Some(turn)
    }
}

/// Counts a handshake for as long as it is under way, however it ends.
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

    #[tokio::test]
    async fn who_stops_half_way_holds_up_no_one() {
        let pace = Arc::new(Pace::default());
        let mut stopped = JoinSet::new();
        for _ in 0..1_000 {
            let pace = Arc::clone(&pace);
            stopped.spawn(async move { pace.run(std::future::pending::<()>()).await });
        }
        let (sender, receiver) = oneshot::channel();
        let ours = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.run(receiver).await }
        });
        while pace.under_way.load(Ordering::Relaxed) < 1_001 {
            yield_now().await;
        }
        sender.send(7).expect("it is waited for");
        assert_eq!(ours.await.expect("no panic"), Ok(7));
        stopped.shutdown().await;
        assert_eq!(pace.under_way.load(Ordering::Relaxed), 0);
        assert_eq!(pace.turns.available_permits(), MAX_STEPS);
    }

    #[tokio::test]
    async fn only_a_few_steps_stand_between_others_and_the_processor() {
        let (pace, steps) = (Arc::new(Pace::default()), Arc::new(AtomicUsize::new(0)));
        let mut crowd = JoinSet::new();
        for _ in 0..1_000 {
            let (pace, steps) = (Arc::clone(&pace), Arc::clone(&steps));
            let three_steps = async move {
                for _ in 0..3 {
                    steps.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            };
            crowd.spawn(async move { pace.run(three_steps).await });
        }
        let mut most = 0;
        while crowd.try_join_next().is_some() || !crowd.is_empty() {
            let before = steps.load(Ordering::Relaxed);
            yield_now().await;
            most = most.max(steps.load(Ordering::Relaxed) - before);
        }
        assert_eq!(steps.load(Ordering::Relaxed), 3_000);
        assert!(most <= MAX_UNPACED + MAX_STEPS, "{most} steps in a row");
    }
}
