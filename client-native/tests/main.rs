//! The tokio host against a small server in the same process, in memory and on virtual time where it can be.

mod connection;
mod feeds;
mod server;
mod tokens;
