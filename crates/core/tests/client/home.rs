//! At home: a host of an AutoVE license prefers the server whose license it is at home with, wherever
//! that stands in the configuration.

use ve_core::{
    client::io::Settings,
    grant::Grant,
    reason::ReasonCode::{LicenseExpired, NoFreeInstanceOnPeer, ServerBusy},
    time::{HOUR_MS, MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{
        self, After, Connected, Granted, LinkLost, LoggedOut, Next, Refused, Shows, Start,
        Unreachable,
    },
    Story, at_home_with, backup, grant, license, primary, two,
};

/// The primary has license 1, the backup license 2.
const PRIMARYS: Do = Shows(1);
const BACKUPS: Do = Shows(2);

/// A start with a receipt of this home.
fn start(home: u8) -> Story {
    let mut story = Story::new(Settings { home: Some(license(home)), ..two() });
    story.goes(&[(Start, &["tell tries 0", "connect 0"])]);
    story
}

/// A guest of the backup's license that runs under the primary, for the backup is down.
fn abroad() -> Story {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["login at 0"]),
        (primary(at_home_with(2, 1)), &["tell licensed by 0", "START"]),
    ]);
    story
}

/// A guest at home with the backup.
fn at_home() -> Story {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(BACKUPS), &["login at 1"]),
        (backup(at_home_with(2, 2)), &["disconnect at 0", "tell licensed by 1", "START"]),
    ]);
    story
}

#[test]
fn given_a_receipt_when_the_primary_is_not_the_home_then_it_is_not_even_asked() {
    // And nobody goes "back" from there.
    at_home().goes(&[(After(10 * MINUTE_MS), &[])]);
}

#[test]
fn given_a_receipt_when_the_home_is_the_primary_then_all_is_as_ever() {
    let mut story = start(1);
    story.goes(&[
        (primary(PRIMARYS), &["login at 0"]),
        (After(250), &["tell tries 1", "connect 1"]),
        (primary(at_home_with(1, 1)), &["disconnect at 1", "tell licensed by 0", "START"]),
        (After(10 * MINUTE_MS), &[]),
    ]);
}

#[test]
fn given_a_home_that_hangs_at_the_start_when_its_head_start_is_over_then_the_other_is_asked() {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (After(249), &[]),
        (After(1), &["login at 0"]),
        (primary(at_home_with(2, 1)), &["tell licensed by 0", "START"]),
        // It is late, but preferred.
        (backup(BACKUPS), &["login at 1"]),
        (
            backup(at_home_with(2, 2)),
            &["tell licensed by 1", "tell switched to 1", "logout 1 at 0"],
        ),
    ]);
}

#[test]
fn given_a_login_that_waits_for_the_home_when_its_link_breaks_then_the_server_has_failed() {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (primary(LinkLost), &["disconnect at 0"]),
        (
            backup(Refused(ServerBusy)),
            // Nothing was asked there yet.
            &[],
        ),
        (
            backup(Unreachable),
            &[
                "tell no connection to 1: nobody answers",
                "tell unavailable",
                "exit no server: nobody answers",
            ],
        ),
    ]);
    // Or the program is stopped.
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (Do::StopRequested, &["disconnect at 0", "disconnect at 1", "exit stopped"]),
    ]);
}

#[test]
fn given_a_home_that_neither_server_has_when_it_shows_then_they_are_asked_as_configured() {
    let mut story = start(9);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(BACKUPS), &["login at 0"]),
        (After(250), &["login at 1"]),
        (primary(at_home_with(9, 1)), &["tell licensed by 0", "START"]),
        (backup(at_home_with(9, 2)), &["logout 2 at 1"]),
        (backup(LoggedOut), &["tell logged out of 1", "disconnect at 1"]),
        (After(10 * MINUTE_MS), &[]),
    ]);
}

#[test]
fn given_an_old_receipt_when_the_server_is_a_general_one_then_it_counts_no_more() {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["login at 0"]),
        (primary(Granted), &["tell licensed by 0", "START"]),
        (After(10 * MINUTE_MS), &[]),
    ]);
}

#[test]
fn given_no_receipt_when_the_first_grant_names_the_other_server_then_the_host_goes_home() {
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (primary(PRIMARYS), &["login at 0"]),
        (primary(at_home_with(2, 1)), &["tell licensed by 0", "START"]),
    ]);
    goes_home(&mut story);
}

/// After two good probes, without a loss.
fn goes_home(story: &mut Story) {
    story.goes(&[
        (Next, &["connect 1"]),
        (backup(BACKUPS), &["disconnect at 1"]),
        (Next, &["connect 1"]),
        (backup(BACKUPS), &["login at 1"]),
        (
            backup(at_home_with(2, 2)),
            &[
                "tell tries 1",
                "tell licensed by 1",
                "tell restored",
                "tell switched to 1",
                "hook failback",
                "logout 1 at 0",
            ],
        ),
        (primary(LoggedOut), &["tell logged out of 0", "disconnect at 0"]),
        (After(10 * MINUTE_MS), &[]),
    ]);
}

#[test]
fn given_a_home_that_was_down_when_it_is_back_then_its_host_goes_home() {
    let mut story = abroad();
    // However long that takes.
    for _ in 0..30 {
        story.goes(&[(Next, &["connect 1"]), (backup(Unreachable), &[])]);
    }
    goes_home(&mut story);
}

