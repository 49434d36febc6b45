//! Asks: core's client machine over a TLS link.
