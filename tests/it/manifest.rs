//! What a Rust dependent of this crate has to build.

/// Each dependent linked an addon of 16 MB, which no Rust program uses.
#[test]
fn a_dependent_links_no_addon() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, lib) = manifest.split_once("\n[lib]\n").unwrap();
    let (lib, _) = lib.split_once("\n[").unwrap();
    let crate_types: Vec<_> = lib.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(crate_types.join("").trim(), r#"crate-type = ["rlib"]"#);
}
