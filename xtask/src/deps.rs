//! Which crate may depend on which: the arrows of docs/architecture.md point downwards, and some libraries have no
//! place in some crates.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths;
use crate::process;

/// Crates of ours and those that each may use. Development dependencies are free.
const MAY_USE: &[(&str, &[&str])] = &[
    ("rgpu-proto", &[]),
    ("rgpu-transport", &[]),
    ("rgpu-trace", &[]),
    ("rgpu-fatbin", &[]),
    ("rgpu-ptx", &[]),
    ("rgpu-sched", &[]),
    ("rgpu-driver-abi", &["rgpu-proto"]),
    ("rgpu-softgpu-exec", &[]),
    ("rgpu-softgpu-jit", &["rgpu-ptx", "rgpu-softgpu-exec"]),
    (
        "rgpu-softgpu",
        &[
            "rgpu-proto",
            "rgpu-driver-abi",
            "rgpu-fatbin",
            "rgpu-ptx",
            "rgpu-softgpu-exec",
            "rgpu-softgpu-jit",
        ],
    ),
    ("rgpu-softgpu-math", &["rgpu-driver-abi"]),
    ("rgpu-softgpu-cublas", &["rgpu-proto", "rgpu-softgpu-math"]),
    (
        "rgpu-softgpu-cublaslt",
        &["rgpu-proto", "rgpu-softgpu-math"],
    ),
    ("rgpu-softgpu-cudnn", &["rgpu-proto", "rgpu-softgpu-math"]),
    (
        "rgpu-client-shim",
        &[
            "rgpu-proto",
            "rgpu-transport",
            "rgpu-trace",
            "rgpu-driver-abi",
            "rgpu-fatbin",
            "rgpu-ptx",
        ],
    ),
    ("rgpu-client-libs", &["rgpu-proto", "rgpu-driver-abi"]),
    ("rgpu-cublas-shim", &["rgpu-proto", "rgpu-client-libs"]),
    ("rgpu-cublaslt-shim", &["rgpu-proto", "rgpu-client-libs"]),
    ("rgpu-cudnn-shim", &["rgpu-proto", "rgpu-client-libs"]),
    ("rgpu-nvml-shim", &["rgpu-proto", "rgpu-transport"]),
    ("rgpu-server", &["rgpu-proto", "rgpu-transport"]),
    (
        "rgpu-cli",
        &[
            "rgpu-proto",
            "rgpu-transport",
            "rgpu-trace",
            "rgpu-server",
            "rgpu-sched",
            "rgpu-benches",
            "rgpu-fatbin",
            "rgpu-ptx",
        ],
    ),
    (
        "rgpu-tests",
        &["rgpu-proto", "rgpu-transport", "rgpu-server", "rgpu-sched"],
    ),
    (
        "rgpu-benches",
        &["rgpu-proto", "rgpu-transport", "rgpu-server", "rgpu-sched"],
    ),
    ("xtask", &["rgpu-proto", "rgpu-ptx", "rgpu-trace"]),
    (
        "rgpu-ptx-coverage",
        &[
            "rgpu-fatbin",
            "rgpu-ptx",
            "rgpu-softgpu-exec",
            "rgpu-softgpu-jit",
        ],
    ),
    (
        "rgpu-fuzz-targets",
        &[
            "rgpu-proto",
            "rgpu-transport",
            "rgpu-fatbin",
            "rgpu-ptx",
            "rgpu-sched",
            "rgpu-softgpu-exec",
            "rgpu-softgpu-jit",
        ],
    ),
];

/// Libraries which may not be reached from a crate, directly or through others, and why.
const MAY_NOT_REACH: &[(&str, &[&str], &str)] = &[
    (
        "rgpu-proto",
        &["tokio", "cudarc", "mio", "libloading"],
        "the contract knows no sockets, clocks, threads or CUDA calls",
    ),
    (
        "rgpu-transport",
        &["cudarc"],
        "transports move frames and know nothing of CUDA",
    ),
    (
        "rgpu-client-shim",
        &["tokio"],
        "a library inside other people's programs starts no runtime",
    ),
    (
        "rgpu-nvml-shim",
        &["tokio"],
        "a library inside other people's programs starts no runtime",
    ),
    (
        "rgpu-ptx",
        &["cranelift-codegen"],
        "reading PTX does not need a code generator",
    ),
    (
        "rgpu-softgpu",
        &["tokio"],
        "the software GPU knows nothing of networks",
    ),
    (
        "rgpu-sched",
        &["cudarc"],
        "the scheduler knows neither the CUDA rows nor the drivers",
    ),
];

/// Normal and build dependencies by package name.
#[derive(Debug, Default)]
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

