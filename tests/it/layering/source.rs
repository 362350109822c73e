//! A source file of the crate, and the paths to other modules in it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module, by its path from the root of its crate: `["lock", "guard"]`. The root has none.
pub(super) type ModulePath = Vec<String>;

/// A path such as `crate::lock::guard::Guard` or `super::wait`, as it is written.
#[derive(Debug)]
pub(super) struct WrittenPath {
    segments: Vec<String>,
    pub(super) line: usize,
    /// The module that it is written in. A `mod` with a body is one of its own.
    within: ModulePath,
}

/// What a source file says of modules. Code that only tests compile is left out.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Every path that may lead to another module.
    pub(super) paths: Vec<WrittenPath>,
    /// The modules of this crate or of others that `use` gives a name here.
    names: BTreeMap<String, usize>,
    /// The files of these modules are compiled for tests only.
    pub(super) test_modules: BTreeSet<ModulePath>,
    /// The lines with the attribute `path`, which takes a module out of its folder.
    pub(super) moved_modules: Vec<usize>,
    /// The lines that ask for the feature `node`.
    pub(super) node_feature: Vec<usize>,
}

impl Source {
    /// # Panics
    ///
    /// If the text is not Rust.
    pub(super) fn read(module: &[String], text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        let node_feature = lines_with_node_feature(tokens.clone());
        let mut source = Source { node_feature, ..Source::default() };
        source.read_tokens(&tokens.into_iter().collect::<Vec<_>>(), module);
        source
    }

    fn read_tokens(&mut self, tokens: &[TokenTree], module: &[String]) {
        let mut at = 0;
        while at < tokens.len() {
            at = self.read_one(tokens, at, module);
        }
    }

    /// Reads what starts at this token; returns where the rest starts.
    fn read_one(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let rest = &tokens[at..];
        if let Some((attribute, length)) = attribute(rest) {
            if is_ident(attribute.first(), "path") {
                self.moved_modules.push(line(&rest[0]));
            }
            if is_test_only(&attribute) {
                return at + length + self.skip_item(&rest[length..], module);
            }
            return at + length;
        }
        match rest {
            [TokenTree::Ident(ident), TokenTree::Group(group), ..]
                if ident == "pub" && is_visibility(&group.stream()) =>
            {
                at + 2
            }
            [TokenTree::Ident(ident), ..] if ident == "use" => {
                let end = until_semicolon(rest);
                self.read_use(&rest[1..end], &[], module);
                at + end
            }
            [TokenTree::Ident(ident), TokenTree::Ident(name), TokenTree::Group(body), ..]
                if ident == "mod" =>
            {
                let inner = [module, &[name.to_string()]].concat();
                self.read_tokens(&body.stream().into_iter().collect::<Vec<_>>(), &inner);
                at + 3
            }
            [TokenTree::Group(group), ..] => {
                self.read_tokens(&group.stream().into_iter().collect::<Vec<_>>(), module);
                at + 1
            }
            [TokenTree::Ident(first), ..] => {
                let (segments, length) = path_at(rest);
                if segments.len() > 1 {
                    let line = first.span().start().line;
                    let within = module.to_vec();
                    self.paths.push(WrittenPath { segments, line, within });
                }
                at + length
            }
            // The path goes on from what is not an identifier, as in `<T as Trait>::Name`.
            _ if is_path_separator(rest) => at + 2 + path_at(&rest[2..]).1,
            _ => at + 1,
        }
    }

    /// A `use` tree after what its braces are in.
    fn read_use(&mut self, tree: &[TokenTree], prefix: &[String], module: &[String]) {
        // It starts with `::`, so it names another crate.
        if prefix.is_empty() && is_path_separator(tree) {
            return;
        }
        let (segments, length) = path_at(tree);
        let path = [prefix, &segments].concat();
        let rest = &tree[length.min(tree.len())..];
        let rest = if is_path_separator(rest) { &rest[2..] } else { rest };
        if let [TokenTree::Group(group), ..] = rest {
            let inner: Vec<_> = group.stream().into_iter().collect();
            for tree in inner.split(|token| is_punct(Some(token), ',')) {
                if !tree.is_empty() {
                    self.read_use(tree, &path, module);
                }
            }
            return;
        }
        let Some(first) = tree.first() else { return };
        let name = match rest {
            [TokenTree::Ident(keyword), TokenTree::Ident(name), ..] if keyword == "as" => {
                Some(name.to_string())
            }
            [TokenTree::Punct(star), ..] if star.as_char() == '*' => None,
            _ => path.iter().rev().find(|segment| *segment != "self").cloned(),
        };
        if let Some(name) = name {
            self.names.insert(name, self.paths.len());
        }
        // `a::{self}` and `a::*` name the module `a`.
        let mut segments = path;
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        self.paths.push(WrittenPath { segments, line: line(first), within: module.to_vec() });
    }

