//! The start with two servers: both are asked side by side, the primary a little earlier.

use ve_core::{
    client::io::Settings,
    reason::ReasonCode::{HoursExhausted, InstanceLimit, LicenseExpired},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Granted, GrantedTo, GuestEnded, LinkLost, LoggedOut, Next, OtherProtocol,
        Refused, Start, StopRequested, Unreachable, Unverified,
    },
    Story, backup, grant, primary, two,
};

const START: (Do, &[&str]) = (Start, &["tell tries 0", "connect 0"]);
const HEAD_START: (Do, &[&str]) = (After(250), &["tell tries 1", "connect 1"]);

fn connected() -> Do {
    Do::Connected
}

/// With a server whose session has this number.
fn granted(number: u8) -> Do {
    GrantedTo(grant(number).into())
}

#[test]
fn given_a_primary_that_grants_soon_when_started_then_the_backup_is_not_asked() {
    Story::new(two()).goes(&[
        START,
        (After(249), &[]),
        (primary(connected()), &["login at 0"]),
        (primary(Granted), &["tell licensed by 0", "START"]),
        (After(HOUR_MS - 1), &[]),
    ]);
}

#[test]
fn given_a_primary_that_fails_when_started_then_the_backup_is_asked_at_once() {
    Story::new(two()).goes(&[
        START,
        (primary(Unreachable), &["tell tries 1", "connect 1"]),
        (backup(connected()), &["login at 1"]),
        (backup(Granted), &["tell licensed by 1", "START"]),
    ]);
    Story::new(two()).goes(&[
        START,
        (primary(connected()), &["login at 0"]),
        (
            primary(Refused(InstanceLimit)),
            &["disconnect at 0", "tell refused by 0: instance-limit", "tell tries 1", "connect 1"],
        ),
        (backup(connected()), &["login at 1"]),
        (backup(Granted), &["tell licensed by 1", "START"]),
    ]);
}

