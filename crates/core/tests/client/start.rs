//! The start: a guest only under a license, and a reason when there is none.

use ve_core::{
    client::io::Settings,
    reason::ReasonCode::{InstanceLimit, LicenseNotAvailable, ServerBusy},
    time::{MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        After, Connected, Granted, GuestEnded, GuestFailed, LinkLost, LoggedOut, Next,
        OtherProtocol, Refused, Start, StopRequested, Unreachable, Unverified,
    },
    Story, settings,
};

#[test]
fn the_guest_starts_when_a_license_is_granted_and_not_before() {
    Story::new(settings()).goes(&[
        (GuestEnded, &[]),
        (Start, &["tell tries 0", "connect 0"]),
        (Granted, &[]),
        (GuestFailed, &[]),
        (Connected, &["login"]),
        (Granted, &["tell licensed by 0", "START"]),
        (Start, &[]),
        (Granted, &[]),
        (Connected, &[]),
    ]);
}

#[test]
fn whoever_gets_no_license_ends_and_says_why() {
    let told_and_exit: &[(_, &[&str])] = &[
        (
            Unreachable,
            &[
                "tell no connection to 0: nobody answers",
                "tell unavailable",
                "exit no server: nobody answers",
            ],
        ),
        (
            Unverified(None),
            &[
                "tell no connection to 0: no credential",
                "tell unavailable",
                "exit no server: no credential",
            ],
        ),
        (
            Unverified(Some(LicenseNotAvailable)),
            &[
                "tell refused by 0, unverified: license-not-available",
                "exit refused: license-not-available",
            ],
        ),
        (OtherProtocol, &["tell other protocol of 0", "exit refused: protocol-version-invalid"]),
        (
            LinkLost,
            &[
                "disconnect",
                "tell no connection to 0: the cable was cut",
                "tell unavailable",
                "exit no server: the cable was cut",
            ],
        ),
        (
            Next,
            &[
                "disconnect",
                "tell no connection to 0: no connection came about in time",
                "tell unavailable",
                "exit no server: no connection came about in time",
            ],
        ),
    ];
    for (step, expected) in told_and_exit {
        Story::new(settings()).goes(&[
            (Start, &["tell tries 0", "connect 0"]),
            (step.clone(), expected),
            (Connected, &[]),
            (StopRequested, &[]),
            (Start, &[]),
        ]);
    }
}

#[test]
fn a_login_that_is_refused_lost_or_unanswered_is_the_end_of_a_start() {
    let ends: &[(_, &[&str])] = &[
        (
            Refused(InstanceLimit),
            &["disconnect", "tell refused by 0: instance-limit", "exit refused: instance-limit"],
        ),
        (
            LinkLost,
            &[
                "disconnect",
                "tell no connection to 0: the cable was cut",
                "tell unavailable",
                "exit no server: the cable was cut",
            ],
        ),
        (
            After(10 * SECOND_MS),
            &[
                "disconnect",
                "tell no connection to 0: the server did not answer in time",
                "tell unavailable",
                "exit no server: the server did not answer in time",
            ],
        ),
    ];
    for (step, expected) in ends {
        Story::new(settings()).goes(&[
            (Start, &["tell tries 0", "connect 0"]),
            (Connected, &["login"]),
            (step.clone(), expected),
            (Granted, &[]),
        ]);
    }
}

#[test]
fn start_wait_tries_on_until_the_time_is_over_and_tells_it_every_ten_minutes() {
    let mut story = Story::new(Settings { start_wait_ms: 25 * MINUTE_MS, ..settings() });
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell no connection to 0: nobody answers"]),
    ]);
    let (mut tried_ms, mut loud, mut last) = (0, 0, vec![]);
    while last.is_empty() {
        tried_ms += story.pause_ms();
        assert!(story.pause_ms() <= MINUTE_MS);
        match story.step(Next).iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["connect 0"] => {}
            ["tell tries 0", "connect 0"] => loud += 1,
            ref other => panic!("{other:?}"),
        }
        last = story.step(Unreachable);
        last.retain(|told| told != "tell no connection to 0: nobody answers");
    }
    assert_eq!(last, ["tell unavailable", "exit no server: nobody answers"]);
    assert_eq!((tried_ms, loud), (25 * MINUTE_MS, 2), "to the end, and told twice on the way");
}

#[test]
fn what_is_new_while_waiting_is_told_at_once_and_once() {
    Story::new(Settings { start_wait_ms: 20 * MINUTE_MS, ..settings() }).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell no connection to 0: nobody answers"]),
        (Next, &["connect 0"]),
        (
            Unverified(Some(LicenseNotAvailable)),
            &["tell refused by 0, unverified: license-not-available"],
        ),
        (Next, &["connect 0"]),
        (Unverified(Some(LicenseNotAvailable)), &[]),
        (Next, &["connect 0"]),
        (Connected, &["login"]),
        (Refused(InstanceLimit), &["disconnect", "tell refused by 0: instance-limit"]),
        (Next, &["connect 0"]),
        (Connected, &["login"]),
        (Refused(ServerBusy), &["disconnect", "tell refused by 0: server-busy"]),
        (Next, &["connect 0"]),
        (Connected, &["login"]),
        (Refused(InstanceLimit), &["disconnect"]),
        (Next, &["connect 0"]),
        (Connected, &["login"]),
        (Granted, &["tell licensed by 0", "START"]),
    ]);
}

#[test]
fn who_is_stopped_before_the_guest_has_started_ends_at_once() {
    Story::new(settings()).goes(&[(StopRequested, &["exit stopped"]), (Start, &[])]);
    Story::new(settings()).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (StopRequested, &["disconnect", "exit stopped"]),
        (Connected, &[]),
    ]);
    let waiting = Settings { start_wait_ms: MINUTE_MS, ..settings() };
    Story::new(waiting).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell no connection to 0: nobody answers"]),
        (StopRequested, &["exit stopped"]),
    ]);
}

#[test]
fn a_seat_that_is_granted_while_stopping_goes_back() {
    let asked: &[(_, &[&str])] =
        &[(Start, &["tell tries 0", "connect 0"]), (Connected, &["login"]), (StopRequested, &[])];
    let ends: &[&[(_, &[&str])]] = &[
        &[
            (Granted, &["logout 1"]),
            (LoggedOut, &["tell logged out of 0", "disconnect", "exit stopped"]),
        ],
        &[(Granted, &["logout 1"]), (After(3 * SECOND_MS), &["disconnect", "exit stopped"])],
        &[(Refused(InstanceLimit), &["disconnect", "exit stopped"])],
        &[(LinkLost, &["disconnect", "exit stopped"])],
        // Nobody waits long for a server, and not at all when asked twice.
        &[(After(3 * SECOND_MS - 1), &[]), (After(1), &["disconnect", "exit stopped"])],
        &[(StopRequested, &["disconnect", "exit stopped"])],
    ];
    for end in ends {
        let mut story = Story::new(settings());
        story.goes(asked);
        story.goes(end);
    }
}

#[test]
fn a_guest_that_can_not_be_started_gives_its_seat_back() {
    Story::running().goes(&[
        (GuestFailed, &["logout 1"]),
        (LoggedOut, &["tell logged out of 0", "disconnect", "exit guest failed"]),
    ]);
}
