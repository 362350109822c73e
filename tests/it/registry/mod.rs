mod entries;
mod heartbeat;
mod large_registry;
mod prune;
mod update;
