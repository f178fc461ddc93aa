//! The `d2l` binary.
fn main() {}
