//! The search for a license: ever slower, never in step with others, and quietly.

use ve_core::{
    client::io::Settings,
    time::{MINUTE_MS, SECOND_MS},
};

use crate::story::{
    Do::{LinkLost, Next, Unreachable},
    Story, grant, grant_with_grace, settings,
};

/// The pauses between `count` attempts after a loss, in milliseconds.
fn pauses_ms(mut story: Story, count: usize) -> Vec<u64> {
    story.step(LinkLost);
    let pause_ms = |_| {
        story.step(Unreachable);
        let pause_ms = story.pause_ms();
        while !story.step(Next).contains(&"connect 0".to_owned()) {}
        pause_ms
    };
    (0..count).map(pause_ms).collect()
}

#[test]
fn attempts_become_rarer_up_to_a_minute() {
    let longest = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(|seconds| seconds * SECOND_MS);
    let pauses_ms = pauses_ms(Story::running(), longest.len());
    for (pause_ms, longest_ms) in pauses_ms.into_iter().zip(longest) {
        assert!((longest_ms / 2..=longest_ms).contains(&pause_ms), "{pause_ms} of {longest_ms}");
    }
}

#[test]
fn a_short_grace_period_is_searched_through() {
    let story = Story::running_with(settings(), grant_with_grace(20 * SECOND_MS));
    for pause_ms in pauses_ms(story, 8) {
        assert!(pause_ms <= 2 * SECOND_MS, "{pause_ms}");
    }
}

#[test]
fn two_clients_of_a_lost_server_do_not_come_back_in_step() {
    let with_seed = |seed| Story::running_with(Settings { seed, ..settings() }, grant(1));
    assert_eq!(pauses_ms(with_seed(1), 4), pauses_ms(with_seed(1), 4));
    assert_ne!(pauses_ms(with_seed(1), 4), pauses_ms(with_seed(2), 4));
}

#[test]
fn retries_are_told_every_ten_minutes() {
    let mut story = Story::running();
    story.step(LinkLost);
    story.step(Unreachable);
    let (mut passed_ms, mut told) = (0, vec![]);
    while passed_ms < 45 * MINUTE_MS {
        passed_ms += story.pause_ms();
        let mut found = story.step(Next);
        found.extend(story.step(Unreachable));
        found.retain(|effect| effect != "connect 0");
        if !found.is_empty() {
            assert_eq!(found, ["tell tries 0", "tell no connection to 0: nobody answers"]);
            told.push(passed_ms / MINUTE_MS);
        }
    }
    assert_eq!(told.len(), 4, "{told:?}");
    for (minute, due) in told.into_iter().zip([10, 20, 30, 40]) {
        assert!((due..due + 5).contains(&minute), "{minute} instead of {due}");
    }
}
