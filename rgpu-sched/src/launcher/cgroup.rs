//! Control groups (version 2): the limits of a job on memory and processors, and a sure way to end it.
//!
//! Address-space limits (`RLIMIT_AS`) will not do for memory: the CUDA client reserves a large window of addresses
//! that it never fills.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The kernel's usual period for processor quotas, in microseconds.
const PERIOD: u64 = 100_000;

/// A control group in which groups for jobs can be made.
#[derive(Debug)]
pub(super) struct Cgroups {
    parent: PathBuf,
}

impl Cgroups {
    /// Checks `configured`, or else the group that this process is in.
    pub(super) fn find(configured: Option<&Path>) -> Result<Self, String> {
        let parent = match configured {
            Some(path) => path.to_owned(),
            None => own_group().ok_or("this process is in no version 2 control group")?,
        };
        let named = |e: io::Error| format!("control group {}: {e}", parent.display());
        let offered = fs::read_to_string(parent.join("cgroup.controllers")).map_err(named)?;
        for wanted in ["cpu", "memory"] {
            if !offered.split_whitespace().any(|c| c == wanted) {
                return Err(format!(
                    "control group {} has no {wanted} controller",
                    parent.display()
                ));
            }
        }
        fs::write(parent.join("cgroup.subtree_control"), "+cpu +memory").map_err(named)?;
        Ok(Self { parent })
    }

    /// Makes the group of a job.
    pub(super) fn create(&self, tag: &str, memory: u64, cpu_millis: u64) -> io::Result<Cgroup> {
        let path = self.parent.join(group_name(tag));
        fs::create_dir(&path)?;
        let group = Cgroup { path };
        fs::write(group.path.join("memory.max"), memory.to_string())?;
        let quota = (cpu_millis.saturating_mul(PERIOD) / 1000).max(1000);
        fs::write(group.path.join("cpu.max"), format!("{quota} {PERIOD}"))?;
        // One process of a job that runs out of memory takes the others with it.
        fs::write(group.path.join("memory.oom.group"), "1").ok();
        Ok(group)
    }

    /// Ends and removes the groups of the job with this tag, and of all whose tag begins with it and a slash.
    pub(super) fn sweep(&self, tag: &str) {
        let (exact, below) = (group_name(tag), group_name(&format!("{tag}/")));
        let Ok(entries) = fs::read_dir(&self.parent) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == exact || name.starts_with(&below) {
                drop(Cgroup { path: entry.path() });
            }
        }
    }
}

/// A tag's slash cannot be in a name; tags hold no dots.
fn group_name(tag: &str) -> String {
    format!("rgpu-{}", tag.replace('/', "."))
}

/// The control group of this process, if version 2 is in use.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups
        .lines()
        .find_map(|l| l.strip_prefix("0::"))?
        .trim_start_matches('/')
        .to_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after
            .starts_with("cgroup2 ")
            .then(|| before.split(' ').nth(4))
            .flatten()
    })?;
    Some(Path::new(mount).join(own))
}

/// The control group of one job; removed when dropped.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A command that enters the group and becomes the command that follows it.
    pub(super) fn enter_command(&self) -> Vec<OsString> {
        let enter = r#"echo 0 > "$0" && exec "$@""#;
        vec![
            "/bin/sh".into(),
            "-c".into(),
            enter.into(),
            self.path.join("cgroup.procs").into(),
        ]
    }

    /// Whether the kernel killed a process of the group for its memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|l| l.strip_prefix("oom_kill "));
        kills
            .and_then(|n| n.trim().parse::<u64>().ok())
            .is_some_and(|n| n > 0)
    }

    /// Kills every process of the group.
    pub(super) fn kill(&self) {
        fs::write(self.path.join("cgroup.kill"), "1").ok();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a job's control group stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a control group; the kernel's own is not writable everywhere.
    fn fake(controllers: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), controllers).unwrap();
        dir
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let dir = fake("cpuset cpu io memory pids\n");
        let groups = Cgroups::find(Some(dir.path())).unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("cgroup.subtree_control")).unwrap(),
            "+cpu +memory"
        );
        let group = groups.create("tag/7", 1 << 20, 1500).unwrap();
        let read =
            |name: &str| fs::read_to_string(dir.path().join("rgpu-tag.7").join(name)).unwrap();
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert!(!group.ran_out_of_memory());
        fs::write(
            group.path.join("memory.events"),
            "low 0\noom 1\noom_kill 2\n",
        )
        .unwrap();
        assert!(group.ran_out_of_memory());
    }

    #[test]
    fn the_reason_is_told() {
        assert!(
            Cgroups::find(Some(fake("io pids").path()))
                .unwrap_err()
                .contains("no cpu controller")
        );
        assert!(
            Cgroups::find(Some(Path::new("/no/such/group")))
                .unwrap_err()
                .contains("/no/such/group")
        );
    }

    #[test]
    fn entering_runs_the_command_that_follows() {
        let dir = tempfile::tempdir().unwrap();
        let group = Cgroup {
            path: dir.path().to_owned(),
        };
        let argv = group.enter_command();
        let output = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .args(["echo", "a b", "c"])
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"a b c\n");
        assert_eq!(
            fs::read_to_string(dir.path().join("cgroup.procs")).unwrap(),
            "0\n"
        );
    }
}
