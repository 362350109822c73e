//! Errors of calls that a system does not have.

use std::io;

use rustix::io::Errno;

/// Whether the error means that the kernel or the file system has no such call. macOS has two numbers for
/// what is one number on Linux, and its file systems use both.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_of_macos_are_known() {
        for error in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert!(is_unsupported(&error.into()), "{error:?}");
        }
        assert!(!is_unsupported(&Errno::IO.into()));
    }
}
