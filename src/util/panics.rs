//! Panics of this library on threads that no caller waits for.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// Does something, and returns the message of a panic. What the panic unwinds releases its locks, and no mutex
/// of this crate is left unusable by a panic.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        message.unwrap_or_else(|| "a panic".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("text")), Err::<(), _>("text".to_owned()));
        assert_eq!(catch(|| panic!("text {}", 1)), Err::<(), _>("text 1".to_owned()));
        assert_eq!(catch(|| panic_any(1)), Err::<(), _>("a panic".to_owned()));
    }
}
