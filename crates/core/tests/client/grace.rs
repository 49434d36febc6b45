//! The grace period: warnings, the clean shutdown, the end, and the way back.

use ve_core::{
    client::io::Settings,
    grant::Grant,
    reason::ReasonCode::ReleasedByAdministrator,
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        After, Connected, Granted, GrantedTo, GuestEnded, LinkLostAsleep, LoggedOut, Next, Revoked,
        Searching, Sleep, StopRequested,
    },
    Story, grant_with_grace, settings,
};

/// A guest whose license has just been taken back.
fn revoked(settings: Settings, grant: Grant) -> Story {
    let within = ve_core::time::spoken_duration(grant.grace_ms);
    let mut story = Story::running_with(settings, grant);
    story.goes(&[(
        Revoked(ReleasedByAdministrator),
        &[
            "disconnect",
            "tell revoked by 0: released-by-administrator",
            &format!("tell ends within {within}"),
            "hook lost",
            "connect 0",
        ],
    )]);
    story
}

/// Lets the clock run for `ms`.
#[track_caller]
fn after(story: &mut Story, ms: u64, expected: &[&str]) {
    story.goes(&[(Searching(ms), expected)]);
}

#[test]
fn two_hours_of_grace_from_the_loss_to_the_end() {
    let mut story = revoked(settings(), grant_with_grace(2 * HOUR_MS));
    for (minutes, expected) in [
        (60, &["tell ends within 1 hour", "hook expiring"] as &[_]),
        (30, &["tell ends within 30 minutes", "hook expiring"]),
        (
            20,
            &[
                "tell ends within 10 minutes",
                "hook expiring",
                "tell asked, 10 minutes left",
                "hook ending",
                "SHUT DOWN",
            ],
        ),
        (5, &["tell ends within 5 minutes", "hook expiring"]),
        (4, &["tell ends within 1 minute", "hook expiring"]),
        (1, &["tell grace is over", "STOP"]),
        (60, &[]),
    ] {
        after(&mut story, minutes * MINUTE_MS - 1, &[]);
        after(&mut story, 1, expected);
    }
    story.goes(&[(GuestEnded, &["exit license lost"])]);
}

#[test]
fn the_request_comes_its_lead_before_the_end_and_never_in_the_first_half() {
    for (grace_ms, lead_ms, asked_after_ms) in [
        (20 * SECOND_MS, 10 * MINUTE_MS, 10 * SECOND_MS),
        (20 * SECOND_MS, 4 * SECOND_MS, 16 * SECOND_MS),
        (50 * SECOND_MS, 0, 50 * SECOND_MS),
        (55 * SECOND_MS, u64::MAX, 27_500),
    ] {
        let settings = Settings { shutdown_lead_ms: lead_ms, ..settings() };
        let mut story = revoked(settings, grant_with_grace(grace_ms));
        let left_ms = grace_ms - asked_after_ms;
        let left = ve_core::time::spoken_duration(left_ms);
        let asked = format!("tell asked, {left} left");
        let asked = [asked.as_str(), "hook ending", "SHUT DOWN"];
        after(&mut story, asked_after_ms - 1, &[]);
        if left_ms == 0 {
            let all = [&asked[..], &["tell grace is over", "STOP"]].concat();
            after(&mut story, 1, &all);
        } else {
            after(&mut story, 1, &asked);
            after(&mut story, left_ms - 1, &[]);
            after(&mut story, 1, &["tell grace is over", "STOP"]);
        }
        story.goes(&[(GuestEnded, &["exit license lost"])]);
    }
}

#[test]
fn who_sleeps_through_the_grace_period_is_asked_before_it_is_stopped() {
    let mut story = revoked(settings(), grant_with_grace(2 * HOUR_MS));
    story.goes(&[(Sleep(5 * HOUR_MS), &[])]);
    after(
        &mut story,
        0,
        &["tell asked, 0 seconds left", "hook ending", "SHUT DOWN", "tell grace is over", "STOP"],
    );
}

