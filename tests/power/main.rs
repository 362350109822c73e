//! Power failure: the calls of a durable operation are recorded from a real process, every state is built that
//! a crash at any moment can leave on the disk, and the library reads and updates each.
//!
//! A change that was not synced may be on the disk or not. What else is possible is the file system's: see
//! `states::FileSystem`. A state begins with another boot, so the records in it name processes of the boot
//! before.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("skipped: the tracer knows the calls of Linux on x64 only");
}
