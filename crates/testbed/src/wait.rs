//! Waiting for what another process does: until it is there, and never for a guessed time.

use std::{
    fmt::Display,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// No test waits that long for one thing; a machine under load may take its time.
pub const LIMIT: Duration = Duration::from_mins(2);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` finds something. `what` is what the panic says was missing.
#[track_caller]
pub fn until<T>(what: impl Display, look: impl FnMut() -> Option<T>) -> T {
    match try_until(look) {
        Some(found) => found,
        None => panic!("waited {} s in vain: {what}", LIMIT.as_secs()),
    }
}

/// The same for a caller who has more to say when nothing was found.
pub fn try_until<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    within(LIMIT, look)
}

/// Waits until `file`, which may not be there yet, holds `text`; returns all it holds then.
#[track_caller]
pub fn for_text(file: &Path, text: &str) -> String {
    let look = || Some(content(file)).filter(|content| content.contains(text));
    match within(LIMIT, look) {
        Some(content) => content,
        None => panic!("no {text:?} in {}, but:\n{}", file.display(), content(file)),
    }
}

/// What a file holds; nothing when it isn't there. What is no UTF-8 is replaced.
pub fn content(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    loop {
        // The time is taken first: whatever is there at the limit is still found.
        let over = since.elapsed() >= limit;
        let found = look();
        if found.is_some() || over {
            return found;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    #[test]
    fn what_comes_late_is_found_and_what_never_comes_is_given_up() {
        let mut looks = 0;
        let found = within(LIMIT, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Some(3));
        assert_eq!(within(Duration::ZERO, || None::<()>), None);
        assert_eq!(within(Duration::ZERO, || Some(())), Some(()), "it is looked at once at least");
    }

    #[test]
    fn a_growing_file_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let writer = {
            let path = path.clone();
            thread::spawn(move || {
                let mut file = File::create(path).expect("a file");
                file.write_all(b"first\nsec\xffond\n").expect("written");
            })
        };
        assert_eq!(for_text(&path, "ond"), "first\nsec\u{fffd}ond\n");
        writer.join().expect("written");
    }
}