#[test]
fn a_guest_that_ends_during_grace_ends_the_program() {
    // By itself: its own exit code.
    let mut story = revoked(settings(), grant_with_grace(20 * SECOND_MS));
    story.goes(&[(GuestEnded, &["disconnect", "exit as guest"])]);
    // As it was asked to: because of the license.
    let mut story = revoked(settings(), grant_with_grace(20 * SECOND_MS));
    after(&mut story, 10 * SECOND_MS, &["tell asked, 10 seconds left", "hook ending", "SHUT DOWN"]);
    let found = story.step(GuestEnded);
    assert_eq!(found.last().map(String::as_str), Some("exit license lost"), "{found:?}");
}

/// A guest with a minute of grace that was asked to shut down, and a client about to try again.
fn asked_to_shut_down() -> Story {
    let settings = Settings { shutdown_lead_ms: 10 * SECOND_MS, ..settings() };
    let mut story = revoked(settings, grant_with_grace(60 * SECOND_MS));
    after(&mut story, 50 * SECOND_MS, &["tell asked, 10 seconds left", "hook ending", "SHUT DOWN"]);
    while !story.step(Next).contains(&"connect 0".into()) {}
    story
}

/// The license comes back.
#[track_caller]
fn restore(story: &mut Story) {
    story.goes(&[
        (Connected, &["login as 1"]),
        (
            GrantedTo(grant_with_grace(60 * SECOND_MS).into()),
            &["tell licensed by 0", "tell restored", "hook restored"],
        ),
    ]);
}

#[test]
fn a_license_that_comes_back_after_the_request_saves_the_guest_from_the_end() {
    let mut story = asked_to_shut_down();
    restore(&mut story);
    story.goes(&[
        (After(HOUR_MS), &["check 1"]),
        (Granted, &[]),
        (GuestEnded, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit license lost"]),
    ]);
}

#[test]
fn a_guest_that_overslept_one_request_gets_another_before_the_next_end() {
    let mut story = asked_to_shut_down();
    restore(&mut story);
    // Its server grants and revokes: that one is not asked again at once.
    story.goes(&[(
        Revoked(ReleasedByAdministrator),
        &[
            "disconnect",
            "tell revoked by 0: released-by-administrator",
            "tell ends within 1 minute",
            "hook lost",
        ],
    )]);
    after(&mut story, 50 * SECOND_MS, &["tell asked, 10 seconds left", "hook ending", "SHUT DOWN"]);
    after(&mut story, 10 * SECOND_MS, &["tell grace is over", "STOP"]);
}

#[test]
fn after_the_end_no_license_is_looked_for() {
    // One that is granted all the same goes back when the guest, which may still run, has ended.
    let at_the_end = || {
        let mut story = revoked(settings(), grant_with_grace(15 * SECOND_MS));
        story.until("SHUT DOWN");
        while !story.step(Connected).contains(&"login as 1".into()) {
            story.step(Next);
        }
        story.until("STOP");
        story
    };
    at_the_end().goes(&[
        (Granted, &[]),
        (After(HOUR_MS), &[]),
        (GuestEnded, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit license lost"]),
    ]);
    at_the_end().goes(&[
        (GuestEnded, &[]),
        (Granted, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit license lost"]),
    ]);
    at_the_end().goes(&[
        (StopRequested, &[]),
        (GuestEnded, &[]),
        (StopRequested, &["disconnect", "exit license lost"]),
    ]);
}

#[test]
fn a_machine_that_slept_through_the_loss_has_used_up_that_much_grace() {
    let asleep = |late_ms| {
        let mut story = Story::running_with(settings(), grant_with_grace(2 * HOUR_MS));
        story.step(Sleep(late_ms));
        story.step(LinkLostAsleep(late_ms))
    };
    let contains = |told: &[String], text: &str| told.iter().any(|line| line.contains(text));

    let told = asleep(90 * MINUTE_MS);
    assert!(contains(&told, "tell ends within 30 minutes"), "{told:?}");
    assert!(!contains(&told, "STOP"), "{told:?}");

    // Its server gave the seat away meanwhile; the guest still gets its clean shutdown first.
    let told = asleep(3 * HOUR_MS);
    let place = |text: &str| told.iter().position(|line| line == text);
    assert!(place("SHUT DOWN").is_some() && place("SHUT DOWN") < place("STOP"), "{told:?}");
}
