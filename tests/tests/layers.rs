//! The edges between the crates, as ARCHITECTURE.md draws them, read from their manifests.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use std::{collections::BTreeSet, fs, path::Path};

/// What each crate of the workspace may use of the others (development dependencies aside).
const ALLOWED: &[(&str, &[&str])] = &[
    ("d2l-kernels", &[]),
    ("d2l-nn", &["d2l-kernels"]),
    ("d2l-models", &["d2l-nn"]),
    ("d2l-data", &[]),
    ("d2l-train", &["d2l-kernels", "d2l-nn"]),
    (
        "d2l-lessons",
        &["d2l-kernels", "d2l-nn", "d2l-models", "d2l-data", "d2l-train"],
    ),
    (
        "d2l-cli",
        &["d2l-nn", "d2l-models", "d2l-data", "d2l-train", "d2l-lessons"],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn manifest(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn dependencies(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    let table = manifest.get(section).and_then(toml::Value::as_table);
    table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

fn crates() -> Vec<(String, toml::Table)> {
    let mut all: Vec<_> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| manifest(&entry.unwrap().path().join("Cargo.toml")))
        .map(|m| (m["package"]["name"].as_str().unwrap().to_owned(), m))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn crates_use_only_the_layers_below() {
    let names: BTreeSet<String> = crates().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ALLOWED.iter().map(|(name, _)| name.to_string()).collect());
    for (name, manifest) in crates() {
        let allowed = ALLOWED.iter().find(|(n, _)| *n == name).unwrap().1;
        for used in dependencies(&manifest, "dependencies") {
            assert!(
                !names.contains(&used) || allowed.contains(&used.as_str()),
                "{name} may not use {used}"
            );
        }
    }
}

#[test]
fn kernels_know_no_candle() {
    let (_, manifest) = crates()
        .into_iter()
        .find(|(name, _)| name == "d2l-kernels")
        .unwrap();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        assert!(
            !dependencies(&manifest, section)
                .iter()
                .any(|d| d.starts_with("candle")),
            "{section}"
        );
    }
}

#[test]
fn every_crate_can_stand_alone() {
    for (name, manifest) in crates() {
        let package = manifest["package"].as_table().unwrap();
        assert!(
            package["description"].as_str().unwrap().len() > 20,
            "{name} needs a description"
        );
        assert_eq!(package["license"]["workspace"].as_bool(), Some(true), "{name}");
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{name}");
        let readme = root()
            .join("crates")
            .join(&name)
            .join(package["readme"].as_str().unwrap());
        assert!(readme.is_file(), "{name} needs a README");
    }
}

#[test]
fn versions_are_shared() {
    let mut members = crates();
    for name in ["xtask", "tests", "benches"] {
        members.push((name.to_owned(), manifest(&root().join(name).join("Cargo.toml"))));
    }
    for (name, manifest) in members {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (dependency, value) in manifest
                .get(section)
                .and_then(|t| t.as_table())
                .into_iter()
                .flatten()
            {
                let shared = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(shared, "{name}: {dependency} in [{section}] has its own version");
            }
        }
    }
}

/// Two copies of one of these would build, and then refuse each other's tensors or double the build.
#[test]
fn one_copy_of_what_the_design_rests_on() {
    let lock = manifest(&root().join("Cargo.lock"));
    let packages = lock["package"].as_array().unwrap();
    for name in [
        "candle-core",
        "candle-nn",
        "candle-datasets",
        "safetensors",
        "hf-hub",
        "clap",
        "anyhow",
        "gemm",
        "rayon",
    ] {
        let copies = packages
            .iter()
            .filter(|p| p["name"].as_str() == Some(name))
            .count();
        assert_eq!(copies, 1, "{name}");
    }
}

/// Only the binary and xtask print, choose exit codes, read the environment or pick an allocator.
#[test]
fn libraries_keep_quiet() {
    for name in ["d2l-kernels", "d2l-nn", "d2l-models", "d2l-data", "d2l-train"] {
        for file in sources(&root().join("crates").join(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                for banned in [
                    "println!",
                    "print!(",
                    "process::exit",
                    "env::var",
                    "global_allocator",
                ] {
                    assert!(!line.contains(banned), "{}: {line}", file.display());
                }
            }
        }
    }
}

/// Unsafe code sits in the kernels, and where cuDNN's own interface asks for it.
#[test]
fn unsafe_code_sits_in_the_kernels() {
    for folder in [
        "crates/d2l-nn",
        "crates/d2l-models",
        "crates/d2l-data",
        "crates/d2l-train",
        "crates/d2l-cli",
        "xtask",
    ] {
        for file in sources(&root().join(folder).join("src")) {
            if file.ends_with("d2l-nn/src/ops/conv2d/by_cudnn.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let found = text
                .lines()
                .find(|l| l.contains("unsafe {") || l.contains("unsafe fn"));
            assert_eq!(found, None, "{}", file.display());
        }
    }
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && !path.file_stem().is_some_and(|s| s == "tests" || s == "testing")
        {
            files.push(path);
        }
    }
    files
}
