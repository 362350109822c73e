//! Link settings of the Node addon.

fn main() {
    #[cfg(feature = "node")]
    node_addon();
}

#[cfg(feature = "node")]
fn node_addon() {
    napi_build::setup();
    // For all that this feature links: `rustc-cdylib-link-arg`, which napi_build prints, has an effect only if the
    // manifest has a cdylib.
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // Node unloads an addon together with the last worker that loaded it, but threads of ours may
        // still be in its code then, standing in the kernel's queue for a lock.
        Ok("linux") => println!("cargo:rustc-link-arg=-Wl,-z,nodelete"),
        // The functions of Node-API are in the process that loads the addon.
        Ok("macos") => println!("cargo:rustc-link-arg=-Wl,-undefined,dynamic_lookup"),
        _ => {}
    }
}
