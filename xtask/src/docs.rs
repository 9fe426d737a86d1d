//! Holds the documents to the checkout: links lead somewhere, and the README names every variable that is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::paths;

/// Files below `folder` with one of `endings`, but for what is built or hidden.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || path == paths::target() || name == "target" {
            continue;
        }
        if path.is_dir() {
            files(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn texts(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&paths::root().join(folder), endings, &mut found);
    assert!(!found.is_empty());
    found
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Targets of links in Markdown, code blocks left out.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let tails = prose.flat_map(|part| part.split("](").skip(1));
    tails
        .filter_map(|tail| tail.split_once(')').map(|(link, _)| link))
        .collect()
}

/// What a heading is called in a link, as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading
        .to_lowercase()
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#').trim()) == wanted)
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in texts("", &[".md"]) {
        for link in links(&text)
            .into_iter()
            .filter(|link| !link.contains("://"))
        {
            let (file, wanted) = link
                .split_once('#')
                .map_or((link, None), |(file, part)| (file, Some(part)));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.with_file_name("").join(file)
            };
            let there = match wanted {
                Some(wanted) => {
                    fs::read_to_string(&target).is_ok_and(|text| has_anchor(&text, wanted))
                }
                None => target.exists(),
            };
            if !there {
                broken.push(format!("{}: {link}", paths::shown(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Variables that are not a user's to set: a job's contract (docs/platform.md) and a label of the launcher.
const NOT_SETTINGS: [&str; 2] = ["RGPU_INVOCATION_ID", "RGPU_JOB_TAG"];

#[test]
fn the_readme_names_every_variable() {
    let mut read = BTreeSet::new();
    for member in fs::read_dir(paths::root()).unwrap() {
        let name = member.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with("rgpu-") {
            continue;
        }
        for (path, text) in texts(&name, &[".rs"]) {
            if path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            for literal in text
                .split("\"RGPU_")
                .skip(1)
                .filter_map(|tail| tail.split('"').next())
            {
                if literal.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                    read.insert(format!("RGPU_{literal}"));
                }
            }
        }
    }
    assert!(read.contains("RGPU_SERVER"), "the search finds nothing");
    let readme = fs::read_to_string(paths::root().join("README.md")).unwrap();
    for name in read
        .iter()
        .filter(|name| !NOT_SETTINGS.contains(&name.as_str()))
    {
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md does not name {name}"
        );
    }
    for named in readme
        .split("`RGPU_")
        .skip(1)
        .filter_map(|tail| tail.split(['`', '=']).next())
    {
        assert!(
            read.contains(&format!("RGPU_{named}")),
            "nothing reads RGPU_{named}"
        );
    }
}

#[test]
fn links_are_found() {
    assert_eq!(
        links("a [b](c.md#d) e\n```\n[f](g)\n```\n[h](i)"),
        ["c.md#d", "i"]
    );
    assert_eq!(
        anchor("Threads, and who may wait"),
        "threads-and-who-may-wait"
    );
}
