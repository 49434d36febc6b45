//! Serves: listener, control socket, wiring; licensed, licensectl, license_viewer, c2v, v2c.
