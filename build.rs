//! Link settings of the Node addon.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
