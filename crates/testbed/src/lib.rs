//! Tries: real processes in a temporary folder, for tests only.
