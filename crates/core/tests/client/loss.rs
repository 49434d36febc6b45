//! Losses: what is one, what is none, and what comes of it.

use ve_core::{
    reason::ReasonCode::{
        HoursExhausted, InstanceLimit, LicenseNotAvailable, ReleasedByAdministrator,
    },
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Connected, Granted, GrantedTo, Late, LinkLost, LoggedOut, Next, OtherProtocol,
        Refused, Revoked, Searching, Unreachable, Unverified,
    },
    Story, grant,
};

/// The steps from a lost link to a loss that is told.
const LOST: &[&str] = &["tell lost 0: nobody answers", "tell ends within 2 hours", "hook lost"];

#[test]
fn a_link_that_is_regained_at_once_is_no_loss() {
    Story::running().goes(&[
        (LinkLost, &["disconnect", "connect 0"]),
        (Connected, &["login as 1"]),
        (Granted, &[]),
        (After(HOUR_MS - 1), &[]),
        (After(1), &["check 1"]),
    ]);
}

#[test]
fn a_link_that_is_not_regained_is_a_loss_that_is_told_once() {
    let mut story = Story::running();
    story.goes(&[(LinkLost, &["disconnect", "connect 0"]), (Unreachable, LOST)]);
    for _ in 0..5 {
        story.goes(&[(Next, &["connect 0"]), (Unreachable, &[])]);
    }
}

#[test]
fn a_license_that_is_found_again_in_time_leaves_the_guest_alone() {
    Story::running().goes(&[
        (LinkLost, &["disconnect", "connect 0"]),
        (Unreachable, LOST),
        (Next, &["connect 0"]),
        (Connected, &["login as 1"]),
        // The server has forgotten the session, and makes another.
        (GrantedTo(grant(2).into()), &["tell licensed by 0", "tell restored", "hook restored"]),
        (After(HOUR_MS - 1), &[]),
        (After(1), &["check 2"]),
        (GrantedTo(grant(2).into()), &[]),
    ]);
}

#[test]
fn a_loss_is_told_in_the_words_of_its_reason() {
    let at_once: &[(Do, &[&str])] = &[(LinkLost, &["disconnect", "connect 0"])];
    let stories: &[&[(Do, &[&str])]] = &[
        // The server is well, and the seat is another's by now.
        &[
            (Connected, &["login as 1"]),
            (
                Refused(InstanceLimit),
                &[
                    "disconnect",
                    "tell revoked by 0: instance-limit",
                    "tell ends within 2 hours",
                    "hook lost",
                ],
            ),
            (Next, &["connect 0"]),
            (Connected, &["login as 1"]),
            (Refused(InstanceLimit), &["disconnect"]),
        ],
        // Whoever can't prove who he is has revoked nothing.
        &[
            (
                Unverified(Some(LicenseNotAvailable)),
                &[
                    "tell refused by 0, unverified: license-not-available",
                    "tell lost 0: no credential; it says, unverified: license-not-available: for a reason.",
                    "tell ends within 2 hours",
                    "hook lost",
                ],
            ),
            (Next, &["connect 0"]),
            (Unverified(Some(LicenseNotAvailable)), &[]),
        ],
        &[(
            Unverified(None),
            &["tell lost 0: no credential", "tell ends within 2 hours", "hook lost"],
        )],
        &[
            (
                OtherProtocol,
                &[
                    "tell other protocol of 0",
                    "tell lost 0: speaks 7.",
                    "tell ends within 2 hours",
                    "hook lost",
                ],
            ),
            (Next, &["connect 0"]),
            (OtherProtocol, &[]),
        ],
        // A login that nobody answers.
        &[
            (Connected, &["login as 1"]),
            (
                After(10 * SECOND_MS),
                &[
                    "disconnect",
                    "tell lost 0: the server did not answer in time",
                    "tell ends within 2 hours",
                    "hook lost",
                ],
            ),
        ],
    ];
    for story in stories {
        let mut running = Story::running();
        running.goes(at_once);
        running.goes(story);
    }
}

