//! Checks a model of the protocol.

fn main() {}
