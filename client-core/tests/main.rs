//! The machine from outside: scripted conversations, storms, replays, and a random simulation of everything.

mod close_codes;
mod connecting;
mod feeds;
mod limits;
mod liveness;
mod page;
mod positions;
mod readme;
mod replay;
mod rig;
mod simulation;
mod storms;
mod tokens;
mod world;
