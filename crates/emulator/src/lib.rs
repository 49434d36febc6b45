//! Runs: ve-emulator, QEMU or any command under a license.
