//! The check of every check interval.

use ve_core::{
    grant::Grant,
    reason::ReasonCode::{LicenseExpired, ServerBusy},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{After, Connected, Granted, GrantedTo, LinkLost, Refused, Revoked, Sleep, Unreachable},
    Story, grant, settings,
};

#[test]
fn a_check_is_made_every_interval_as_the_last_grant_says() {
    let every = |check_interval_ms| Grant { check_interval_ms, ..grant(1) };
    Story::running_with(settings(), every(20 * MINUTE_MS)).goes(&[
        (After(20 * MINUTE_MS - 1), &[]),
        (After(1), &["check 1"]),
        (GrantedTo(every(5 * MINUTE_MS).into()), &[]),
        (After(5 * MINUTE_MS - 1), &[]),
        (After(1), &["check 1"]),
        (Granted, &[]),
        (After(HOUR_MS - 1), &[]),
        (After(1), &["check 1"]),
    ]);
}

#[test]
fn a_server_can_not_make_a_client_check_all_the_time() {
    let hectic = Grant { check_interval_ms: 0, ..grant(1) };
    let mut story = Story::running_with(settings(), hectic);
    assert_eq!(story.pause_ms(), 100);
    story.goes(&[(After(100), &["check 1"])]);
}

#[test]
fn a_check_that_nobody_answers_is_a_loss_if_the_server_is_not_back_at_once() {
    let unanswered: &[(_, &[&str])] = &[
        (After(HOUR_MS), &["check 1"]),
        (After(10 * SECOND_MS - 1), &[]),
        (After(1), &["disconnect", "connect 0"]),
    ];
    let mut story = Story::running();
    story.goes(unanswered);
    story.goes(&[(Connected, &["login as 1"]), (Granted, &[])]);
    let mut story = Story::running();
    story.goes(unanswered);
    story.goes(&[(
        Unreachable,
        &["tell lost 0: nobody answers", "tell ends within 2 hours", "hook lost"],
    )]);
}

#[test]
fn a_link_that_breaks_while_a_check_is_out_is_tried_again_at_once() {
    Story::running().goes(&[
        (After(HOUR_MS), &["check 1"]),
        (LinkLost, &["disconnect", "connect 0"]),
        (Connected, &["login as 1"]),
        (Granted, &[]),
    ]);
}

#[test]
fn a_check_that_is_refused_is_a_loss() {
    for (step, told) in [
        (Refused(LicenseExpired), "tell revoked by 0: license-expired"),
        (Refused(ServerBusy), "tell revoked by 0: server-busy"),
        (Revoked(LicenseExpired), "tell revoked by 0: license-expired"),
    ] {
        Story::running().goes(&[
            (After(HOUR_MS), &["check 1"]),
            (step, &["disconnect", told, "tell ends within 2 hours", "hook lost", "connect 0"]),
            (Granted, &[]),
        ]);
    }
}

#[test]
fn a_machine_that_slept_checks_when_it_wakes() {
    Story::running().goes(&[(Sleep(30 * HOUR_MS), &[]), (After(1), &["check 1"]), (Granted, &[])]);
}
