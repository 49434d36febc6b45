//! The suite that both engines pass.

use ve_core::registry::{Batch, Position, RememberedHosts, Span, changes::MAX_SPANS};
use ve_store::{AppendFailure, HostStore, MemoryHosts};

use crate::hosts::entries::{
    Place, batch, entry, fresh, numbers, peer, pulled, retired, span, written,
};

/// A registry that can be started again.
trait Engine {
    type Store: HostStore;

    /// Starts it with a new span.
    fn start(&mut self, number: u8) -> Self::Store;
}

impl Engine for Option<MemoryHosts> {
    type Store = MemoryHosts;

    fn start(&mut self, number: u8) -> MemoryHosts {
        match self {
            Some(memory) => memory.restart(span(number), false),
            None => *self = Some(MemoryHosts::new(span(number))),
        }
        self.clone().expect("it is made")
    }
}

impl Engine for Place {
    type Store = ve_store::EmbeddedHosts;

    fn start(&mut self, number: u8) -> ve_store::EmbeddedHosts {
        Place::start(self, number)
    }
}

/// A check for both engines.
trait Check {
    fn run<E: Engine>(&self, engine: E);
}

fn on_both(check: &impl Check) {
    println!("memory");
    check.run(None::<MemoryHosts>);
    println!("embedded");
    check.run(Place::new());
}

fn remembered(store: &mut impl HostStore) -> RememberedHosts {
    store.remember().expect("a registry")
}

/// What follows when these batches are written one by one.
struct AddsUp {
    batches: Vec<Batch>,
    expected: RememberedHosts,
}

impl Check for AddsUp {
    fn run<E: Engine>(&self, mut engine: E) {
        let mut store = engine.start(1);
        for batch in &self.batches {
            written(&mut store, std::slice::from_ref(batch));
        }
        assert_eq!(remembered(&mut store), self.expected);
        store.close().expect("a tidy end");
        let mut again = engine.start(2);
        let mut expected = self.expected.clone();
        let last = expected.entries.iter().map(|(number, _)| *number).max().unwrap_or(0);
        expected.spans.push(Span { id: span(2), after: last });
        assert_eq!(remembered(&mut again), expected);
    }
}

fn adds_up(
    batches: impl IntoIterator<Item = Batch>,
    expected: impl FnOnce(RememberedHosts) -> RememberedHosts,
) {
    let expected = expected(RememberedHosts::empty(span(1)));
    on_both(&AddsUp { batches: batches.into_iter().collect(), expected });
}

#[test]
fn a_new_registry_has_a_span_and_nothing_else() {
    adds_up([], |empty| empty);
}

#[test]
fn entries_are_kept_as_they_were_last() {
    let entries = vec![(2, entry(2)), (3, retired(1))];
    let batches = [fresh([1]), fresh([2]), batch([(3, retired(1))])];
    adds_up(batches, |empty| RememberedHosts { entries, ..empty });
}

#[test]
fn an_entry_that_changes_twice_in_a_batch_is_kept_once() {
    let changes = batch([(1, entry(1)), (2, retired(1))]);
    adds_up([changes], |empty| RememberedHosts { entries: vec![(2, retired(1))], ..empty });
}

/// A retirement waits for the ledger, and others go ahead.
#[test]
fn a_change_that_comes_late_undoes_none_that_came_after_it() {
    let batches = [batch([(2, retired(1))]), batch([(1, entry(1))]), fresh([5]), fresh([4])];
    let entries = vec![(2, retired(1)), (4, entry(4)), (5, entry(5))];
    adds_up(batches, |empty| RememberedHosts { entries, ..empty });
}

#[test]
fn the_cursor_and_the_peer_stay_until_there_is_news() {
    let batches = [
        Batch { pulled: Some(pulled(7)), peer: Some(peer(10)), ..fresh([1]) },
        fresh([2]),
        Batch { pulled: Some(pulled(9)), ..Batch::default() },
        Batch { peer: Some(peer(20)), ..Batch::default() },
    ];
    let entries = vec![(1, entry(1)), (2, entry(2))];
    adds_up(batches, |empty| RememberedHosts {
        entries,
        pulled: Some(pulled(9)),
        peer: Some(peer(20)),
        ..empty
    });
}

