//! Signs: license_issuer, the vendor's; never shipped with the server.
