//! The gateway over real sockets: what a client, a browser or an operator meets.

mod admin;
mod architecture;
mod autobahn;
mod behind_nginx;
mod command_line;
mod deploy;
mod follow;
mod fuzz_corpus;
mod handshake;
mod hostile;
mod http;
mod identity;
mod limits;
mod live_market;
mod metrics;
mod nodes;
mod places;
mod restart;
mod rough;
mod sessions;
mod signals;
#[expect(unreachable_pub, reason = "shared with the unit tests")]
mod support;
