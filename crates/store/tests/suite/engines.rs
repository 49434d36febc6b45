//! The suite that every engine passes.

use ve_core::{
    node::event::{Event, Record, Remembered, SessionRecord},
    time::Utc,
};
use ve_store::{AppendFailure, Limits, MAX_DENIALS, MAX_RECORDS, Memory, Store};

use crate::events::{
    Home, blocked, closed, denied, homed, host, license, marked, metered, name, opened, record,
    registered, retired, retired_host, seen, session, used,
};

fn on_every_engine(limits: Limits, check: impl Fn(&mut dyn Store)) {
    println!("memory");
    check(&mut Memory::with_limits(limits));
    println!("embedded");
    check(&mut Home::new().open_with(limits));
}

/// Appends each event as a batch of its own and compares what is remembered then; the positions are
/// 1, 2, 3 …
fn adds_up(events: &[Event], expected: &Remembered) {
    on_every_engine(Limits::default(), |store| {
        for (position, event) in (1..).zip(events) {
            let batch = [record(position, event.clone())];
            store.append(&[&batch]).expect("durable");
        }
        assert_eq!(store.remember().as_ref(), Ok(expected), "{events:#?}");
    });
}

fn remembered(position: u64) -> Remembered {
    Remembered { position, ..Remembered::default() }
}

#[test]
fn a_new_ledger_remembers_nothing() {
    adds_up(&[], &remembered(0));
}

#[test]
fn a_session_holds_its_seat_until_it_is_closed() {
    let both = vec![session(1), session(2)];
    let opened_both = Remembered { last_session: 2, sessions: both, ..remembered(2) };
    adds_up(&[opened(1), opened(2)], &opened_both);
    let second = vec![session(2)];
    let closed_first = Remembered { last_session: 2, sessions: second, ..remembered(3) };
    adds_up(&[opened(1), opened(2), closed(1)], &closed_first);
}

#[test]
fn the_highest_session_number_outlives_its_session() {
    let none_left = Remembered { last_session: 7, ..remembered(2) };
    adds_up(&[opened(7), closed(7)], &none_left);
}

#[test]
fn closing_a_session_twice_changes_nothing_more() {
    let none_left = Remembered { last_session: 7, ..remembered(5) };
    adds_up(&[opened(7), closed(7), closed(7), closed(8), closed(u64::MAX)], &none_left);
}

#[test]
fn a_successor_takes_its_predecessors_seat() {
    let successor = SessionRecord { replaces: Some(session(1).number), ..session(2) };
    let events = [opened(1), Event::SessionOpened(successor.clone())];
    let sessions = vec![successor];
    adds_up(&events, &Remembered { last_session: 2, sessions, ..remembered(2) });
}

#[test]
fn a_released_run_is_blocked_until_that_emulator_is_let_in_again() {
    let [old, new, other] = [blocked(1, "a", 1), blocked(1, "a", 2), blocked(1, "b", 1)];
    let blocks = [old, new.clone(), other.clone()].map(Event::RunBlocked);
    let blocked = vec![new, other.clone()];
    adds_up(&blocks, &Remembered { blocked, ..remembered(3) });

    let let_in = SessionRecord { host: other.host, emulator: name("a"), ..session(1) };
    let events = [blocks.to_vec(), vec![Event::SessionOpened(let_in.clone())]].concat();
    let expected = Remembered {
        last_session: 1,
        sessions: vec![let_in],
        blocked: vec![other],
        ..remembered(4)
    };
    adds_up(&events, &expected);
}

#[test]
fn versions_hours_and_the_time_mark_only_go_up() {
    let events = [
        seen(1, 3),
        seen(1, 2),
        seen(2, 1),
        used(1, 3, 500),
        used(1, 3, 499),
        used(1, 4, 0),
        marked(1_000),
        marked(999),
    ];
    let expected = Remembered {
        versions: [(license(1), 3), (license(2), 1)].into(),
        meters: [((license(1), 3), metered(500)), ((license(1), 4), metered(0))].into(),
        time_mark: Some(Utc(1_000)),
        ..remembered(8)
    };
    adds_up(&events, &expected);
}

#[test]
fn a_retired_host_stays_retired_as_it_was_first() {
    let events = [retired(1, 1, 100), retired(2, 2, 200), registered(1), retired(1, 2, 300)];
    let retired_hosts = [(host(1), retired_host(1, 100)), (host(2), retired_host(2, 200))].into();
    adds_up(&events, &Remembered { retired_hosts, ..remembered(4) });
}

#[test]
fn the_last_count_of_hosts_at_home_counts() {
    let events = [homed(1, 7), homed(2, 1), homed(1, 5), registered(3)];
    let homed = [(license(1), 5), (license(2), 1)].into();
    adds_up(&events, &Remembered { homed, ..remembered(4) });
}

/// What happened to hosts is in the audit trail; how many there are is not.
#[test]
fn the_trail_names_hosts_and_does_not_count_them() {
    let batch = [record(1, registered(1)), record(2, homed(1, 1)), record(3, retired(1, 1, 9))];
    on_every_engine(Limits::default(), |store| {
        store.append(&[&batch]).expect("durable");
        assert_eq!(store.records(9), Ok(vec![batch[2].clone(), batch[0].clone()]));
        // The reserve is for marks of licenses and of time.
        for record in &batch {
            let refused = store.reserve(std::slice::from_ref(record));
            assert!(matches!(refused, Err(AppendFailure::Batch { .. })), "{refused:?}");
        }
    });
}

