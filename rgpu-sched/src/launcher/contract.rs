//! The contract between the platform and a script, OSCAR's: its folders, its variables, its command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::local::TAG_VARIABLE;
use super::{GpuWrapper, Job};
use crate::function::Memory;
use crate::queue::GpuLease;

/// Variables that a job inherits from the scheduler: how to find programs and how to speak, no more.
const INHERITED: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ",
];
/// What runs a script that names no interpreter.
const DEFAULT_INTERPRETER: &str = "/bin/sh";

/// The folders of one attempt.
#[derive(Debug)]
pub(super) struct WorkDir {
    root: PathBuf,
}

impl WorkDir {
    /// Makes them, empty and private.
    pub(super) fn create(root: PathBuf) -> io::Result<Self> {
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let work = Self { root };
        for folder in [work.input(), work.output(), work.scratch()] {
            builder.create(folder)?;
        }
        Ok(work)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// `TMP_INPUT_DIR`.
    pub(super) fn input(&self) -> PathBuf {
        self.root.join("input")
    }

    /// `TMP_OUTPUT_DIR`.
    pub(super) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    /// `TMPDIR`.
    fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// `RGPU_STATS`.
    pub(super) fn stats(&self) -> PathBuf {
        self.root.join("gpu-stats.json")
    }

    fn script(&self) -> PathBuf {
        self.root.join("script")
    }

    /// `INPUT_FILE_PATH`: the object's name without its folders.
    pub(super) fn input_file(&self, key: &str) -> PathBuf {
        self.input().join(key.rsplit('/').next().unwrap_or(key))
    }

    pub(super) fn write_script(&self, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(self.script())?;
        file.write_all(text.as_bytes())
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.root)
    }
}

/// The whole environment of a job. What the contract sets cannot be overridden.
pub(super) fn environment(
    job: &Job,
    work: &WorkDir,
    tag: &str,
    site: &BTreeMap<String, String>,
) -> Vec<(String, OsString)> {
    let mut all: BTreeMap<String, OsString> = INHERITED
        .iter()
        .filter_map(|&name| Some((name.to_owned(), std::env::var_os(name)?)))
        .collect();
    let mut set = |name: &str, value: OsString| {
        all.insert(name.to_owned(), value);
    };
    set("TMPDIR", work.scratch().into());
    set("LOG_LEVEL", job.function.log_level.as_str().into());
    for (name, value) in site.iter().chain(&job.function.environment) {
        set(name, value.into());
    }
    let trigger = &job.invocation.trigger;
    set("TMP_INPUT_DIR", work.input().into());
    set("TMP_OUTPUT_DIR", work.output().into());
    if !job.function.skip_input {
        set("INPUT_FILE_PATH", work.input_file(&trigger.key).into());
    }
    set("STORAGE_OBJECT_KEY", (&trigger.key).into());
    set("EVENT", (&job.event).into());
    set(
        "EVENT_TIME",
        job.invocation.times.queued.to_rfc3339().into(),
    );
    set("OSCAR_SERVICE_NAME", (&job.function.name).into());
    set("RGPU_INVOCATION_ID", job.invocation.id.to_string().into());
    set(TAG_VARIABLE, tag.into());
    if let Some(lease) = &job.invocation.gpu {
        set("RGPU_STATS", work.stats().into());
        set("RGPU_SERVER", (&lease.server).into());
    }
    all.into_iter().collect()
}

/// The command of a job: the GPU wrapper if it has a lease, the script's interpreter, the script.
///
/// The interpreter line is read here and not by the kernel, which refuses a script that another thread's child
/// still holds open for writing.
pub(super) fn command(job: &Job, work: &WorkDir, wrapper: &GpuWrapper) -> Vec<OsString> {
    let mut argv = match (&job.invocation.gpu, &job.function.gpu) {
        (Some(lease), Some(asked)) => wrapped(wrapper, lease, asked, work),
        _ => Vec::new(),
    };
    argv.extend(
        interpreter(&job.function.script)
            .into_iter()
            .map(OsString::from),
    );
    argv.push(work.script().into());
    argv
}

/// The interpreter and its one argument, split as the kernel does.
fn interpreter(script: &str) -> Vec<String> {
    let first = script.lines().next().unwrap_or_default();
    let Some(line) = first
        .strip_prefix("#!")
        .map(str::trim)
        .filter(|l| !l.is_empty())
    else {
        return vec![DEFAULT_INTERPRETER.to_owned()];
    };
    match line.split_once([' ', '\t']) {
        Some((program, argument)) => vec![program.to_owned(), argument.trim().to_owned()],
        None => vec![line.to_owned()],
    }
}

