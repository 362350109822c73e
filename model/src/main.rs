//! Checks a model of the protocol.

mod catalogue;
mod commit;
mod configuration;
mod document;
mod explore;
mod file_system;
mod guard;
mod lockfile;
mod model;
mod process;
mod stale_lockfile;
mod state;
mod step;

fn main() {
    let only = std::env::args().nth(1);
    for configuration in catalogue::all() {
        if only.as_ref().is_some_and(|only| only != configuration.name)
            || (only.is_none() && configuration.long_only)
        {
            continue;
        }
        let found = explore::explore(&configuration, 2);
        println!(
            "{}: {} states, depth {}, {:?}: {:?}",
            configuration.name,
            found.states,
            found.depth,
            found.time,
            found.surprises(&configuration)
        );
        for (name, trace) in &found.broken {
            println!("  {name}: start {:?}", trace.start.fs.names());
            for action in &trace.actions {
                println!("     {action:?}");
            }
            println!("    end {:?}", trace.end);
        }
        if only.is_some() {
            for (name, trace) in &found.limits {
                println!("  {name:?}: start {:?}", trace.start.fs.names());
                for action in &trace.actions {
                    println!("     {action:?}");
                }
            }
        }
    }
}
