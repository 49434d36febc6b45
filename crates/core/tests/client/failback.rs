//! Back to the primary: two good probes, in there first, out here second, and nobody notices.

use ve_core::{
    client::io::Settings,
    reason::ReasonCode::{InstanceLimit, ReleasedByAdministrator, ServerBusy},
    time::{MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        After, Connected, GrantedTo, GuestEnded, LinkLost, LoggedOut, Next, OtherProtocol, Refused,
        Revoked, StopRequested, Unreachable,
    },
    Story, backup, grant, primary, two,
};

/// A guest under the backup's session 2; the first probe of the primary was good.
fn probed_once() -> Story {
    let mut story = Story::on_backup();
    story.goes(&[(Next, &["connect 0"]), (primary(Connected), &["disconnect at 0"])]);
    story
}

/// The second was good as well, and the login is out.
fn going_back() -> Story {
    let mut story = probed_once();
    story.goes(&[(Next, &["connect 0"]), (primary(Connected), &["login at 0"])]);
    story
}

#[test]
fn given_two_good_probes_when_the_primary_grants_then_the_license_moves_without_a_loss() {
    going_back().goes(&[
        (
            primary(GrantedTo(grant(3).into())),
            &[
                "tell tries 0",
                "tell licensed by 0",
                "tell restored",
                "tell switched to 0",
                "hook failback",
                "logout 2 at 1",
            ],
        ),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        // No more probes.
        (After(10 * MINUTE_MS), &[]),
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (primary(Connected), &["login as 3 at 0"]),
        (primary(GrantedTo(grant(3).into())), &[]),
    ]);
}

#[test]
fn given_a_backup_that_licenses_when_time_passes_then_the_primary_is_probed_once_a_minute_or_so() {
    for (every_ms, range_ms) in
        [(MINUTE_MS, 54 * SECOND_MS..=66 * SECOND_MS), (SECOND_MS, 900..=1_100), (0, 100..=100)]
    {
        let mut story = Story::new(Settings { primary_probe_ms: every_ms, ..two() });
        story.step(crate::story::Do::Start);
        story.step(primary(Unreachable));
        story.step(backup(Connected));
        story.step(backup(GrantedTo(grant(2).into())));
        let mut pauses_ms = vec![];
        for _ in 0..20 {
            pauses_ms.push(story.pause_ms());
            story.goes(&[(Next, &["connect 0"]), (primary(Unreachable), &[])]);
        }
        assert!(pauses_ms.iter().all(|pause_ms| range_ms.contains(pause_ms)), "{pauses_ms:?}");
        pauses_ms.dedup();
        assert!(every_ms == 0 || pauses_ms.len() > 1, "not in step with others");
    }
}

#[test]
fn given_one_good_probe_when_the_next_fails_then_two_more_are_needed() {
    let mut story = probed_once();
    story.goes(&[
        (Next, &["connect 0"]),
        (primary(Unreachable), &[]),
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
        (Next, &["connect 0"]),
        // It hangs.
        (After(10 * SECOND_MS), &["disconnect at 0"]),
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
        (Next, &["connect 0"]),
        (primary(Connected), &["login at 0"]),
    ]);
}

#[test]
fn given_a_primary_that_refuses_when_it_is_probed_on_then_it_is_told_once_and_nothing_is_lost() {
    let mut story = going_back();
    story.goes(&[(
        primary(Refused(InstanceLimit)),
        &["disconnect at 0", "tell tries 0", "tell refused by 0: instance-limit"],
    )]);
    for (code, told) in [
        (InstanceLimit, None),
        (ServerBusy, Some("tell refused by 0: server-busy")),
        (InstanceLimit, None),
        (ServerBusy, None),
    ] {
        let told = told.map(|told| ["tell tries 0", told]).into_iter().flatten();
        let expected: Vec<_> = ["disconnect at 0"].into_iter().chain(told).collect();
        story.goes(&[
            (Next, &["connect 0"]),
            (primary(Connected), &["disconnect at 0"]),
            (Next, &["connect 0"]),
            (primary(Connected), &["login at 0"]),
            (primary(Refused(code)), &expected),
        ]);
    }
    story.goes(&[(GuestEnded, &["logout 2 at 1"])]);
}

#[test]
fn given_a_primary_that_breaks_off_or_speaks_otherwise_when_it_is_probed_then_the_backup_stays() {
    going_back().goes(&[(primary(LinkLost), &["disconnect at 0"]), (Next, &["connect 0"])]);
    going_back().goes(&[(After(10 * SECOND_MS), &["disconnect at 0"]), (Next, &["connect 0"])]);
    Story::on_backup().goes(&[
        (Next, &["connect 0"]),
        (primary(OtherProtocol), &["tell tries 0", "tell other protocol of 0"]),
        (Next, &["connect 0"]),
        (primary(OtherProtocol), &[]),
    ]);
}

#[test]
fn given_a_login_on_the_way_back_when_the_backup_is_lost_then_the_primary_catches_the_guest() {
    let from_primary = || primary(GrantedTo(grant(3).into()));
    let mut story = going_back();
    story.goes(&[
        (backup(LinkLost), &["disconnect at 1"]),
        (
            from_primary(),
            &[
                "tell lost 1: the cable was cut",
                "tell tries 0",
                "tell ends within 2 hours",
                "hook lost",
                "tell licensed by 0",
                "tell restored",
                "tell switched to 0",
                "hook failback",
                "hook restored",
            ],
        ),
    ]);
    // Or the backup is back before that.
    let mut story = going_back();
    story.goes(&[
        (backup(LinkLost), &["disconnect at 1"]),
        (After(250), &["connect 1"]),
        (backup(Connected), &["login as 2 at 1"]),
        (backup(GrantedTo(grant(2).into())), &[]),
        (
            from_primary(),
            &[
                "tell licensed by 0",
                "tell restored",
                "tell switched to 0",
                "hook failback",
                "logout 2 at 1",
            ],
        ),
    ]);
    // A probe becomes a login.
    let mut story = Story::on_backup();
    story.goes(&[
        (Next, &["connect 0"]),
        (
            backup(Revoked(ReleasedByAdministrator)),
            &[
                "disconnect at 1",
                "tell revoked by 1: released-by-administrator",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 0",
            ],
        ),
        (primary(Connected), &["login at 0"]),
    ]);
}

#[test]
fn given_a_seat_on_its_way_back_when_the_primary_is_lost_then_the_backup_is_asked_after_that() {
    let mut story = going_back();
    story.step(primary(GrantedTo(grant(3).into())));
    story.goes(&[
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (After(SECOND_MS), &[]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1", "connect 1"]),
        (backup(Connected), &["login at 1"]),
    ]);
}

#[test]
fn given_a_login_on_the_way_back_when_the_end_comes_then_both_seats_go_back() {
    let mut story = going_back();
    story.goes(&[
        (GuestEnded, &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        (primary(GrantedTo(grant(3).into())), &["logout 3 at 0"]),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0", "exit as guest"]),
    ]);
    going_back().goes(&[
        (GuestEnded, &["logout 2 at 1"]),
        (After(3 * SECOND_MS), &["disconnect at 0", "disconnect at 1", "exit as guest"]),
    ]);
    going_back().goes(&[
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (GuestEnded, &["logout 2 at 1"]),
        (StopRequested, &["disconnect at 0", "disconnect at 1", "exit as guest"]),
    ]);
    // A connection that is only being made is given up.
    let mut story = Story::on_backup();
    story.goes(&[(Next, &["connect 0"]), (GuestEnded, &["disconnect at 0", "logout 2 at 1"])]);
}