#[test]
fn given_a_silent_primary_when_the_backup_grants_then_the_guest_starts_and_the_primary_may_follow()
{
    let mut story = Story::new(two());
    story.goes(&[
        START,
        HEAD_START,
        (backup(connected()), &["login at 1"]),
        (backup(granted(2)), &["tell licensed by 1", "START"]),
    ]);
    story.goes(&[
        (After(3 * SECOND_MS), &[]),
        (primary(connected()), &["login at 0"]),
        (primary(granted(1)), &["tell licensed by 0", "tell switched to 0", "logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        (After(HOUR_MS - 1), &[]),
        (After(1), &["check 1 at 0"]),
    ]);
    // Or it may not: nobody notices.
    let mut story = Story::new(two());
    story.goes(&[
        START,
        HEAD_START,
        (backup(connected()), &["login at 1"]),
        (backup(granted(2)), &["tell licensed by 1", "START"]),
        (After(10 * SECOND_MS - 250), &["disconnect at 0"]),
        (GuestEnded, &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1", "exit as guest"]),
    ]);
}

#[test]
fn given_two_logins_when_the_primary_grants_then_the_seat_of_the_backup_goes_back() {
    let both_asked: &[(Do, &[&str])] = &[
        START,
        HEAD_START,
        (backup(connected()), &["login at 1"]),
        (primary(connected()), &["login at 0"]),
        (primary(granted(1)), &["tell licensed by 0", "START"]),
    ];
    let ends: &[&[(Do, &[&str])]] = &[
        &[
            (backup(granted(2)), &["logout 2 at 1"]),
            (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        ],
        &[(backup(granted(2)), &["logout 2 at 1"]), (After(3 * SECOND_MS), &["disconnect at 1"])],
        &[(backup(Refused(InstanceLimit)), &["disconnect at 1"])],
        &[(backup(LinkLost), &["disconnect at 1"])],
        &[(After(10 * SECOND_MS), &["disconnect at 1"])],
    ];
    for end in ends {
        let mut story = Story::new(two());
        story.goes(both_asked);
        story.goes(end);
        story.step(primary(LinkLost));
        story.goes(&[(primary(connected()), &["login as 1 at 0"]), (primary(Granted), &[])]);
    }
}

#[test]
fn given_a_backup_that_is_only_being_reached_when_the_primary_grants_then_it_is_left_alone() {
    Story::new(two()).goes(&[
        START,
        HEAD_START,
        (primary(connected()), &["login at 0"]),
        (primary(Granted), &["disconnect at 1", "tell licensed by 0", "START"]),
        (backup(connected()), &[]),
    ]);
}

#[test]
fn given_two_servers_of_no_use_when_started_then_the_reason_is_told_and_the_program_ends() {
    let no_backup = "tell no connection to 1: nobody answers";
    let ends: &[&[(Do, &[&str])]] = &[
        &[
            (primary(Unreachable), &["tell tries 1", "connect 1"]),
            (
                backup(Unreachable),
                &[no_backup, "tell unavailable", "exit no server: nobody answers"],
            ),
        ],
        // A refusal says more than a server that is not there, but either is told.
        &[
            (primary(connected()), &["login at 0"]),
            (
                primary(Refused(InstanceLimit)),
                &[
                    "disconnect at 0",
                    "tell refused by 0: instance-limit",
                    "tell tries 1",
                    "connect 1",
                ],
            ),
            (backup(Unreachable), &[no_backup, "exit refused: instance-limit"]),
        ],
        &[
            (primary(Unreachable), &["tell tries 1", "connect 1"]),
            (backup(connected()), &["login at 1"]),
            (
                backup(Refused(InstanceLimit)),
                &[
                    "disconnect at 1",
                    "tell refused by 1: instance-limit",
                    "tell no connection to 0: nobody answers",
                    "exit refused: instance-limit",
                ],
            ),
        ],
    ];
    for end in ends {
        let mut story = Story::new(two());
        story.goes(&[START]);
        story.goes(end);
    }
}

#[test]
fn given_a_primary_that_takes_its_time_when_the_backup_fails_then_it_is_waited_for() {
    let ends: &[&[(Do, &[&str])]] = &[
        // Of two refusals the primary's counts, whoever was faster.
        &[
            HEAD_START,
            (backup(connected()), &["login at 1"]),
            (
                backup(Refused(HoursExhausted)),
                &["disconnect at 1", "tell refused by 1: hours-exhausted"],
            ),
            (primary(connected()), &["login at 0"]),
            (
                primary(Refused(LicenseExpired)),
                &[
                    "disconnect at 0",
                    "tell refused by 0: license-expired",
                    "exit refused: license-expired",
                ],
            ),
        ],
        // A silent one is waited for.
        &[
            HEAD_START,
            (backup(Unverified(None)), &[]),
            (
                After(10 * SECOND_MS - 250),
                &[
                    "disconnect at 0",
                    "tell no connection to 1: no credential",
                    "tell unavailable",
                    "exit no server: no credential",
                ],
            ),
        ],
    ];
    for end in ends {
        let mut story = Story::new(two());
        story.goes(&[START]);
        story.goes(end);
    }
}

#[test]
fn given_another_protocol_when_started_then_it_is_told_of_each_server() {
    let other_primary: (Do, &[&str]) =
        (primary(OtherProtocol), &["tell other protocol of 0", "tell tries 1", "connect 1"]);
    Story::new(two()).goes(&[
        START,
        other_primary.clone(),
        (
            backup(OtherProtocol),
            &["tell other protocol of 1", "exit refused: protocol-version-invalid"],
        ),
    ]);
    Story::new(two()).goes(&[
        START,
        other_primary.clone(),
        (
            backup(Unreachable),
            &["tell no connection to 1: nobody answers", "exit refused: protocol-version-invalid"],
        ),
    ]);
    Story::new(two()).goes(&[
        START,
        other_primary,
        (backup(connected()), &["login at 1"]),
        (backup(Granted), &["tell licensed by 1", "START"]),
    ]);
}

#[test]
fn given_time_to_wait_when_both_fail_then_both_are_asked_again_and_told_once() {
    Story::new(Settings { start_wait_ms: MINUTE_MS, ..two() }).goes(&[
        START,
        (primary(Unreachable), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["tell no connection to 1: nobody answers"]),
        (Next, &["connect 0"]),
        (primary(Unreachable), &["connect 1"]),
        (backup(connected()), &["login at 1"]),
        (
            backup(Refused(LicenseExpired)),
            &["disconnect at 1", "tell refused by 1: license-expired"],
        ),
        (Next, &["connect 0"]),
        (After(250), &["connect 1"]),
        (backup(connected()), &["login at 1"]),
        (backup(Refused(LicenseExpired)), &["disconnect at 1"]),
    ]);
}

#[test]
fn given_two_logins_when_the_operator_stops_then_every_seat_goes_back() {
    let mut story = Story::new(two());
    story.goes(&[
        START,
        HEAD_START,
        (backup(connected()), &["login at 1"]),
        (primary(connected()), &["login at 0"]),
        (StopRequested, &[]),
        (primary(granted(1)), &["logout 1 at 0"]),
        (backup(granted(2)), &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0", "exit stopped"]),
    ]);
}
