//! `doctor`: what a folder can do, and what is left in it.

use std::ffi::OsString;
use std::path::Path;

use crate::exit::{Exit, Failure};

pub(crate) fn run(path: &Path, _fix: bool, _json: bool) -> Result<Exit, Failure> {
    let message = format!("there is no doctor for {} yet", path.display());
    Err(Failure::new(Exit::Registry, message).next("wait for it"))
}

pub(crate) fn probe(_args: &[OsString]) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Registry, "there is no doctor yet").next("wait for it"))
}
