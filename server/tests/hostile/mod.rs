//! Clients that are slow, broken or hostile, on raw sockets: every refusal is explained, and nobody else notices.
//!
//! A test that begins with `t_` or `d_` shows the row of that name in the list of threats and defaults.

mod cost;
mod dead;
mod frames;
mod http;
mod tls;
