//! Identifies: what machine is this.
