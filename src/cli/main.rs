//! The program `argus-registry`.

fn main() {}
