//! The strategies held against an independent implementation, and against what must always be true.

mod fixtures;
mod golden;
