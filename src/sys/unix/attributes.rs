//! The system's calls for extended attributes on Linux and macOS.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;

use super::unsupported::is_unsupported;

/// The names in a list in which a zero byte ends each.
pub(super) fn each_name(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    names.split(|byte| *byte == 0).filter(|name| !name.is_empty())
}

/// Whether a list of names has this one.
pub(super) fn has_attribute(names: &[u8], name: &str) -> bool {
    each_name(names).any(|each| each == name.as_bytes())
}

/// The names of a file's attributes, each with a zero byte after it. Empty where the file system has
/// no attributes.
pub(super) fn names(file: &File) -> io::Result<Vec<u8>> {
    match filled(|buffer| flistxattr(file.as_fd(), buffer)) {
        Err(error)
            if is_unsupported(&error)
                || matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::ACCESS)) =>
        {
            Ok(Vec::new())
        }
        names => names,
    }
}

pub(super) fn value(file: &File, name: &str) -> io::Result<Vec<u8>> {
    filled(|buffer| fgetxattr(file.as_fd(), name, buffer))
}

/// What a call puts into a buffer, which is made larger until it is large enough.
fn filled(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        match call(&mut buffer) {
            Err(Errno::RANGE) => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error.into()),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}
