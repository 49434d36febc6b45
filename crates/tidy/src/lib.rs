//! Keeps house: those rules of STYLE.md that a machine can check.
//!
//! Every rule is one function from a [`tree::Tree`] to the [`tree::Violation`]s that it found;
//! `tests/tidy.rs` runs each of them on the whole repository. Beside every rule stands a test that
//! plants a violation and sees it caught, so that a rule can't go blind unnoticed.
//!
//! - [`tree`]: the files of the repository; [`manifest`]: the crates; [`rust`]: what is code in a Rust
//!   file, and which of it is a test.
//! - [`arrows`], [`purity`], [`trust`], [`doors`]: who may use whom and what.
//! - [`size`], [`lints`], [`words`], [`shell`], [`pages`]: how things are written.

pub mod arrows;
pub mod doors;
pub mod lints;
pub mod manifest;
pub mod pages;
pub mod purity;
pub mod rust;
pub mod shell;
pub mod size;
pub mod tree;
pub mod trust;
pub mod words;
