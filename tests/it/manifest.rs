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

/// An addon that does not unwind would end the process of its host with each panic.
#[test]
fn panics_unwind_in_every_profile() {
    let manifest = include_str!("../../Cargo.toml");
    assert!(!manifest.lines().any(|line| line.starts_with("panic =")));
}

/// On Windows and macOS, documents brought `sysinfo` and `windows`, which only registries need.
#[test]
fn a_dependent_can_leave_sysinfo_out() {
    let manifest = include_str!("../../Cargo.toml");
    let mut lines = manifest.lines().filter(|line| line.starts_with("sysinfo = "));
    assert!(lines.next().unwrap().contains("optional = true"));
    assert_eq!(lines.next(), None);
}
