//! The import graph of each crate, computed from its `use` lines: no circle, and no import that the table of allowed
//! imports does not name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module; empty for the crate's root.
type Module = Vec<String>;

/// The imports of each module.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The source folders of all crates.
const CRATES: [&str; 7] = [
    "src",
    "crates/airbyte-connector/src",
    "crates/airbyte-protocol/src",
    "crates/asana-simulator/src",
    "crates/demo/src",
    "crates/destination-iceberg/src",
    "xtask/src",
];

/// What the top-level modules of the connector may import of each other. A module that is not here imports nothing.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("asana", &["gid", "moment", "stream"]),
    ("catalog", &["schema", "stream", "streams"]),
    (
        "command",
        &[
            "allocator",
            "asana",
            "catalog",
            "config",
            "estimate",
            "moment",
            "plan",
            "secrets_manager",
            "state",
            "sync",
        ],
    ),
    ("config", &["asana", "gid_marks", "moment"]),
    ("emit", &["asana", "config", "moment"]),
    (
        "estimate",
        &[
            "asana",
            "config",
            "gid",
            "listed",
            "moment",
            "opt_fields",
            "plan",
            "schema",
            "slice_key",
            "state",
            "stream",
            "stream_set",
            "sync",
            "window",
        ],
    ),
    ("gid_marks", &["gid"]),
    ("listed", &["gid", "varint"]),
    ("opt_fields", &["schema"]),
    ("plan", &["asana", "opt_fields", "schema", "stream", "stream_set", "streams"]),
    ("schema", &["stream"]),
    ("secrets_manager", &["config"]),
    ("slice_key", &["gid"]),
    ("state", &["gid", "listed", "moment", "slice_key"]),
    ("streams", &["schema", "stream"]),
    ("window", &["moment", "plan"]),
];

/// What the read path may import of the rest of the connector.
const ALLOWED_IN_SYNC: [&str; 15] = [
    "asana",
    "config",
    "emit",
    "gid",
    "gid_marks",
    "listed",
    "moment",
    "plan",
    "schema",
    "slice_key",
    "state",
    "stream",
    "stream_set",
    "varint",
    "window",
];

/// Files of the read path that decide without a network, a file or a clock, and what they may import of it.
const PURE_IN_SYNC: [(&str, &[&str]); 8] = [
    ("children", &[]),
    ("consequence", &[]),
    ("graph", &[]),
    ("reach", &["graph", "slices"]),
    ("report", &[]),
    ("requests", &[]),
    ("row", &[]),
    ("slices", &[]),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every module of a crate, with the code before its own tests and without comments.
fn modules(root: &Path) -> BTreeMap<Module, String> {
    let mut files = Vec::new();
    rust_files(root, &mut files);
    let modules = files.into_iter().map(|path| {
        let mut module: Module = path
            .strip_prefix(root)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
            module.pop();
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap()).collect();
        (module, code.join("\n"))
    });
    modules.collect()
}

/// The paths that a use tree such as `a::{b, c::{d, e}}` names.
fn expanded(tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let (before, inner) = (&tree[..open], &tree[open + 1..tree.rfind('}').unwrap()]);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(expanded).map(|rest| format!("{}{rest}", before.trim())).collect()
}

/// The paths that a module's `use` lines name.
fn used(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement: Option<String> = None;
    for line in code.lines() {
        let start = line.trim_start();
        let opening = start.strip_prefix("pub(crate) ").or(start.strip_prefix("pub(super) "));
        let opening = opening.or(start.strip_prefix("pub ")).unwrap_or(start);
        let text = match (&mut statement, opening.strip_prefix("use ")) {
            (Some(statement), _) => {
                statement.push_str(start);
                statement
            }
            (None, Some(rest)) => statement.insert(rest.to_owned()),
            (None, None) => continue,
        };
        if let Some(tree) = text.strip_suffix(';') {
            found.extend(expanded(tree));
            statement = None;
        }
    }
    found
}

