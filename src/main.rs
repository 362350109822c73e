//! The program `argus-registry`.

fn main() {
    argus_registry::cli::main(None)
}
