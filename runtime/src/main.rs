//! `flashmem-run`: runs a bundle on inputs from an `.npz` file.
fn main() {}
