//! Speaks: the published protocol, its frames and limits, TLS identities.
