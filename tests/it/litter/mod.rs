#[cfg(target_os = "linux")]
mod cleanup;
