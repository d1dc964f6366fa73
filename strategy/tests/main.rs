//! The strategies held against an independent implementation, and against what must always be true.

mod docs;
mod engine;
mod fixtures;
mod golden;
mod properties;
mod range;
mod support;
