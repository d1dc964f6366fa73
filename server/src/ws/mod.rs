//! The WebSocket endpoint: what is decided before the upgrade, the session that decides everything after it,
//! and the task that performs what the session decides.

pub mod admission;
pub mod connection;
pub mod fault;
pub mod followed;
mod frames;
pub mod guard;
pub mod handshake;
pub mod permits;
pub mod pulse;
pub mod session;
pub mod upgrade;

#[cfg(test)]
mod stall_tests;
