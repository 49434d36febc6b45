//! Every line of `license.log` has the documented form, whatever was attempted.

use ve_core::reason::ReasonCode;

/// Checks all lines: their form, and the reason code of each refusal.
pub(crate) fn is_sound(log: &str) {
    assert!(log.ends_with("INFO MAIN The program is terminated.\n"), "the end is missing: {log}");
    log.lines().for_each(line_is_sound);
    assert!(!log.contains("FORGED"), "what a client invented is in the log: {log}");
}

fn line_is_sound(line: &str) {
    let (time, rest) = line.split_at_checked(20).unwrap_or_else(|| panic!("no line: {line:?}"));
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00 00:00:00 ", "{line:?}");
    let words: Vec<&str> = rest.splitn(3, ' ').collect();
    let [level, module, message] = words[..] else { panic!("no line: {line:?}") };
    assert!(["INFO", "WARN", "ERROR", "FATAL"].contains(&level), "{line:?}");
    assert!(["MAIN", "License", "Server"].contains(&module), "{line:?}");
    let printable = |c: char| !c.is_control() && !('\u{200b}'..='\u{206f}').contains(&c);
    assert!(!message.is_empty() && message.chars().all(printable), "{line:?}");
    assert!(line.len() < 2_000, "{} bytes: {line:?}", line.len());
    if let Some((_, refusal)) = message.split_once(" was refused: ") {
        let (code, sentence) = refusal.split_once(": ").expect("a code and a sentence");
        assert!(code.parse::<ReasonCode>().is_ok(), "{line:?}");
        assert!(sentence.ends_with('.'), "{line:?}");
    }
}
