//! Which module may use which: the order of the folders, and no cycle within one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{ModulePath, Source, WrittenPath};

pub(super) const ORDER: &str =
    "util <- sys <- error, warning, holder (the vocabulary) <- files <- \
    lock <- registry <- folder <- document, litter <- watch <- store <- node, cli; content uses the \
    vocabulary only; document uses neither registry nor folder";

/// For each layer, the layers that it may use besides itself.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("util", &[]),
    ("sys", &["util"]),
    ("vocabulary", &["util", "sys"]),
    ("content", &["vocabulary"]),
    ("files", &["util", "sys", "vocabulary"]),
    ("lock", &["util", "sys", "vocabulary", "files"]),
    ("registry", &["util", "sys", "vocabulary", "files", "lock", "content"]),
    ("folder", &["util", "sys", "vocabulary", "files", "lock", "content", "registry"]),
    ("document", &["util", "sys", "vocabulary", "files", "lock"]),
    ("litter", &["util", "sys", "vocabulary", "files", "lock", "content", "folder"]),
    (
        "watch",
        &[
            "util",
            "sys",
            "vocabulary",
            "files",
            "lock",
            "content",
            "registry",
            "folder",
            "document",
            "litter",
        ],
    ),
    (
        "store",
        &[
            "util",
            "sys",
            "vocabulary",
            "files",
            "lock",
            "content",
            "registry",
            "folder",
            "litter",
            "watch",
        ],
    ),
    (
        "node",
        &[
            "util",
            "sys",
            "vocabulary",
            "files",
            "lock",
            "content",
            "registry",
            "folder",
            "document",
            "litter",
            "watch",
            "store",
        ],
    ),
    // For the fuzzer and the tests only.
    ("fuzz_targets", &["sys", "vocabulary", "content", "lock", "folder", "document"]),
];

/// The modules beside `lib.rs` that are the crate's public vocabulary.
const VOCABULARY: [&str; 3] = ["error", "warning", "holder"];

/// The layer of what a path from the library's root leads to; `None` if it has no layer.
fn layer(path: &[String]) -> Option<&'static str> {
    let first = path.first()?.as_str();
    let first = if VOCABULARY.contains(&first) { "vocabulary" } else { first };
    MAY_USE.iter().map(|(layer, _)| *layer).find(|layer| *layer == first)
}

/// Whether a file is one of the program's.
fn is_program(path: &str) -> bool {
    path == "src/main.rs" || path.starts_with("src/cli/")
}

/// The sources of the library, or of the program.
pub(super) struct Sources {
    files: BTreeMap<ModulePath, (String, Source)>,
}

