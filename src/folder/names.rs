//! Giving the files of entries their names, and taking them away. On a network file system a call that the server
//! has carried out can be reported as failed, because its answer was lost. So after a failure, what has the names
//! decides.

use std::io;
use std::path::Path;

use crate::sys;

/// Gives a file that no other process uses yet a second name. Fails if another file has that name.
pub(crate) fn link(file: &Path, name: &Path) -> io::Result<()> {
    sys::hard_link(file, name).or_else(|error| {
        let is_done = || {
            let id = sys::id_at(file)?;
            Ok(id.is_some() && id == sys::id_at(name)?)
        };
        unless_done(error, is_done())
    })
}

/// Gives a file another name, in place of the file that has it. No other process renames the file.
pub(crate) fn rename(file: &Path, name: &Path) -> io::Result<()> {
    sys::rename(file, name).or_else(|error| {
        // The caller knows what it means that there is no such file.
        if error.kind() == io::ErrorKind::NotFound {
            return Err(error);
        }
        let is_done = || Ok(sys::id_at(file)?.is_none() && sys::id_at(name)?.is_some());
        unless_done(error, is_done())
    })
}

/// Takes the name of an entry away from a file, if the file still has it.
pub(crate) fn take_back(file: sys::FileId, name: &Path) -> io::Result<()> {
    match sys::id_at(name)? == Some(file) {
        true => sys::remove_if_there(name),
        false => Ok(()),
    }
}

fn unless_done(error: io::Error, is_done: io::Result<bool>) -> io::Result<()> {
    match is_done {
        Ok(true) => Ok(()),
        Ok(false) => Err(error),
        // The error of a look that tells nothing.
        Err(look) => {
            let text = format!("{error}; whether it was done is not known ({look})");
            Err(io::Error::new(error.kind(), text))
        }
    }
}
