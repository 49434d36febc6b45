//! Remembers: what core appends, durably.
