//! Ends: the guest's own, the operator's wishes, and the seat that goes back.

use ve_core::{
    client::io::Settings,
    reason::ReasonCode::{LicenseNotAvailable, ReleasedByAdministrator},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Connected, Granted, GuestEnded, LinkLost, LoggedOut, Refused, Revoked,
        Searching, StopRequested, Unreachable,
    },
    Story, grant, grant_with_grace, settings,
};

#[test]
fn a_guest_that_ends_gives_its_seat_back_and_is_followed() {
    let ends: &[&[(Do, &[&str])]] = &[
        &[(LoggedOut, &["tell logged out of 0", "disconnect", "exit as guest"])],
        // Servers that don't confirm keep nobody for long.
        &[(After(3 * SECOND_MS - 1), &[]), (After(1), &["disconnect", "exit as guest"])],
        &[(LinkLost, &["disconnect", "exit as guest"])],
        &[(Refused(LicenseNotAvailable), &["disconnect", "exit as guest"])],
        &[(StopRequested, &[]), (StopRequested, &["disconnect", "exit as guest"])],
        &[(Revoked(ReleasedByAdministrator), &[]), (GuestEnded, &[]), (Granted, &[])],
    ];
    for end in ends {
        let mut story = Story::running();
        story.goes(&[(GuestEnded, &["logout 1"])]);
        story.goes(end);
        // While a check is out.
        let mut story = Story::running();
        story.goes(&[(After(HOUR_MS), &["check 1"]), (GuestEnded, &["logout 1"])]);
        story.goes(end);
    }
}

#[test]
fn without_a_link_there_is_nobody_to_tell() {
    let down: &[&[(Do, &[&str])]] = &[
        &[(LinkLost, &["disconnect", "connect 0"]), (GuestEnded, &["disconnect", "exit as guest"])],
        &[
            (LinkLost, &["disconnect", "connect 0"]),
            (
                Unreachable,
                &["tell lost 0: nobody answers", "tell ends within 2 hours", "hook lost"],
            ),
            (GuestEnded, &["exit as guest"]),
        ],
        // A login is under way: its seat goes back.
        &[
            (LinkLost, &["disconnect", "connect 0"]),
            (Connected, &["login as 1"]),
            (GuestEnded, &[]),
            (Granted, &["logout 1"]),
            (LoggedOut, &["tell logged out of 0", "disconnect", "exit as guest"]),
        ],
    ];
    for story in down {
        Story::running().goes(story);
    }
}

#[test]
fn the_first_wish_is_a_clean_shutdown_and_the_second_an_end() {
    Story::running().goes(&[
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (After(MINUTE_MS), &[]),
        (GuestEnded, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit as guest"]),
    ]);
    Story::running().goes(&[
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (StopRequested, &["tell stopped by operator", "STOP"]),
        (StopRequested, &[]),
        (GuestEnded, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit as guest"]),
    ]);
    Story::running().goes(&[
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (After(5 * MINUTE_MS - 1), &[]),
        (After(1), &["tell stopped by operator", "STOP"]),
        (After(HOUR_MS - 5 * MINUTE_MS), &["check 1"]),
    ]);
}

/// A guest that the license's end has asked to shut down, with ten seconds left.
fn asked_for_the_license() -> Story {
    let settings = Settings {
        shutdown_lead_ms: 10 * SECOND_MS,
        shutdown_timeout_ms: 4 * SECOND_MS,
        ..settings()
    };
    let mut story = Story::running_with(settings, grant_with_grace(20 * SECOND_MS));
    story.goes(&[(
        Revoked(ReleasedByAdministrator),
        &[
            "disconnect",
            "tell revoked by 0: released-by-administrator",
            "tell ends within 20 seconds",
            "hook lost",
            "connect 0",
        ],
    )]);
    let found = story.step(After(10 * SECOND_MS));
    assert!(found.contains(&"SHUT DOWN".to_owned()), "{found:?}");
    story
}

#[test]
fn while_the_license_ends_the_guest_the_first_wish_only_bounds_it() {
    let mut story = asked_for_the_license();
    story.goes(&[
        (StopRequested, &[]),
        (Searching(4 * SECOND_MS), &["tell stopped by operator", "STOP"]),
    ]);
    let found = story.step(GuestEnded);
    assert_eq!(found.last().map(String::as_str), Some("exit license lost"), "{found:?}");

    let mut story = asked_for_the_license();
    story.goes(&[(StopRequested, &[]), (StopRequested, &["tell stopped by operator", "STOP"])]);
}

#[test]
fn a_stop_that_the_operator_began_is_his_even_when_the_grace_period_ends_it() {
    let settings = Settings { shutdown_lead_ms: SECOND_MS, ..settings() };
    let mut story = Story::running_with(settings, grant_with_grace(20 * SECOND_MS));
    story.goes(&[
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (LinkLost, &["disconnect", "connect 0"]),
    ]);
    let found = story.step(After(20 * SECOND_MS));
    assert_eq!(found.iter().filter(|effect| *effect == "SHUT DOWN").count(), 0, "asked once");
    assert_eq!(found[found.len() - 3..], ["tell grace is over", "STOP", "disconnect"]);
    story.goes(&[(GuestEnded, &["exit as guest"])]);
}

#[test]
fn an_operator_who_stops_a_guest_that_survived_a_loss_asks_it_himself() {
    let mut story = asked_for_the_license();
    while story.step(Connected).is_empty() {
        story.step(Do::Next);
    }
    story.goes(&[
        (Do::GrantedTo(grant(1).into()), &["tell licensed by 0", "tell restored", "hook restored"]),
        (StopRequested, &["tell asked by operator", "SHUT DOWN"]),
        (GuestEnded, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit license lost"]),
    ]);
}

/// While the guest may still run, the seat must not be anybody else's.
#[test]
fn a_seat_that_is_granted_when_grace_is_over_goes_back_after_the_guest_has_ended() {
    let settings = Settings { shutdown_lead_ms: SECOND_MS, ..settings() };
    let too_late = || {
        let mut story = Story::running_with(settings.clone(), grant_with_grace(5 * SECOND_MS));
        story.goes(&[(LinkLost, &["disconnect", "connect 0"]), (Connected, &["login as 1"])]);
        let found = story.step(After(5 * SECOND_MS));
        assert_eq!(found.last().map(String::as_str), Some("STOP"), "{found:?}");
        story.goes(&[(Granted, &[]), (After(HOUR_MS), &[])]);
        story
    };
    let out = "tell logged out of 0";
    let ends: &[&[(Do, &[&str])]] = &[
        &[(GuestEnded, &["logout 1"]), (LoggedOut, &[out, "disconnect", "exit license lost"])],
        &[(LinkLost, &["disconnect"]), (GuestEnded, &["exit license lost"])],
        &[(Revoked(ReleasedByAdministrator), &[]), (GuestEnded, &["logout 1"])],
    ];
    for end in ends {
        too_late().goes(end);
    }
}
