//! Proves: V2C, C2V and credentials as signed documents; keys.
