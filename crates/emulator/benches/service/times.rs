//! Durations of many emulators in one line.

use std::time::Duration;

/// How long each of them took.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    fn at(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len() - 1);
        self.0[index].as_secs_f64()
    }

    /// The last of all, in seconds.
    pub(crate) fn last(&self) -> f64 {
        self.at(100)
    }

    /// First, median, 99 % and last, in seconds.
    pub(crate) fn line(&self) -> String {
        let [first, median, most, last] = [0, 50, 99, 100].map(|percent| self.at(percent));
        format!("first {first:.3} s, median {median:.3} s, 99 % {most:.3} s, last {last:.3} s")
    }
}