#[test]
fn given_a_home_that_refuses_when_it_is_probed_then_it_is_told_once_and_nothing_is_lost() {
    let mut story = abroad();
    let tries: [&[&str]; 2] = [
        &["disconnect at 1", "tell tries 1", "tell refused by 1: license-expired"],
        &["disconnect at 1"],
    ];
    for told in tries {
        story.goes(&[
            (Next, &["connect 1"]),
            (backup(BACKUPS), &["disconnect at 1"]),
            (Next, &["connect 1"]),
            (backup(BACKUPS), &["login at 1"]),
            (backup(Refused(LicenseExpired)), told),
        ]);
    }
}

#[test]
fn given_a_probe_when_the_other_server_turns_out_not_to_be_the_home_either_then_all_stays() {
    let mut story = abroad();
    story.goes(&[
        (Next, &["connect 1"]),
        (backup(Shows(3)), &["disconnect at 1"]),
        (After(10 * MINUTE_MS), &[]),
    ]);
}

#[test]
fn given_a_home_that_is_lost_then_the_other_one_takes_over_and_that_is_a_failover() {
    let mut story = at_home();
    story.goes(&[
        (backup(LinkLost), &["disconnect at 1", "connect 1"]),
        (
            backup(Unreachable),
            &[
                "tell lost 1: nobody answers",
                "tell tries 1",
                "tell no connection to 1: nobody answers",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 0",
                "connect 0",
            ],
        ),
        (primary(PRIMARYS), &["login at 0"]),
        (
            primary(at_home_with(2, 1)),
            &[
                "tell licensed by 0",
                "tell restored",
                "tell switched to 0",
                "hook failover",
                "hook restored",
            ],
        ),
    ]);
    goes_home(&mut story);
}

#[test]
fn given_two_logins_when_both_grant_then_the_home_is_kept() {
    // In whichever order.
    let mut story = start(2);
    let both: [(Do, &[&str]); 3] = [
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (After(250), &["login at 0"]),
        (backup(BACKUPS), &["login at 1"]),
    ];
    story.goes(&both);
    story.goes(&[
        (backup(at_home_with(2, 2)), &["tell licensed by 1", "START"]),
        (primary(at_home_with(2, 1)), &["logout 1 at 0"]),
    ]);
    // Two servers that have both registered a host that neither knew: what licenses stays, and the
    // servers settle where the home is.
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (primary(PRIMARYS), &["login at 0"]),
        (After(250), &["tell tries 1", "connect 1"]),
        (backup(BACKUPS), &["login at 1"]),
        (primary(at_home_with(1, 1)), &["tell licensed by 0", "START"]),
        (backup(at_home_with(2, 2)), &["logout 2 at 1"]),
    ]);
}

#[test]
fn given_a_check_when_it_names_another_home_then_the_host_goes_there() {
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (primary(PRIMARYS), &["login at 0"]),
        (primary(at_home_with(1, 1)), &["tell licensed by 0", "START"]),
        (After(HOUR_MS), &["check 1 at 0"]),
        (primary(at_home_with(2, 1)), &[]),
    ]);
    assert!(story.pause_ms() >= 54 * SECOND_MS, "not at once: {}", story.pause_ms());
    goes_home(&mut story);
}

#[test]
fn given_no_free_instance_at_a_check_then_it_is_a_loss_and_both_are_asked_again() {
    let guest = Grant { home: Some(license(2)), check_interval_ms: MINUTE_MS / 2, ..grant(1) };
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["login at 0"]),
        (primary(Do::GrantedTo(guest.into())), &["tell licensed by 0", "START"]),
        (Next, &["check 1 at 0"]),
        (
            primary(Refused(NoFreeInstanceOnPeer)),
            &[
                "disconnect at 0",
                "tell revoked by 0: no-free-instance-on-peer",
                "tell ends within 2 hours",
                "hook lost",
                "tell tries 1",
                "connect 1",
            ],
        ),
        (
            backup(Unreachable),
            &["tell no connection to 1: nobody answers", "tell tries 0", "connect 0"],
        ),
        (primary(PRIMARYS), &["login as 1 at 0"]),
        (primary(Refused(NoFreeInstanceOnPeer)), &["disconnect at 0"]),
    ]);
    // Within the grace period the home is back.
    story.goes(&[
        (Next, &["connect 1"]),
        (backup(BACKUPS), &["login at 1"]),
        (
            backup(at_home_with(2, 2)),
            &[
                "tell licensed by 1",
                "tell restored",
                "tell switched to 1",
                "hook failback",
                "hook restored",
            ],
        ),
    ]);
}

#[test]
fn given_no_free_instance_at_the_start_then_it_ends_as_refused() {
    let mut story = start(2);
    story.goes(&[
        (primary(PRIMARYS), &["tell tries 1", "connect 1"]),
        (backup(Unreachable), &["login at 0"]),
        (
            primary(Refused(NoFreeInstanceOnPeer)),
            &[
                "disconnect at 0",
                "tell refused by 0: no-free-instance-on-peer",
                "tell no connection to 1: nobody answers",
                "exit refused: no-free-instance-on-peer",
            ],
        ),
    ]);
}

#[test]
fn given_one_server_when_it_is_not_the_home_then_nothing_else_is_looked_for() {
    let settings = Settings { servers: 1, home: Some(license(2)), ..two() };
    let mut story = Story::new(settings);
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (PRIMARYS, &["login"]),
        (at_home_with(2, 1), &["tell licensed by 0", "START"]),
        (After(10 * MINUTE_MS), &[]),
        (LinkLost, &["disconnect", "connect 0"]),
        (Connected, &["login as 1"]),
        (Do::GrantedTo(grant(1).into()), &[]),
    ]);
}