impl Sources {
    /// Reads the sources of the library: of these files, those that are not the program's.
    pub(super) fn of_library<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let is_library = |path: &str| path.starts_with("src/") && !is_program(path);
        Sources::read("src/", "lib", files.into_iter().filter(|(path, _)| is_library(path)))
    }

    /// Reads the sources of the program.
    pub(super) fn of_program<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Sources::read("src/", "main", files.into_iter().filter(|(path, _)| is_program(path)))
    }

    /// What the program, a module of the library's crate, uses that no other crate could use.
    pub(super) fn private_names(&self, library: &Sources) -> Vec<String> {
        let mut defects = Vec::new();
        for (_, file, path, target) in self.resolved() {
            if target.first().is_some_and(|first| first != "cli") {
                defects.push(format!("{file}:{}: `crate::{}`", path.line, target.join("::")));
            }
        }
        for (file, source) in self.files.values() {
            for (module, line) in source.modules_of_alias("argus_registry") {
                if library.files.contains_key(&vec![module.clone()]) {
                    defects.push(format!("{file}:{line}: `argus_registry::{module}`"));
                }
            }
        }
        defects
    }

    fn read<'a>(folder: &str, root: &str, files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut read = BTreeMap::new();
        for (path, text) in files {
            let name = path.strip_prefix(folder).and_then(|path| path.strip_suffix(".rs")).unwrap();
            let mut module: ModulePath = name.split('/').map(str::to_owned).collect();
            if name == root || module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            let source = Source::read(&module, text);
            read.insert(module, (path.to_owned(), source));
        }
        let for_tests: BTreeSet<_> = read
            .values()
            .flat_map(|(_, source): &(_, Source)| source.test_modules.clone())
            .collect();
        read.retain(|module, _| !for_tests.iter().any(|test| module.starts_with(test)));
        Sources { files: read }
    }

    /// Of each file: its module, and every path in it with what it leads to.
    fn resolved(&self) -> impl Iterator<Item = (&ModulePath, &str, &WrittenPath, Vec<String>)> {
        let is_module = |path: &[String]| self.files.contains_key(path);
        self.files.iter().flat_map(move |(module, (file, source))| {
            source.paths.iter().filter_map(move |path| {
                Some((module, file.as_str(), path, source.resolve(path, &is_module)?))
            })
        })
    }

    /// What the library's folders import and must not.
    pub(super) fn forbidden_imports(&self) -> Vec<String> {
        let mut defects = Vec::new();
        for (module, (file, _)) in &self.files {
            if !module.is_empty() && layer(module).is_none() {
                defects.push(format!("{file}: `{}` has no place in the order {ORDER}", module[0]));
            }
        }
        for (module, file, path, target) in self.resolved() {
            let Some(own) = layer(module) else { continue };
            let place = format!("{file}:{}", path.line);
            let target_layer = layer(&target);
            let (_, may_use) = MAY_USE.iter().find(|(layer, _)| *layer == own).unwrap();
            match target_layer {
                Some(other) if other == own || may_use.contains(&other) => {}
                Some(other) => defects.push(format!(
                    "{place}: `{}`, in {own}, imports `{}`, in {other}. {own} may use: {}. \
                     The order: {ORDER}",
                    module.join("::"),
                    target.join("::"),
                    if may_use.is_empty() { "nothing".to_owned() } else { may_use.join(", ") },
                )),
                None => defects.push(format!(
                    "{place}: `{}` imports `crate::{}` from lib.rs, which hides the layer that it \
                     comes from. Import it from the module that defines it. The order: {ORDER}",
                    module.join("::"),
                    target.join("::"),
                )),
            }
        }
        defects
    }

    /// The cycles of modules within a folder of the library, or within the program: each as its modules,
    /// and with the lines that make it.
    pub(super) fn cycles(&self) -> Vec<(String, String)> {
        let mut edges: BTreeMap<&ModulePath, BTreeMap<&ModulePath, String>> = BTreeMap::new();
        for (module, file, path, target) in self.resolved() {
            let known = (0..=target.len()).rev().find_map(|length| {
                self.files.get_key_value(&target[..length]).map(|(module, _)| module)
            });
            // What the library re-exports is not imported from the library's root.
            if let Some(target) = known.filter(|target| *target != module) {
                let place = format!("{file}:{}", path.line);
                edges.entry(module).or_default().entry(target).or_insert(place);
            }
        }
        let mut found = BTreeMap::new();
        for start in edges.keys() {
            if let Some(cycle) = shortest_cycle(&edges, start) {
                let mut modules: Vec<_> = cycle[1..].to_vec();
                modules.sort();
                found.entry(modules).or_insert(cycle);
            }
        }
        let name = |module: &ModulePath| {
            if module.is_empty() {
                "the root".to_owned()
            } else {
                module.join("::")
            }
        };
        let describe = |cycle: &Vec<&ModulePath>| {
            let names: Vec<_> = cycle.iter().map(|module| name(module)).collect();
            let lines: Vec<_> =
                cycle.windows(2).map(|pair| edges[pair[0]][pair[1]].clone()).collect();
            let cycle = names.join(" -> ");
            (cycle.clone(), format!("{cycle}, by {}", lines.join(", ")))
        };
        found.values().map(describe).collect()
    }

    /// The modules that an attribute takes out of their folders, where no rule would see them.
    pub(super) fn moved_modules(&self) -> Vec<String> {
        let lines = self.files.values().flat_map(|(file, source)| {
            source.moved_modules.iter().map(move |line| format!("{file}:{line}: #[path]"))
        });
        lines.collect()
    }

    /// The files, outside of the front end for Node, that are compiled otherwise for it.
    pub(super) fn node_feature(&self) -> BTreeMap<&str, &[usize]> {
        let is_front_end = |file: &str| {
            file.starts_with("src/node/") || ["src/lib.rs", "src/util/mod.rs"].contains(&file)
        };
        let files = self
            .files
            .values()
            .filter(|(file, source)| !is_front_end(file) && !source.node_feature.is_empty());
        files.map(|(file, source)| (file.as_str(), source.node_feature.as_slice())).collect()
    }
}

/// From a module back to itself, if that is possible.
fn shortest_cycle<'a>(
    edges: &BTreeMap<&'a ModulePath, BTreeMap<&'a ModulePath, String>>,
    start: &'a ModulePath,
) -> Option<Vec<&'a ModulePath>> {
    let mut queue = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = queue.pop_front() {
        let targets = edges.get(way.last()?).into_iter().flat_map(BTreeMap::keys);
        for target in targets {
            let longer = [way.as_slice(), &[*target]].concat();
            if *target == start {
                return Some(longer);
            }
            if seen.insert(*target) {
                queue.push_back(longer);
            }
        }
    }
    None
}
