//! The shape of the house, read from its own files: who may use whom, and what holds everywhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside test functions")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Each crate, what it may use, and what it may use for training and in tests only.
const MAY_USE: &[(&str, &[&str], &[&str])] = &[
    ("geometry", &[], &[]),
    ("nn", &["geometry"], &[]),
    ("datasets", &["geometry"], &[]),
    ("eval", &["geometry"], &[]),
    ("track", &["geometry"], &["datasets", "eval"]),
    ("vo", &["geometry", "nn"], &["datasets", "eval"]),
    ("detect", &["geometry", "nn"], &["datasets", "eval"]),
    ("runtime", &["geometry", "nn", "datasets", "eval", "track", "vo", "detect"], &[]),
];

/// Longest file of code, in lines.
const LONGEST: usize = 700;

#[test]
fn the_table_names_every_member() {
    let named: BTreeSet<_> = MAY_USE.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(named, members().into_iter().collect());
    assert!(
        named.iter().all(|member| local_crates().contains(member)),
        "a path in the table of versions for each"
    );
}

#[test]
fn dependencies_point_one_way() {
    for &(member, always, for_training) in MAY_USE {
        let manifest = manifest(member);
        for name in used(&manifest, &["dependencies", "build-dependencies"]) {
            let is_for_training = for_training.contains(&&*name) && is_behind_train(&manifest, &name);
            assert!(always.contains(&&*name) || is_for_training, "{member} may not use {name}");
        }
        for name in used(&manifest, &["dev-dependencies"]) {
            let is_allowed = always.contains(&&*name) || for_training.contains(&&*name);
            // Features of oneself for one's own tests.
            assert!(is_allowed || name == member, "tests of {member} may not use {name}");
        }
    }
}

#[test]
fn the_rules_themselves_can_fail() {
    let manifest = |text: &str| text.parse::<Table>().unwrap();
    let direct = manifest("[target.'cfg(unix)'.dependencies]\neval.workspace = true\n");
    assert_eq!(used(&direct, &["dependencies"]), ["eval"]);
    let optional = "[dependencies]\neval = { workspace = true, optional = true }\n[features]\n";
    for (features, is_behind) in [
        ("train = [\"dep:eval\"]", true),
        ("train = [\"dep:eval\"]\ndefault = [\"train\"]", false),
        ("train = [\"dep:eval\"]\nreport = [\"dep:eval\"]", false),
        ("train = []", false),
    ] {
        assert_eq!(
            is_behind_train(&manifest(&format!("{optional}{features}")), "eval"),
            is_behind,
            "{features}"
        );
    }
    assert!(!is_behind_train(&direct, "eval"));
}

#[test]
fn the_flight_build_has_neither_viewer_nor_training() {
    let reached = reached(&root_manifest(), "flight");
    assert!(reached.contains("video"), "{reached:?}");
    let heavy = |feature: &String| feature.ends_with("viewer") || feature.ends_with("train");
    assert!(!reached.iter().any(heavy), "{reached:?}");
}

#[test]
fn lints_hold_everywhere() {
    assert_eq!(root_manifest()["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    for folder in members().iter().map(String::as_str).chain(["."]) {
        let inherits = manifest(folder).get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherits, Some(true), "{folder} does not inherit the lints");
    }
}

#[test]
fn unsafe_code_is_for_kernels() {
    for (path, text) in sources().iter().filter(|(path, _)| !path.starts_with("nn")) {
        for exception in ["allow(unsafe_code", "expect(unsafe_code"] {
            let is_here = path.ends_with("tests/architecture.rs");
            assert!(is_here || !text.contains(exception), "{} has unsafe code", path.display());
        }
    }
}

#[test]
fn crates_say_what_they_are_for() {
    let roots =
        members().into_iter().map(|member| format!("{member}/src/lib.rs")).chain(["src/main.rs".to_owned()]);
    for file in roots {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.starts_with("//! "), "{file} does not begin with what the crate is for");
    }
}

#[test]
fn files_are_short() {
    let sources = sources();
    assert!(
        sources.iter().any(|(path, _)| path == Path::new("tests/architecture.rs")),
        "this file is one of them"
    );
    for (path, text) in sources {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, more than {LONGEST}", path.display());
    }
}

#[test]
fn the_map_shows_every_crate() {
    let map =
        fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is the map of the house");
    for member in members() {
        assert!(map.contains(&format!("{member}/")), "ARCHITECTURE.md does not mention {member}/");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn root_manifest() -> Table {
    manifest(".")
}

fn manifest(folder: &str) -> Table {
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn members() -> Vec<String> {
    let members = root_manifest()["workspace"]["members"].clone();
    members.as_array().unwrap().iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

/// The crates of this repository as the table of versions names them.
fn local_crates() -> BTreeSet<String> {
    let table = root_manifest()["workspace"]["dependencies"].clone();
    let is_local = |(_, spec): &(&String, &Value)| spec.get("path").is_some();
    table.as_table().unwrap().iter().filter(is_local).map(|(name, _)| name.clone()).collect()
}

/// Crates of this repository in the `kinds` of dependency tables, those of single platforms included.
fn used(manifest: &Table, kinds: &[&str]) -> Vec<String> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = platforms.filter_map(Value::as_table).chain([manifest]);
    let tables = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    let dependencies: Vec<(&String, &Value)> = tables.flatten().collect();
    for (name, spec) in &dependencies {
        // Else a crate of ours could come in under another name.
        assert!(spec.get("workspace").is_some(), "{name} does not come from the table of versions");
    }
    let local = local_crates();
    dependencies.into_iter().map(|(name, _)| name.clone()).filter(|name| local.contains(name)).collect()
}

/// Whether the optional dependency `name` comes with the feature `train`, and with no feature that lacks it.
fn is_behind_train(manifest: &Table, name: &str) -> bool {
    let spec = manifest.get("dependencies").and_then(|table| table.get(name));
    let is_optional = spec.and_then(|spec| spec.get("optional")?.as_bool()) == Some(true);
    let features = manifest.get("features").and_then(Value::as_table).cloned().unwrap_or_default();
    let brings = |feature: &str| reached(manifest, feature).contains(&format!("dep:{name}"));
    let only_train = features.keys().filter(|feature| *feature != "train").all(|feature| !brings(feature));
    is_optional && brings("train") && only_train
}

/// Everything that a feature turns on, itself included.
fn reached(manifest: &Table, feature: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![feature.to_owned()];
    while let Some(feature) = open.pop() {
        let enables = manifest.get("features").and_then(|features| features.get(&feature)?.as_array());
        if reached.insert(feature.clone()) {
            open.extend(enables.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    reached
}

/// Every file of Rust code with its path from the root.
fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((
                    path.strip_prefix(root()).unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    sources
}
