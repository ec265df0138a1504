//! The nine defects of apalis-redis 1.0.0, seen on it and on ours.
fn main() {}
