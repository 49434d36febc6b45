//! Two servers, one after the other: the backup when the primary is of no use.

use ve_core::{
    client::io::Settings,
    reason::ReasonCode::{InstanceLimit, LicenseExpired},
    time::MINUTE_MS,
};

use crate::story::{
    Do::{Connected, Granted, GrantedTo, LinkLost, Next, Refused, Start, Unreachable},
    Story, grant, settings,
};

fn two() -> Settings {
    Settings { servers: 2, ..settings() }
}

#[test]
fn the_backup_is_asked_when_the_primary_does_not_answer_or_refuses() {
    Story::new(two()).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell tries 1", "connect 1"]),
        (Connected, &["login"]),
        (Granted, &["tell licensed by 1", "START"]),
    ]);
    Story::new(two()).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Connected, &["login"]),
        (
            Refused(InstanceLimit),
            &["disconnect", "tell refused by 0: instance-limit", "tell tries 1", "connect 1"],
        ),
        (Connected, &["login"]),
        (Granted, &["tell licensed by 1", "START"]),
    ]);
}

#[test]
fn a_refusal_says_more_than_a_server_that_is_not_there() {
    let exit: &[&str] = &["exit refused: instance-limit"];
    Story::new(two()).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Connected, &["login"]),
        (
            Refused(InstanceLimit),
            &["disconnect", "tell refused by 0: instance-limit", "tell tries 1", "connect 1"],
        ),
        (Unreachable, exit),
    ]);
    Story::new(two()).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell tries 1", "connect 1"]),
        (Connected, &["login"]),
        (Refused(InstanceLimit), &["disconnect", "tell refused by 1: instance-limit", exit[0]]),
    ]);
    Story::new(Settings { start_wait_ms: MINUTE_MS, ..two() }).goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Unreachable, &["tell tries 1", "connect 1"]),
        (Unreachable, &["tell no connection to 1: nobody answers"]),
        (Next, &["connect 0"]),
        (Unreachable, &["connect 1"]),
        (Connected, &["login"]),
        (Refused(LicenseExpired), &["disconnect", "tell refused by 1: license-expired"]),
    ]);
}

#[test]
fn a_loss_is_one_only_when_no_server_has_a_license() {
    let mut story = Story::new(two());
    story.goes(&[
        (Start, &["tell tries 0", "connect 0"]),
        (Connected, &["login"]),
        (Granted, &["tell licensed by 0", "START"]),
        (LinkLost, &["disconnect", "connect 0"]),
        (Unreachable, &["connect 1"]),
        (Connected, &["login as 1"]),
        (GrantedTo(grant(2).into()), &[]),
    ]);
}
