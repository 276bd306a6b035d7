//! The rules of the house, as DESIGN and ARCHITECTURE.md have them: who may know of whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Each room, and the rooms that it may import.
const ROOMS: [(&str, &[&str]); 8] = [
    ("fixpoint", &[]),
    ("fixpoint-trace", &[]),
    ("fixpoint-client", &[]),
    ("fixpoint-aws", &["fixpoint", "fixpoint-trace"]),
    ("fixpoint-server", &["fixpoint", "fixpoint-trace", "fixpoint-client"]),
    ("clusters", &["fixpoint", "fixpoint-aws", "fixpoint-server"]),
    (
        "fixpoint-bench",
        &[
            "fixpoint",
            "fixpoint-trace",
            "fixpoint-client",
            "fixpoint-aws",
            "fixpoint-server",
            "clusters",
        ],
    ),
    (
        "fixpoint-cli",
        &[
            "fixpoint",
            "fixpoint-trace",
            "fixpoint-client",
            "fixpoint-aws",
            "fixpoint-server",
            "clusters",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// What each package depends on, tests apart.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata().packages.into_iter();
    packages
        .map(|package| {
            let needed = package.dependencies.iter();
            let needed = needed.filter(|needed| needed.kind != DependencyKind::Development);
            let names = needed.map(|needed| needed.name.clone()).collect();
            (package.name.to_string(), names)
        })
        .collect()
}

#[test]
fn rooms_import_only_the_rooms_they_may() {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let dependencies = dependencies();
    let known: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(known, rooms, "a room without rules, or rules without a room");
    for (room, allowed) in ROOMS {
        for imported in dependencies[room].iter().filter(|name| rooms.contains(name.as_str())) {
            assert!(allowed.contains(&imported.as_str()), "{room} must not import {imported}");
        }
    }
}

#[test]
fn nobody_imports_the_command() {
    for package in metadata().packages {
        let imports = package.dependencies.iter().any(|needed| needed.name == "fixpoint-cli");
        assert!(!imports, "{} imports fixpoint-cli", package.name);
    }
}

#[test]
fn only_the_aws_room_and_the_application_name_aws_crates() {
    for (package, needed) in dependencies() {
        let aws = needed.iter().any(|name| name.starts_with("aws-"));
        let may = ["fixpoint-aws", "clusters"].contains(&package.as_str());
        assert!(may || !aws, "{package} depends on an AWS crate");
    }
}

/// Lines of code (no comments) of a package's `src`, without its tests.
fn lines_of_code(package: &str) -> Vec<(PathBuf, usize, String)> {
    let packages = metadata().packages;
    let package = packages.iter().find(|found| *found.name == package).unwrap();
    let src = package.manifest_path.parent().unwrap().join("src");
    let mut lines = Vec::new();
    let mut folders = vec![src.into_std_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !test {
                folders.push(path);
            } else if !test && path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let numbered = code.lines().enumerate();
                let code = numbered.filter(|(_, line)| !line.trim_start().starts_with("//"));
                lines.extend(code.map(|(at, line)| (path.clone(), at + 1, line.to_owned())));
            }
        }
    }
    lines
}

/// Panics where a line of one of the packages names a word outside of a folder.
fn only_in(packages: &[&str], folder: &str, words: &[&str]) {
    for package in packages {
        for (path, number, line) in lines_of_code(package) {
            let inside = path.components().any(|part| part.as_os_str() == folder);
            for word in words {
                let named = line.contains(word) && !inside;
                assert!(!named, "{}:{number} names {word}: {line}", path.display());
            }
        }
    }
}

const LIBRARIES: [&str; 6] = [
    "fixpoint",
    "fixpoint-trace",
    "fixpoint-client",
    "fixpoint-aws",
    "fixpoint-server",
    "clusters",
];

#[test]
fn only_store_modules_name_the_database() {
    let words = ["fjall::", "etcd_client::", "use fjall", "object_store::", "use object_store"];
    only_in(&LIBRARIES, "store", &words);
    only_in(&["fixpoint-cli"], "store", &words);
}

#[test]
fn only_the_http_modules_name_the_web_framework() {
    only_in(&LIBRARIES, "http", &["axum::", "use axum"]);
    only_in(&["fixpoint-cli"], "http", &["axum::", "use axum"]);
}

#[test]
fn libraries_read_no_environment_and_install_no_subscriber() {
    let words = ["env::var", "env::args", "set_global_default", ".try_init()"];
    only_in(&LIBRARIES, "nowhere", &words);
}

#[test]
fn libraries_spawn_no_thread_or_task_that_outlives_its_owner() {
    only_in(&LIBRARIES, "nowhere", &["tokio::spawn(", "thread::spawn("]);
}
