//! `mirror`: keeping a registry file in step with a store.

use argus_registry::{mirror_registry, MirrorOptions, OnError};

use crate::cli::args::{MirrorArgs, RegistryArgs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::usage_error;
use crate::cli::output;
use crate::cli::prune::update_options;

pub(crate) fn run(args: &MirrorArgs, registry: &RegistryArgs) -> Result<Exit, CommandError> {
    if registry.registry.is_some() || registry.system_registry {
        return Err(usage_error(
            "mirror names both registries, so --registry and --system-registry can't be given with it",
        ));
    }
    let on_error = OnError::new(|error| output::notice(error));
    let options = MirrorOptions { update: update_options(args.wait), on_error };
    let mirror = mirror_registry(&args.source, &args.file, options)?;
    #[cfg(unix)]
    crate::cli::signals::cancel_at_end(mirror.cancel_token()).map_err(|error| {
        CommandError::new(Exit::Registry, format!("cannot catch signals: {error}"))
    })?;
    if mirror.wait_until_working() {
        let (source, file) = (args.source.display(), args.file.display());
        // The mirror goes on if standard output is closed.
        let _ = output::text(&format!("mirroring {source} to {file}\n"));
    }
    mirror.wait();
    Ok(Exit::Success)
}