#[test]
fn writing_nothing_is_fine() {
    struct Nothing;
    impl Check for Nothing {
        fn run<E: Engine>(&self, mut engine: E) {
            let mut store = engine.start(1);
            store.write(&[]).expect("nothing to do");
            written(&mut store, &[Batch::default(), Batch::default()]);
            assert_eq!(remembered(&mut store), RememberedHosts::empty(span(1)));
        }
    }
    on_both(&Nothing);
}

/// A batch that breaks a rule is named, and nothing of the whole call is kept: no entry, no cursor.
#[test]
fn what_breaks_a_rule_is_refused_whole_and_named() {
    struct Refused(Batch, &'static str);
    impl Check for Refused {
        fn run<E: Engine>(&self, mut engine: E) {
            drop(engine.start(1).write(&[&fresh(1..=3)]));
            let mut store = engine.start(2);
            written(&mut store, &[Batch { pulled: Some(pulled(7)), ..fresh([4]) }]);
            let before = remembered(&mut store);
            let good = Batch { pulled: Some(pulled(8)), peer: Some(peer(1)), ..fresh([5]) };
            let failure = store.write(&[&good, &self.0]).expect_err("refused");
            let AppendFailure::Batch { index: 1, why } = failure else { panic!("{failure:?}") };
            assert!(why.contains(self.1), "{why}");
            assert_eq!(remembered(&mut store), before);
            written(&mut store, &[good]);
            assert_eq!(remembered(&mut store).pulled, Some(pulled(8)));
        }
    }
    let high = Position { span: span(9), number: u64::MAX };
    for (batch, why) in [
        (fresh([3]), "change 3 is not above 3, the last before this start"),
        (fresh([6, u64::MAX]), "is above 72057594037927936, the highest there can be"),
        (Batch { pulled: Some(high), ..fresh([6]) }, "the peer's change 18446744073709551615 is"),
        (batch([(4, entry(9))]), ""),
    ] {
        on_both(&Refused(batch, why));
    }
}

#[test]
fn each_start_has_a_span_and_the_oldest_are_forgotten() {
    struct Spans;
    impl Check for Spans {
        fn run<E: Engine>(&self, mut engine: E) {
            let starts = u8::try_from(MAX_SPANS + 10).expect("few");
            for number in 1..=starts {
                let mut store = engine.start(number);
                // Not in every one: a span may be empty.
                if number % 3 > 0 {
                    written(&mut store, &[fresh([u64::from(number)])]);
                }
                let hosts = remembered(&mut store);
                let newest = hosts.spans.last().expect("this start's");
                assert_eq!(newest.id, span(number));
                assert_eq!(
                    newest.after,
                    u64::from((number - 1) - u8::from(number % 3 == 1 && number > 1))
                );
                store.close().expect("a tidy end");
            }
            let mut store = engine.start(starts + 1);
            let spans = remembered(&mut store).spans;
            assert_eq!(spans.len(), MAX_SPANS);
            let ids = (1..=starts + 1).map(span).skip(usize::from(starts + 1) - MAX_SPANS);
            assert!(spans.iter().map(|span| span.id).eq(ids), "{spans:?}");
        }
    }
    on_both(&Spans);
}

#[test]
fn a_broken_memory_is_repaired_and_an_old_copy_can_be_put_back() {
    let mut store = MemoryHosts::new(span(1));
    written(&mut store, &[fresh([1])]);
    let old = store.copy();
    store.break_with("disk full");
    let full = Err(AppendFailure::Ledger("disk full".into()));
    assert_eq!(store.clone().write(&[&fresh([2])]), full);
    store.repair();
    written(&mut store.clone(), &[fresh([2])]);
    assert_eq!(numbers(&remembered(&mut store)), [1, 2]);
    store.put_back(&old);
    store.restart(span(2), true);
    let hosts = remembered(&mut store);
    assert_eq!((numbers(&hosts), hosts.may_lack_hosts), (vec![1], true));
    assert_eq!(hosts.spans.last(), Some(&Span { id: span(2), after: 1 }));
}
