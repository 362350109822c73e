//! Link settings of the addon.

fn main() {
    napi_build::setup();
    // Node unloads an addon together with the last worker that loaded it, but threads of ours are still in its code
    // then: those that talk to the servers.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
