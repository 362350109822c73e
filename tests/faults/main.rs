//! A fault at every call: each operation is run again and again, with its first call killed or failed, then
//! its second, and so on until the fault comes too late. What is left has to be whole, what was
//! acknowledged has to be there, and the next process has to be able to go on at once.
//!
//! `npm run test:faults` runs all of it; `-- --short` a choice of it. `-- --only NAME` runs the operations
//! whose names begin so, `--fault NAME` one fault, and `--call N` one call: what a failure is printed
//! with. `--calls` prints which calls were counted.

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
