use super::*;
use crate::id::BootId;

/// Comes back from a gap within this process.
fn from(left_at: u64) -> Absence {
    Absence { left_at: Elapsed(left_at), longest_ms: None }
}

/// A session returns at `now`.
fn returns(meter: &mut Meter, now: u64, absence: Absence) {
    meter.come_back(Elapsed(now), absence, None);
    meter.start(Elapsed(now));
}

#[test]
fn two_sessions_cost_as_much_as_one() {
    let mut meter = Meter::new(Elapsed(0));
    meter.start(Elapsed(100));
    meter.start(Elapsed(200));
    meter.stop(Elapsed(300), Elapsed(290));
    meter.stop(Elapsed(500), Elapsed(450));
    assert_eq!(meter.used_ms(Elapsed(9_999)), 350);
}

#[test]
fn a_gap_is_charged_to_who_comes_back_and_to_no_one_else() {
    let mut meter = Meter::new(Elapsed(0));
    meter.start(Elapsed(0));
    meter.stop(Elapsed(110), Elapsed(100));
    returns(&mut meter, 160, from(100));
    assert_eq!(meter.used_ms(Elapsed(160)), 160);
    meter.stop(Elapsed(160), Elapsed(160));
    meter.start(Elapsed(900));
    assert_eq!(meter.used_ms(Elapsed(900)), 160);
}

#[test]
fn a_gap_is_charged_once_whoever_starts_in_it() {
    let mut meter = Meter::new(Elapsed(0));
    meter.start(Elapsed(0));
    meter.start(Elapsed(0));
    meter.stop(Elapsed(50), Elapsed(50));
    meter.stop(Elapsed(100), Elapsed(100));
    // A newcomer starts in the gap of both, so the time before it is not charged yet ...
    meter.start(Elapsed(130));
    assert_eq!(meter.used_ms(Elapsed(150)), 120);
    // ... until they come back and turn out to have run.
    returns(&mut meter, 160, from(100));
    assert_eq!(meter.used_ms(Elapsed(160)), 160);
    returns(&mut meter, 170, from(50));
    assert_eq!(meter.used_ms(Elapsed(170)), 170);
}

#[test]
fn a_meter_that_never_ran_does_not_charge_what_was_before_it() {
    let mut meter = Meter::new(Elapsed(5_000));
    returns(&mut meter, 5_010, from(4_000));
    assert_eq!(meter.used_ms(Elapsed(5_010)), 10);
}

const BOOT: BootId = BootId([1; 16]);
const OTHER_BOOT: BootId = BootId([2; 16]);

fn moment(boot: BootId, elapsed: u64, wall: i64) -> Moment {
    Moment { boot, elapsed: Elapsed(elapsed), wall: Utc(wall) }
}

/// A meter with 1,000 ms on it that was charged at wall time 10,000, taken up at `start`.
fn taken_up(start: Moment) -> Meter {
    let charged_to = Some(moment(BOOT, 500_000, 10_000));
    Meter::resume(Metered { used_ms: 1_000, charged_to }, start)
}

/// A session of the time before comes back at `now`; a client can run 60 s without a server.
fn known(start: u64) -> Absence {
    Absence { left_at: Elapsed(start), longest_ms: Some(60_000) }
}

#[test]
fn the_gap_of_a_restart_is_charged_by_the_best_clock_there_is() {
    let cases = [
        ("same boot", moment(BOOT, 530_000, 10_030), 1_000 + 30_000),
        ("same boot, wall clock a day ahead", moment(BOOT, 530_000, 96_430), 1_000 + 30_000),
        ("same boot, wall clock a day back", moment(BOOT, 530_000, -76_370), 1_000 + 30_000),
        ("same boot, a long time", moment(BOOT, 1_500_000, 11_000), 1_000 + 1_000_000),
        ("same boot, charged in the future", moment(BOOT, 400_000, 10_000), 1_000),
        ("other boot", moment(OTHER_BOOT, 7_000, 10_030), 1_000 + 30_000),
        ("other boot, wall clock a day ahead", moment(OTHER_BOOT, 7_000, 96_430), 1_000 + 58_000),
        ("other boot, wall clock a day back", moment(OTHER_BOOT, 7_000, -76_370), 1_000),
    ];
    for (how, start, expected_ms) in cases {
        let mut meter = taken_up(start);
        let now = start.elapsed.0 + 2_000;
        returns(&mut meter, now, known(start.elapsed.0));
        assert_eq!(meter.charged_ms(), expected_ms + 2_000, "{how}");
        returns(&mut meter, now, known(start.elapsed.0));
        assert_eq!(meter.charged_ms(), expected_ms + 2_000, "{how}: once, whoever comes first");
    }
}

#[test]
fn a_restart_from_which_no_one_comes_back_charges_nothing() {
    let start = moment(BOOT, 530_000, 10_030);
    let mut meter = taken_up(start);
    assert_eq!(meter.charged_to(start), moment(BOOT, 500_000, 10_000), "for the next restart");
    meter.start(Elapsed(540_000));
    meter.stop(Elapsed(541_000), Elapsed(541_000));
    assert_eq!(meter.charged_ms(), 2_000);
    let now = moment(BOOT, 550_000, 10_050);
    assert_eq!(meter.charged_to(now), moment(BOOT, 541_000, 10_041));
}

#[test]
fn a_gap_ends_at_the_licensed_time() {
    let mut meter = taken_up(moment(BOOT, 530_000, 10_030));
    meter.come_back(Elapsed(531_000), known(530_000), Some(20_000));
    assert_eq!(meter.charged_ms(), 20_000);
}

#[test]
fn what_a_witness_proves_is_not_charged_again() {
    let start = moment(BOOT, 530_000, 10_030);
    let mut meter = taken_up(start);
    // 5 s more were used; the proof is 24 s older than the start.
    meter.raise(6_000, 24_000);
    assert_eq!(meter.charged_ms(), 6_000);
    assert_eq!(meter.charged_to(start), moment(BOOT, 506_000, 10_006));
    meter.raise(5_000, 0);
    assert_eq!(meter.charged_ms(), 6_000, "a lower one says nothing");
    returns(&mut meter, 530_000, known(530_000));
    assert_eq!(meter.charged_ms(), 30_000);
}

#[test]
fn a_meter_that_is_full_stays_full() {
    let mut meter = Meter::new(Elapsed(0));
    meter.start(Elapsed(0));
    meter.raise(u64::MAX, 0);
    assert_eq!(meter.used_ms(Elapsed(100)), u64::MAX);
    meter.advance(Elapsed(200));
    meter.stop(Elapsed(300), Elapsed(300));
    returns(&mut meter, 400, from(300));
    assert_eq!(meter.charged_ms(), u64::MAX);
}