#[test]
fn a_denial_changes_nothing_but_the_position() {
    adds_up(&[denied()], &remembered(1));
}

#[test]
fn the_trail_and_the_denials_are_kept_apart_and_read_backwards() {
    let events = [opened(1), denied(), used(1, 1, 5), marked(9), closed(1), denied()];
    let batch: Vec<Record> =
        (1..).zip(events).map(|(position, event)| record(position, event)).collect();
    on_every_engine(Limits::default(), |store| {
        store.append(&[&batch]).expect("durable");
        let trail = store.records(9).expect("the trail");
        assert_eq!(trail, [batch[4].clone(), batch[0].clone()]);
        assert_eq!(store.records(1).expect("the trail"), [batch[4].clone()]);
        let denials = store.denials(usize::MAX).expect("denials");
        let positions: Vec<u64> = denials.iter().map(|denied| denied.position).collect();
        assert_eq!(positions, [6, 2]);
        assert_eq!(
            (denials[0].at, Event::Denied(denials[0].denial.clone())),
            (batch[5].at, denied())
        );
    });
}

#[test]
fn only_the_newest_rows_stay_and_what_they_add_up_to_does_not_need_them() {
    let limits = Limits { records: 5, denials: 3, ..Limits::default() };
    on_every_engine(limits, |store| {
        for number in 1..=40 {
            let position = number * 2;
            let batch = [record(position - 1, opened(number)), record(position, denied())];
            store.append(&[&batch]).expect("durable");
        }
        let positions = |records: Vec<Record>| -> Vec<u64> {
            records.into_iter().map(|record| record.position).collect()
        };
        assert_eq!(positions(store.records(99).expect("the trail")), [79, 77, 75, 73, 71]);
        assert_eq!(store.denials(99).expect("denials").len(), 3);
        assert_eq!(store.remember().expect("sessions").sessions.len(), 40);
    });
}

#[test]
fn enough_is_kept() {
    let Limits { records, denials, pages } = Limits::default();
    assert_eq!((records, denials, pages), (MAX_RECORDS, MAX_DENIALS, None));
    assert_eq!((MAX_RECORDS, MAX_DENIALS), (1_000_000, 10_000));
}

#[test]
fn what_breaks_a_rule_is_refused_whole_and_named() {
    let high = u64::MAX;
    let cases = [
        (vec![record(2, opened(2))], "position 2 is not above 2, the last one"),
        (vec![record(1, opened(2))], "position 1 is not above 2, the last one"),
        (vec![record(high, opened(2))], "is above 72057594037927936, the highest there can be"),
        (vec![record(3, opened(1))], "session number 1 is not above 1, the last one"),
        (vec![record(3, opened(high))], "is above 72057594037927936, the highest there can be"),
        (vec![record(3, used(1, 1, high))], "a meter can't hold 18446744073709551615 ms"),
        (
            vec![record(3, seen(1, 9)), record(3, denied())],
            "position 3 is not above 3, the last one",
        ),
    ];
    for (batch, sentence) in cases {
        on_every_engine(Limits::default(), |store| {
            store.append(&[&[record(1, opened(1)), record(2, denied())]]).expect("durable");
            let before = store.remember();
            let good = [record(3, seen(1, 8))];
            let first = store.append(&[&batch, &good]).expect_err("refused");
            let AppendFailure::Batch { index: 0, why } = first else { panic!("{first:?}") };
            assert!(why.contains(sentence), "{why}");
            assert_eq!(store.remember(), before, "{sentence}");
            store.append(&[&good]).expect("the good one alone");
        });
    }
}

#[test]
fn the_batch_at_fault_is_named() {
    on_every_engine(Limits::default(), |store| {
        let batches = [[record(1, denied())], [record(2, denied())], [record(2, denied())]];
        let refused = store.append(&[&batches[0], &batches[1], &batches[2]]);
        assert!(matches!(refused, Err(AppendFailure::Batch { index: 2, .. })), "{refused:?}");
        assert_eq!(store.remember(), Ok(remembered(0)));
        assert_eq!(store.denials(9), Ok(Vec::new()));
    });
}

#[test]
fn an_append_of_nothing_is_fine() {
    on_every_engine(Limits::default(), |store| {
        store.append(&[]).expect("nothing to do");
        store.append(&[&[], &[]]).expect("nothing to do");
        assert_eq!(store.remember(), Ok(remembered(0)));
    });
}

#[test]
fn a_broken_memory_is_repaired() {
    let mut store = Memory::new();
    store.break_with("disk full");
    let batch = [record(1, opened(1))];
    assert_eq!(store.append(&[&batch]), Err(AppendFailure::Ledger("disk full".into())));
    assert_eq!(store.clone().remember(), Ok(remembered(0)));
    store.repair();
    assert_eq!(store.append(&[&batch]), Ok(()));
    assert_eq!(store.clone().remember().map(|it| it.position), Ok(1));
}