/// The import graph of the crate in a folder.
fn graph(folder: &str) -> Graph {
    let modules = modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let mut graph = Graph::new();
    for (module, code) in &modules {
        let imports = graph.entry(module.clone()).or_default();
        for path in used(code) {
            let mut names: Vec<String> = path.split("::").map(str::to_owned).collect();
            let mut base = match names[0].as_str() {
                "crate" => Module::new(),
                "self" | "super" => module.clone(),
                // A module of the same file, or another crate.
                first if modules.contains_key(&[&**module, &[first.to_owned()]].concat()) => {
                    names.insert(0, "self".to_owned());
                    module.clone()
                }
                _ => continue,
            };
            while names.first().is_some_and(|name| name == "super") {
                base.pop();
                names.remove(0);
            }
            if names.first().is_some_and(|name| name == "crate" || name == "self") {
                names.remove(0);
            }
            let target = (0..=names.len())
                .rev()
                .map(|length| [&*base, &names[..length]].concat())
                .find(|target| modules.contains_key(target));
            imports.extend(target.filter(|target| target != module));
        }
    }
    graph
}

/// All modules that a module imports, directly or not.
fn reached(graph: &Graph, from: &Module) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut pending = vec![from.clone()];
    while let Some(module) = pending.pop() {
        for next in &graph[&module] {
            if found.insert(next.clone()) {
                pending.push(next.clone());
            }
        }
    }
    found
}

/// The groups of modules that import each other.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        graph.keys().map(|module| (module, reached(graph, module))).collect();
    let circle = |module: &Module| {
        let members = reached[module].iter().filter(|other| reached[other].contains(module));
        members.cloned().collect::<BTreeSet<_>>()
    };
    graph.keys().map(circle).filter(|circle| !circle.is_empty()).collect()
}

fn name(module: &Module) -> String {
    module.join("/")
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    for folder in CRATES {
        let circles = circles(&graph(folder));
        let circles: Vec<Vec<String>> =
            circles.iter().map(|circle| circle.iter().map(name).collect()).collect();
        assert!(circles.is_empty(), "files of {folder} import each other in a circle: {circles:?}");
    }
}

#[test]
fn every_import_of_the_connector_is_allowed() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    for (module, imports) in graph("src") {
        let Some(top) = module.first() else { continue };
        let allowed = match top.as_str() {
            "sync" => &ALLOWED_IN_SYNC[..],
            top => allowed.get(top).copied().unwrap_or_default(),
        };
        for import in imports {
            let target = import.first().map(String::as_str).unwrap_or_default();
            assert!(
                target == top || allowed.contains(&target),
                "src/{} imports {}: move the code, or argue for the import and add it to the table",
                name(&module),
                name(&import)
            );
        }
    }
}

#[test]
fn the_pure_files_of_the_read_path_stand_alone() {
    let graph = graph("src");
    for (file, allowed) in PURE_IN_SYNC {
        let module = vec!["sync".to_owned(), file.to_owned()];
        for import in graph[&module].iter().filter(|import| import[0] == "sync") {
            assert!(allowed.contains(&import[1].as_str()), "sync/{file} imports {}", name(import));
        }
    }
}

#[test]
fn circles_and_imports_are_found() {
    let graph: Graph = [("a", &["b"][..]), ("b", &["c"]), ("c", &["b"]), ("d", &["a"])]
        .into_iter()
        .map(|(module, imports)| {
            (vec![module.to_owned()], imports.iter().map(|import| vec![(*import).to_owned()]).collect())
        })
        .collect();
    let expected: BTreeSet<Module> = [vec!["b".to_owned()], vec!["c".to_owned()]].into();
    assert_eq!(circles(&graph), [expected].into());
    let code =
        "use a::{b, c::{d as e, f}};\npub(super) use self::g;\nuse h::{\n    i,\n    j,\n};\nfn use_it() {}";
    assert_eq!(used(code), ["a::b", "a::c::d", "a::c::f", "self::g", "h::i", "h::j"]);
}
