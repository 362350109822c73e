mod entries;
mod heartbeat;
mod large_registry;
mod on_corrupt;
mod prune;
mod update;