    /// How many tokens the item has that starts here. If it is a module in a file of its own, that
    /// file is for tests.
    fn skip_item(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        let mut at = 0;
        while let Some((_, length)) = attribute(&tokens[at..]) {
            at += length;
        }
        let item = &tokens[at..];
        if let [TokenTree::Ident(keyword), TokenTree::Ident(name), end, ..] = item {
            if keyword == "mod" && is_punct(Some(end), ';') {
                self.test_modules.insert([module, &[name.to_string()]].concat());
            }
        }
        let starts = |keywords: &[&str]| keywords.iter().any(|word| is_ident(item.first(), word));
        if starts(&["use", "const", "static", "type", "let"]) {
            return at + until_semicolon(item);
        }
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            other => is_punct(Some(other), ';'),
        };
        at + item.iter().position(ends).map_or(item.len(), |end| end + 1)
    }

    /// The first names of the paths into the crate that has this name, each with its line.
    pub(super) fn modules_of_alias(&self, alias: &str) -> Vec<(String, usize)> {
        let into = self.paths.iter().filter(|path| path.segments[0] == alias);
        into.filter_map(|path| Some((path.segments.get(1)?.clone(), path.line))).collect()
    }

    /// The path from the root of the crate, if this one leads into the crate. `is_module` knows which
    /// modules there are.
    pub(super) fn resolve(
        &self,
        path: &WrittenPath,
        is_module: &dyn Fn(&[String]) -> bool,
    ) -> Option<Vec<String>> {
        let mut base = path.within.clone();
        let mut segments = path.segments.as_slice();
        match segments.first()?.as_str() {
            "crate" => {
                base.clear();
                segments = &segments[1..];
            }
            "self" | "super" => {
                while let Some(step) = segments.first() {
                    match step.as_str() {
                        "self" => {}
                        "super" => drop(base.pop()),
                        _ => break,
                    }
                    segments = &segments[1..];
                }
            }
            first => {
                let child = [base.as_slice(), &[first.to_owned()]].concat();
                if !is_module(&child) {
                    // Perhaps `use` has given a module this name.
                    let named = self.paths.get(*self.names.get(first)?)?;
                    if std::ptr::eq(named, path) || named.segments.first()? == first {
                        return None;
                    }
                    base = self.resolve(named, is_module).filter(|named| is_module(named))?;
                    segments = &segments[1..];
                }
            }
        }
        base.extend(segments.iter().cloned());
        Some(base)
    }
}

/// The identifiers of a path, and how many tokens they are.
fn path_at(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut segments = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        segments.push(ident.to_string());
        at += 1;
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(_)) if is_path_separator(&tokens[at..]) => at += 2,
            _ => break,
        }
    }
    (segments, at)
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':')
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == wanted)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn until_semicolon(tokens: &[TokenTree]) -> usize {
    let end = tokens.iter().position(|token| is_punct(Some(token), ';'));
    end.map_or(tokens.len(), |end| end + 1)
}

/// The content of the attribute that starts here, and how many tokens it is.
fn attribute(tokens: &[TokenTree]) -> Option<(Vec<TokenTree>, usize)> {
    let is_inner = is_punct(tokens.get(1), '!');
    let length = if is_inner { 3 } else { 2 };
    match tokens.get(length - 1) {
        Some(TokenTree::Group(group))
            if is_punct(tokens.first(), '#') && group.delimiter() == Delimiter::Bracket =>
        {
            Some((group.stream().into_iter().collect(), length))
        }
        _ => None,
    }
}

/// Whether an attribute is `cfg(test)`, or a `cfg(all(...))` that asks for `test`.
fn is_test_only(attribute: &[TokenTree]) -> bool {
    let asks_for_test = |condition: &[TokenTree]| match condition {
        [one] => is_ident(Some(one), "test"),
        [all, TokenTree::Group(conditions)] if is_ident(Some(all), "all") => {
            let conditions: Vec<_> = conditions.stream().into_iter().collect();
            let mut conditions = conditions.split(|token| is_punct(Some(token), ','));
            conditions.any(|one| one.len() == 1 && is_ident(one.first(), "test"))
        }
        _ => false,
    };
    match attribute {
        [cfg, TokenTree::Group(condition)] if is_ident(Some(cfg), "cfg") => {
            asks_for_test(&condition.stream().into_iter().collect::<Vec<_>>())
        }
        _ => false,
    }
}

/// Whether the parentheses after a `pub` say how far it is visible: they name an ancestor, and import
/// nothing.
fn is_visibility(content: &TokenStream) -> bool {
    let tokens: Vec<_> = content.clone().into_iter().collect();
    let words = ["crate", "super", "self"];
    is_ident(tokens.first(), "in")
        || tokens.len() == 1 && words.iter().any(|word| is_ident(tokens.first(), word))
}

fn lines_with_node_feature(tokens: TokenStream) -> Vec<usize> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut lines = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            lines.extend(lines_with_node_feature(group.stream()));
        }
        let is_node = |token: &TokenTree| token.to_string() == "\"node\"";
        if is_ident(Some(token), "feature")
            && is_punct(tokens.get(at + 1), '=')
            && tokens.get(at + 2).is_some_and(is_node)
        {
            lines.push(line(token));
        }
    }
    lines
}
