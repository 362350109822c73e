mod registry_watch;