#[test]
fn a_revocation_is_a_loss_at_once_and_another_login_is_tried() {
    Story::running().goes(&[
        (
            Revoked(HoursExhausted),
            &[
                "disconnect",
                "tell revoked by 0: hours-exhausted",
                "tell ends within 2 hours",
                "hook lost",
                "connect 0",
            ],
        ),
        (Connected, &["login as 1"]),
        // Known already.
        (Refused(HoursExhausted), &["disconnect"]),
        (Next, &["connect 0"]),
        (Connected, &["login as 1"]),
        (
            Refused(ReleasedByAdministrator),
            &["disconnect", "tell refused by 0: released-by-administrator"],
        ),
        (Next, &["connect 0"]),
        (Connected, &["login as 1"]),
        (Granted, &["tell licensed by 0", "tell restored", "hook restored"]),
    ]);
}

#[test]
fn the_grace_period_runs_from_the_loss_and_not_from_when_it_was_told() {
    Story::running().goes(&[
        (LinkLost, &["disconnect", "connect 0"]),
        (After(4 * SECOND_MS), &[]),
        (Unreachable, LOST),
        (Searching(HOUR_MS - 4 * SECOND_MS - 1), &[]),
        (Searching(1), &["tell ends within 1 hour", "hook expiring"]),
    ]);
}

#[test]
fn what_an_earlier_attempt_brings_is_too_late() {
    let mut story = Story::running();
    story.goes(&[(LinkLost, &["disconnect", "connect 0"])]);
    let late = |step: Do| Late(Box::new(step));
    for step in [
        late(Connected),
        late(Unreachable),
        late(LinkLost),
        late(Granted),
        late(Refused(InstanceLimit)),
        late(Revoked(InstanceLimit)),
        late(LoggedOut),
    ] {
        story.goes(&[(step, &[])]);
    }
    story.goes(&[(Connected, &["login as 1"])]);
    for step in [late(Granted), late(Refused(InstanceLimit)), late(LinkLost)] {
        story.goes(&[(step, &[])]);
    }
    story.goes(&[(Granted, &[])]);
}

#[test]
fn a_server_that_grants_and_revokes_is_not_asked_in_a_loop() {
    let revoked = &[
        "disconnect",
        "tell revoked by 0: hours-exhausted",
        "tell ends within 2 hours",
        "hook lost",
        "connect 0",
    ];
    let mut story = Story::running();
    story.goes(&[
        (Revoked(HoursExhausted), revoked),
        (Connected, &["login as 1"]),
        (Granted, &["tell licensed by 0", "tell restored", "hook restored"]),
    ]);
    let mut asked_ms = 0;
    for _ in 0..20 {
        story.goes(&[(Revoked(HoursExhausted), &revoked[..4])]);
        asked_ms += story.pause_ms();
        story.goes(&[
            (Next, &["connect 0"]),
            (Connected, &["login as 1"]),
            (Granted, &["tell licensed by 0", "tell restored", "hook restored"]),
        ]);
    }
    assert!(asked_ms > 7 * MINUTE_MS, "twenty times within {asked_ms} ms");
    story.goes(&[(After(MINUTE_MS), &[]), (Revoked(HoursExhausted), revoked)]);
}

#[test]
fn a_server_that_grants_and_hangs_up_is_not_asked_in_a_loop() {
    let mut story = Story::running();
    story.goes(&[
        (LinkLost, &["disconnect", "connect 0"]),
        (Connected, &["login as 1"]),
        (Granted, &[]),
    ]);
    let mut asked_ms = 0;
    for _ in 0..20 {
        story.goes(&[(
            LinkLost,
            &[
                "disconnect",
                "tell lost 0: the cable was cut",
                "tell ends within 2 hours",
                "hook lost",
            ],
        )]);
        asked_ms += story.pause_ms();
        story.goes(&[
            (Next, &["connect 0"]),
            (Connected, &["login as 1"]),
            (Granted, &["tell licensed by 0", "tell restored", "hook restored"]),
        ]);
    }
    assert!(asked_ms > 7 * MINUTE_MS, "twenty times within {asked_ms} ms");
    // A quiet minute, and a loss may be none again.
    story.goes(&[(After(MINUTE_MS), &[]), (LinkLost, &["disconnect", "connect 0"])]);
}