fn wrapped(
    wrapper: &GpuWrapper,
    lease: &GpuLease,
    asked: &Memory,
    work: &WorkDir,
) -> Vec<OsString> {
    let values = [
        ("{server}", lease.server.clone()),
        ("{device}", lease.device.to_string()),
        ("{memory}", asked.as_str().to_owned()),
        ("{memory_bytes}", lease.memory.to_string()),
        ("{stats}", work.stats().to_string_lossy().into_owned()),
    ];
    let fill = |word: &String| {
        let filled = values.iter().fold(word.clone(), |word, (name, value)| {
            word.replace(name, value)
        });
        OsString::from(filled)
    };
    wrapper.0.iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Function, GpuSpec, parse_yaml};
    use crate::queue::{Invocation, InvocationId, Trigger};
    use crate::store::Chain;
    use crate::time::Timestamp;

    fn job(script: &str, gpu: bool) -> Job {
        let mut spec = parse_yaml("name: f\nenvironment: {variables: {A: b, PATH: /site}}\n")
            .unwrap()
            .remove(0);
        spec.script = script.into();
        spec.gpu = gpu.then(|| GpuSpec {
            memory: "256Mi".parse().unwrap(),
        });
        let trigger = Trigger {
            bucket: "bucket".into(),
            key: "in/sub/x.dcm".into(),
            size: 0,
            etag: String::new(),
            event_id: "1".into(),
        };
        let mut invocation = Invocation::new(
            InvocationId(7),
            "f".into(),
            trigger,
            Chain::default(),
            Timestamp::from_micros(0),
        );
        invocation.gpu = gpu.then(|| GpuLease {
            server: "tcp://h:1".into(),
            device: 3,
            device_name: "d".into(),
            memory: 256 << 20,
        });
        Job {
            invocation,
            function: Function::try_from(spec).unwrap().into(),
            event: "{}".into(),
        }
    }

    fn texts(argv: Vec<OsString>) -> Vec<String> {
        argv.into_iter().map(|a| a.into_string().unwrap()).collect()
    }

    #[test]
    fn the_interpreter_line_is_read_as_the_kernel_reads_it() {
        assert_eq!(interpreter("echo hi\n"), ["/bin/sh"]);
        assert_eq!(interpreter("#!/bin/bash\n"), ["/bin/bash"]);
        assert_eq!(
            interpreter("#! /usr/bin/env -S python3 -u\nx"),
            ["/usr/bin/env", "-S python3 -u"]
        );
        assert_eq!(
            interpreter("#!/usr/bin/env\tpython3  \n"),
            ["/usr/bin/env", "python3"]
        );
    }

    #[test]
    fn a_lease_puts_the_wrapper_in_front() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDir::create(dir.path().join("7")).unwrap();
        let script = dir.path().join("7/script").to_str().unwrap().to_owned();
        let words = [
            "rgpu",
            "run",
            "--server",
            "{server}",
            "--memory={memory}",
            "{memory_bytes}",
            "{device}",
            "--",
        ];
        let wrapper = GpuWrapper(words.map(str::to_owned).to_vec());
        assert_eq!(
            texts(command(&job("echo", false), &work, &wrapper)),
            ["/bin/sh", script.as_str()]
        );
        assert_eq!(
            texts(command(&job("#!/bin/bash\n", true), &work, &wrapper)),
            [
                "rgpu",
                "run",
                "--server",
                "tcp://h:1",
                "--memory=256Mi",
                "268435456",
                "3",
                "--",
                "/bin/bash",
                &script
            ]
        );
    }

    #[test]
    fn the_environment_holds_the_contract_and_little_else() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDir::create(dir.path().join("7")).unwrap();
        let site = BTreeMap::from([
            ("SITE".into(), "s".into()),
            ("EVENT".into(), "cannot win".into()),
        ]);
        let all: BTreeMap<String, OsString> = environment(&job("x", true), &work, "t/7", &site)
            .into_iter()
            .collect();
        let get = |name: &str| all[name].to_str().unwrap();
        assert_eq!(
            get("INPUT_FILE_PATH"),
            work.input().join("x.dcm").to_str().unwrap()
        );
        assert_eq!(get("STORAGE_OBJECT_KEY"), "in/sub/x.dcm");
        assert_eq!(
            (get("A"), get("PATH"), get("SITE"), get("EVENT")),
            ("b", "/site", "s", "{}")
        );
        assert_eq!(
            (get("RGPU_SERVER"), get("RGPU_JOB_TAG")),
            ("tcp://h:1", "t/7")
        );
        assert!(
            all.keys().all(|name| !name.starts_with("CARGO")),
            "the scheduler's own variables stay out"
        );
        assert!(
            !environment(&job("x", false), &work, "t/7", &site)
                .iter()
                .any(|(n, _)| n == "RGPU_STATS")
        );
    }
}
