//! The `farref` command as its users run it: the real program, against real processes.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod bench;
mod calling;
mod failing;
mod looking;
mod manual;
mod naming;
mod restart;
mod support;
mod tour;
