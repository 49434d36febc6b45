//! Keeps house: the rules of STYLE.md as a test.
