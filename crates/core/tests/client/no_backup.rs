//! The primary is lost, and the backup is of no use or not there yet: grace runs.

use ve_core::{
    reason::ReasonCode::{HoursExhausted, LicenseNotAvailable},
    time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::{
    failover::{PRIMARY_KILLED, PRIMARY_LOST, from_backup},
    story::{
        Do::{
            self, After, Connected, Granted, LinkLost, Next, OtherProtocol, Refused, SetClock,
            Unreachable, Unverified,
        },
        Story, WALL_AT_BOOT, backup, primary,
    },
};

#[test]
fn given_a_backup_of_no_use_when_the_primary_is_lost_then_its_reason_is_told_once() {
    let ends: &[(Do, &[&str])] = &[
        (Unreachable, &["tell no connection to 1: nobody answers"]),
        (Unverified(None), &["tell no connection to 1: no credential"]),
        (
            Unverified(Some(LicenseNotAvailable)),
            &["tell refused by 1, unverified: license-not-available"],
        ),
        (OtherProtocol, &["tell other protocol of 1"]),
    ];
    for (step, told) in ends {
        let mut story = Story::on_primary();
        story.goes(&[
            (primary(LinkLost), PRIMARY_LOST),
            (primary(Unreachable), PRIMARY_KILLED),
            (backup(step.clone()), told),
            (Next, &["connect 0"]),
            (primary(Unreachable), &["connect 1"]),
            (backup(step.clone()), &[]),
        ]);
    }
}

#[test]
fn given_a_backup_without_hours_when_the_primary_is_lost_then_grace_runs_and_the_primary_is_awaited()
 {
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Unreachable), PRIMARY_KILLED),
        (backup(Connected), &["login at 1"]),
        (
            backup(Refused(HoursExhausted)),
            &["disconnect at 1", "tell refused by 1: hours-exhausted"],
        ),
        (Next, &["connect 0"]),
        (primary(Unreachable), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
        (backup(Refused(HoursExhausted)), &["disconnect at 1"]),
        (Next, &["connect 0"]),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &["tell licensed by 0", "tell restored", "hook restored"]),
    ]);
}

#[test]
fn given_a_known_loss_when_ten_minutes_are_over_then_all_that_fails_is_told_again() {
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Unreachable), PRIMARY_KILLED),
        (backup(Unreachable), &["tell no connection to 1: nobody answers"]),
    ]);
    let mut passed_ms = 0;
    loop {
        passed_ms += story.pause_ms();
        let told = story.step(Next);
        if told != ["connect 0"] {
            assert_eq!(told, ["tell tries 0", "connect 0"]);
            break;
        }
        story.goes(&[(primary(Unreachable), &["connect 1"]), (backup(Unreachable), &[])]);
    }
    assert!((10 * MINUTE_MS..12 * MINUTE_MS).contains(&passed_ms), "{passed_ms}");
    story.goes(&[
        (primary(Unreachable), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["tell no connection to 1: nobody answers"]),
    ]);
}

#[test]
fn given_a_wall_clock_that_jumps_when_grace_runs_then_only_what_is_told_of_the_time_changes() {
    for jump_ms in [0, DAY_MS, 400 * DAY_MS] {
        for sign in [1, -1] {
            let seconds = i64::try_from(jump_ms / SECOND_MS).expect("a short jump") * sign;
            let mut story = Story::on_primary();
            story.goes(&[
                (primary(LinkLost), PRIMARY_LOST),
                (SetClock(seconds), &[]),
                (primary(Unreachable), PRIMARY_KILLED),
                (backup(Unreachable), &["tell no connection to 1: nobody answers"]),
                (SetClock(seconds), &[]),
            ]);
            let found = story.step(After(HOUR_MS - 1));
            assert!(!found.contains(&"hook expiring".to_owned()), "{found:?}");
            let found = story.step(After(1));
            assert!(found.contains(&"tell ends within 1 hour".to_owned()), "{found:?}");
            story.until("connect 1");
            story.goes(&[(backup(Connected), &["login at 1"])]);
            assert!(story.step(from_backup()).contains(&"tell restored".to_owned()));
            let told = story.restored_at[0].0 - WALL_AT_BOOT.0 - 2 * seconds;
            assert!((3_600..3_800).contains(&told), "{told}");
        }
    }
}