/// Checks the workspace, or says everything that is wrong.
pub(crate) fn check() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args(["metadata", "--format-version", "1", "--locked"]);
    let text = process::quiet(&mut cargo, Duration::from_secs(300))?;
    let complaints = complaints(&read(&text)?);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "crates depend on each other as they must not:\n  {}",
        complaints.join("\n  ")
    )
}

fn read(metadata: &str) -> Result<Graph> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|p| (text(&p["id"]), text(&p["name"])))
        .collect();
    let name = |id: &Value| {
        names
            .get(id.as_str().unwrap_or_default())
            .cloned()
            .unwrap_or_default()
    };
    let mut graph = Graph {
        ours: list(&metadata["workspace_members"])
            .iter()
            .map(name)
            .collect(),
        ..Graph::default()
    };
    for node in list(&metadata["resolve"]["nodes"]) {
        let uses = graph.edges.entry(name(&node["id"])).or_default();
        for dep in list(&node["deps"]) {
            if list(&dep["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"] != "dev")
            {
                uses.insert(name(&dep["pkg"]));
            }
        }
    }
    Ok(graph)
}

fn complaints(graph: &Graph) -> Vec<String> {
    let mut all = Vec::new();
    for name in &graph.ours {
        let Some((_, allowed)) = MAY_USE.iter().find(|(n, _)| n == name) else {
            all.push(format!(
                "{name} is new: say in xtask/src/deps.rs which crates it may use"
            ));
            continue;
        };
        let used = graph
            .edges
            .get(name)
            .into_iter()
            .flatten()
            .filter(|u| graph.ours.contains(*u));
        for used in used.filter(|u| !allowed.contains(&u.as_str())) {
            all.push(format!("{name} uses {used}"));
        }
    }
    for (name, banned, why) in MAY_NOT_REACH {
        for banned in *banned {
            if let Some(path) = path(graph, name, banned) {
                all.push(format!("{}: {why}", path.join(" → ")));
            }
        }
    }
    all
}

/// A shortest way from one package to another.
fn path(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut at = 0;
    while let Some(way) = ways.get(at).cloned() {
        at += 1;
        for next in graph.edges.get(&way[way.len() - 1]).into_iter().flatten() {
            let longer: Vec<String> = way.iter().cloned().chain([next.clone()]).collect();
            if next == to {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let edges = edges
            .iter()
            .map(|(n, u)| ((*n).to_owned(), u.iter().map(|u| (*u).to_owned()).collect()));
        Graph {
            edges: edges.collect(),
            ours: ["rgpu-sched", "rgpu-proto", "rgpu-client-shim"]
                .map(Into::into)
                .into(),
        }
    }

    #[test]
    fn wrong_arrows_are_named() {
        assert_eq!(
            complaints(&graph(&[("rgpu-client-shim", &["rgpu-proto"])])),
            Vec::<String>::new()
        );
        assert_eq!(
            complaints(&graph(&[("rgpu-sched", &["rgpu-proto"])])),
            ["rgpu-sched uses rgpu-proto"]
        );
        let far = complaints(&graph(&[
            ("rgpu-client-shim", &["a"]),
            ("a", &["b", "tokio"]),
            ("b", &["tokio"]),
        ]));
        assert!(
            far[0].starts_with("rgpu-client-shim → a → tokio"),
            "{far:?}"
        );
    }

    #[test]
    fn new_crates_must_be_placed() {
        let mut graph = graph(&[]);
        graph.ours.insert("rgpu-new".into());
        assert!(complaints(&graph)[0].contains("rgpu-new is new"));
    }

    /// The arrows of docs/architecture.md are this table's.
    #[test]
    fn the_picture_in_the_documents_is_right() {
        let page = std::fs::read_to_string(paths::root().join("docs/architecture.md")).unwrap();
        let picture = page
            .split("flowchart TD\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let mut drawn = BTreeMap::new();
        for line in picture
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once(" --> "))
        {
            let used: BTreeSet<&str> = line.1.split(" & ").collect();
            drawn.insert(line.0.trim(), used);
        }
        for (name, allowed) in MAY_USE {
            let behind_the_scenes = [
                "rgpu-tests",
                "rgpu-benches",
                "rgpu-fuzz-targets",
                "rgpu-ptx-coverage",
                "xtask",
            ]
            .contains(name);
            if !behind_the_scenes && !allowed.is_empty() {
                let allowed = allowed.iter().copied().collect();
                assert_eq!(drawn.remove(name), Some(allowed), "{name}");
            }
        }
        assert!(drawn.is_empty(), "not in the table: {drawn:?}");
    }
}
