//! Link settings of the Node addon.

fn main() {
    #[cfg(feature = "node")]
    node_addon();
}

#[cfg(feature = "node")]
fn node_addon() {
    napi_build::setup();
    // Node unloads an addon together with the last worker that loaded it, but threads of ours may
    // still be in its code then, standing in the kernel's queue for a lock.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // For all that this feature links: `rustc-cdylib-link-arg` is for a manifest with a cdylib.
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}
