//! The primary is lost and the backup takes over: what the log and the hooks hear of it, and in
//! which order.

use ve_core::{
    reason::ReasonCode::{InstanceLimit, LicenseExpired},
    time::{MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Connected, Granted, GrantedTo, GuestEnded, LinkLost, LoggedOut, Next,
        OtherProtocol, Refused, Revoked, Unreachable,
    },
    Story, backup, grant, primary,
};

/// The backup grants session 2.
pub(crate) fn from_backup() -> Do {
    backup(GrantedTo(grant(2).into()))
}

/// The link to the primary breaks, and the search begins.
pub(crate) const PRIMARY_LOST: &[&str] = &["disconnect at 0", "connect 0"];

/// What is told when the primary can't be reached again at once.
pub(crate) const PRIMARY_KILLED: &[&str] = &[
    "tell lost 0: nobody answers",
    "tell tries 0",
    "tell no connection to 0: nobody answers",
    "tell ends within 2 hours",
    "hook lost",
    "tell tries 1",
    "connect 1",
];

/// What is told when the backup grants after a loss that is known.
const TAKEN_OVER: &[&str] = &[
    "tell licensed by 1",
    "tell restored",
    "tell switched to 1",
    "hook failover",
    "hook restored",
];

/// A guest that has lost its primary and runs under the backup's session 2.
fn failed_over() -> Story {
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Unreachable), PRIMARY_KILLED),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
    ]);
    story
}

#[test]
fn given_a_killed_primary_when_the_backup_grants_then_the_log_reads_as_users_know_it() {
    failed_over().goes(&[
        // No grace period runs any more.
        (After(30 * SECOND_MS), &[]),
        (GuestEnded, &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1", "exit as guest"]),
    ]);
}

#[test]
fn given_a_lost_link_when_the_same_server_grants_at_once_then_nothing_is_told() {
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &[]),
    ]);
    // The backup is already being reached.
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (After(250), &["connect 1"]),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &["disconnect at 1"]),
    ]);
    // Its login is out: that seat goes back.
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (After(250), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &[]),
        (from_backup(), &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
    ]);
    // The backup had it, and the primary is still down.
    Story::on_backup().goes(&[
        (backup(LinkLost), &["disconnect at 1", "connect 0"]),
        (primary(Unreachable), &["connect 1"]),
        (backup(Connected), &["login as 2 at 1"]),
        (from_backup(), &[]),
    ]);
}

#[test]
fn given_a_silent_primary_when_its_head_start_is_over_then_the_backup_takes_over() {
    let mut story = Story::on_primary();
    story.goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (After(249), &[]),
        (After(1), &["connect 1"]),
        (backup(Connected), &["login at 1"]),
    ]);
    let loss: &[&str] = &[
        "tell lost 0: the cable was cut",
        "tell tries 0",
        "tell tries 1",
        "tell ends within 2 hours",
        "hook lost",
    ];
    story.goes(&[(from_backup(), &[loss, TAKEN_OVER].concat())]);
    // The primary was only slow. It has forgotten nobody, but that session is an old one by now.
    story.goes(&[
        (After(SECOND_MS), &[]),
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
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
    ]);
}

#[test]
fn given_a_primary_that_is_well_but_refuses_when_it_is_asked_again_then_that_was_a_revocation() {
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Connected), &["login as 1 at 0"]),
        (
            primary(Refused(InstanceLimit)),
            &[
                "disconnect at 0",
                "tell revoked by 0: instance-limit",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
                "connect 1",
            ],
        ),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
    ]);
}

/// The primary revokes, and both servers are asked.
fn revoked() -> Story {
    let mut story = Story::on_primary();
    story.goes(&[
        (
            primary(Revoked(LicenseExpired)),
            &[
                "disconnect at 0",
                "tell revoked by 0: license-expired",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 0",
                "connect 0",
            ],
        ),
        (primary(Connected), &["login as 1 at 0"]),
    ]);
    story
}

#[test]
fn given_a_revocation_by_the_primary_when_the_backup_grants_then_the_guest_runs_on() {
    // The primary says once more what it has just said: no news.
    let mut story = revoked();
    story.goes(&[
        (primary(Refused(LicenseExpired)), &["disconnect at 0", "tell tries 1", "connect 1"]),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
    ]);
    // It takes its time.
    let mut story = revoked();
    story.goes(&[
        (After(250), &["tell tries 1", "connect 1"]),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
        (primary(Refused(LicenseExpired)), &["disconnect at 0"]),
    ]);
}

#[test]
fn given_another_protocol_on_the_primary_when_it_comes_back_so_then_the_backup_takes_over() {
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (
            primary(OtherProtocol),
            &[
                "tell lost 0: speaks 7.",
                "tell tries 0",
                "tell other protocol of 0",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
                "connect 1",
            ],
        ),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
    ]);
}

#[test]
fn given_a_primary_that_hangs_up_when_the_backup_is_well_then_the_backup_is_asked_at_once() {
    Story::on_primary().goes(&[
        (primary(LinkLost), PRIMARY_LOST),
        (primary(Connected), &["login as 1 at 0"]),
        (primary(Granted), &[]),
        (
            primary(LinkLost),
            &[
                "disconnect at 0",
                "tell lost 0: the cable was cut",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
                "connect 1",
            ],
        ),
        (backup(Connected), &["login at 1"]),
        (from_backup(), TAKEN_OVER),
    ]);
}

#[test]
fn given_two_servers_that_grant_and_hang_up_when_they_are_asked_then_not_in_a_loop() {
    let mut story = Story::on_primary();
    let mut server = 0;
    let (mut logins, mut passed_ms) = (0, 0);
    while passed_ms < 30 * MINUTE_MS {
        let at = |step| Do::At(server, Box::new(step));
        let mut found = story.step(at(LinkLost));
        while !found.iter().any(|effect| effect.starts_with("connect")) {
            passed_ms += story.pause_ms();
            found = story.step(Next);
        }
        server = usize::from(found.contains(&"connect 1".to_owned()));
        let at = |step| Do::At(server, Box::new(step));
        story.step(at(Connected));
        story.step(at(Granted));
        logins += 1;
    }
    assert!(logins < 120, "{logins} in half an hour");
}

#[test]
fn given_a_backup_that_is_well_but_refuses_when_it_is_asked_again_then_that_was_a_revocation() {
    Story::on_backup().goes(&[
        (backup(LinkLost), &["disconnect at 1", "connect 0"]),
        (primary(Unreachable), &["connect 1"]),
        (backup(Connected), &["login as 2 at 1"]),
        (
            backup(Refused(InstanceLimit)),
            &[
                "disconnect at 1",
                "tell revoked by 1: instance-limit",
                "tell tries 0",
                "tell no connection to 0: nobody answers",
                "tell ends within 2 hours",
                "hook lost",
            ],
        ),
        (Next, &["connect 0"]),
    ]);
}
