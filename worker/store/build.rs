//! A new migration is built in: cargo sees a file that has changed, but none that has come.
fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
