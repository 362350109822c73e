//! The program `argus-registry-etcd`: all commands of `argus-registry`, for registries in etcd, too.

fn main() {
    argus_registry::cli::main(Some(argus_registry_etcd::register))
}
