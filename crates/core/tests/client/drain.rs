//! A server that is about to stop says so, and is left before it does.

use ve_core::{
    reason::ReasonCode::{HoursExhausted, ServerBusy, ServerDraining},
    time::{HOUR_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Closing, Connected, Granted, GrantedTo, LinkLost, LoggedOut, Next, Refused,
        Start, Unreachable,
    },
    Story, backup, grant, primary, two,
};

#[test]
fn given_a_backup_when_the_primary_drains_then_the_license_moves_without_a_loss() {
    Story::on_primary().goes(&[
        (primary(Closing), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
        (
            backup(GrantedTo(grant(2).into())),
            &[
                "tell licensed by 1",
                "tell restored",
                "tell switched to 1",
                "hook failover",
                "logout 1 at 0",
            ],
        ),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0"]),
        // And when it is well again, back.
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
        (Next, &["connect 0"]),
        (primary(Connected), &["login at 0"]),
    ]);
}

#[test]
fn given_no_backup_when_the_server_drains_then_nothing_happens_before_the_link_is_lost() {
    Story::running().goes(&[
        (Closing, &[]),
        (After(SECOND_MS), &[]),
        (LinkLost, &["disconnect", "connect 0"]),
        (Unreachable, &["tell lost 0: nobody answers", "tell ends within 2 hours", "hook lost"]),
    ]);
    Story::running().goes(&[
        (Closing, &[]),
        (LinkLost, &["disconnect", "connect 0"]),
        (Connected, &["login as 1"]),
        (Granted, &[]),
    ]);
}

#[test]
fn given_a_backup_of_no_use_when_the_primary_drains_then_the_guest_stays_as_long_as_it_can() {
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(Closing), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
        (
            backup(Refused(HoursExhausted)),
            &["disconnect at 1", "tell refused by 1: hours-exhausted"],
        ),
        // Once is enough.
        (primary(Closing), &[]),
        (After(HOUR_MS), &["check 1 at 0"]),
        (primary(Granted), &[]),
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (
            primary(Unreachable),
            &[
                "tell lost 0: nobody answers",
                "tell tries 0",
                "tell no connection to 0: nobody answers",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
                "connect 1",
            ],
        ),
    ]);
    Story::on_primary().goes(&[
        (primary(Closing), &["connect 1"]),
        (After(10 * SECOND_MS), &["disconnect at 1"]),
        (After(HOUR_MS - 10 * SECOND_MS), &["check 1 at 0"]),
    ]);
}

#[test]
fn given_a_login_at_the_backup_when_the_draining_link_goes_first_then_it_is_a_short_loss() {
    Story::on_primary().goes(&[
        (primary(Closing), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (
            backup(GrantedTo(grant(2).into())),
            &[
                "tell lost 0: the cable was cut",
                "tell tries 0",
                "tell tries 1",
                "tell ends within 2 hours",
                "hook lost",
                "tell licensed by 1",
                "tell restored",
                "tell switched to 1",
                "hook failover",
                "hook restored",
            ],
        ),
        (primary(Connected), &["login at 0"]),
        (
            primary(Refused(ServerDraining)),
            &["disconnect at 0", "tell refused by 0: server-draining"],
        ),
    ]);
}

#[test]
fn given_a_backup_that_drains_when_the_primary_is_well_again_then_it_takes_over() {
    Story::on_backup().goes(&[
        (backup(Closing), &["connect 0"]),
        (primary(Connected), &["login at 0"]),
        (
            primary(Granted),
            &[
                "tell licensed by 0",
                "tell restored",
                "tell switched to 0",
                "hook failback",
                "logout 2 at 1",
            ],
        ),
    ]);
    Story::on_backup().goes(&[
        (backup(Closing), &["connect 0"]),
        (primary(Unreachable), &[]),
        // It is probed on.
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
        (primary(Refused(ServerBusy)), &[]),
    ]);
}

#[test]
fn given_two_servers_that_grant_and_drain_when_they_are_asked_then_nobody_goes_in_circles() {
    let mut story = Story::on_primary();
    story.goes(&[(primary(Closing), &["connect 1"]), (backup(Connected), &["login at 1"])]);
    story.step(backup(GrantedTo(grant(2).into())));
    story.step(primary(LoggedOut));
    story.goes(&[(backup(Closing), &[]), (backup(Closing), &[]), (After(SECOND_MS), &[])]);
}

#[test]
fn given_a_primary_that_hangs_up_and_drains_when_its_link_goes_then_the_backup_is_named_once() {
    Story::on_primary().goes(&[
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &[]),
        (primary(Closing), &["connect 1"]),
        (
            primary(LinkLost),
            &[
                "disconnect at 0",
                "tell lost 0: the cable was cut",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
            ],
        ),
        (backup(Connected), &["login at 1"]),
    ]);
}

#[test]
fn given_a_server_that_drains_while_it_is_asked_when_it_grants_then_it_is_left_as_well() {
    let left: &[(Do, &[&str])] = &[
        (backup(Connected), &["login at 1"]),
        (
            backup(GrantedTo(grant(2).into())),
            &[
                "tell licensed by 1",
                "tell restored",
                "tell switched to 1",
                "hook failover",
                "logout 1 at 0",
            ],
        ),
    ];
    // At the start, and after a loss.
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (primary(Connected), &["login at 0"]),
        (primary(Closing), &[]),
        (primary(Granted), &["tell licensed by 0", "START", "connect 1"]),
    ]);
    story.goes(left);
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(LinkLost), &["disconnect at 0", "connect 0"]),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Closing), &[]),
        (primary(Granted), &["connect 1"]),
    ]);
    story.goes(left);
}

#[test]
fn given_a_primary_that_drains_while_it_is_asked_when_it_grants_then_nobody_goes_back_to_it() {
    let mut story = Story::on_backup();
    story.goes(&[
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
        (Next, &["connect 0"]),
        (primary(Connected), &["login at 0"]),
        (primary(Closing), &[]),
        (primary(GrantedTo(grant(3).into())), &["logout 3 at 0"]),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0"]),
    ]);
}

#[test]
fn given_two_servers_that_drain_when_neither_goes_then_the_primary_is_probed_again() {
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (After(250), &["tell tries 1", "connect 1"]),
        (backup(Connected), &["login at 1"]),
        (backup(GrantedTo(grant(2).into())), &["tell licensed by 1", "START"]),
        (primary(Connected), &["login at 0"]),
        (primary(Closing), &[]),
        (backup(Closing), &[]),
        (primary(GrantedTo(grant(3).into())), &["logout 3 at 0"]),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0"]),
        // The next time the primary may have been started again.
        (Next, &["connect 0"]),
        (primary(Connected), &["disconnect at 0"]),
    ]);
}
